"""The text of a first sites.yml and .env: few lines, each with the word that a new user needs."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from stack.configure.answers import CANARIES, Answers, Healing, Mail

_ENV_EXAMPLE = Path(__file__).parents[2] / ".env.example"
_ENV_LINE = re.compile(r"^(?:# )?([A-Z][A-Z0-9_]*)=")
_MAIL_VARIABLES = re.compile(r"^SMTP_[A-Z_]+=")
_PLAIN = re.compile(r"[A-Za-z0-9@%_+=:,./-]*")


def sites_text(answers: Answers) -> str:
    """Return a sites.yml that says what was answered, and shows in comments what else may be said."""
    healing = answers.healing
    return (
        "\n".join(
            [
                "# yaml-language-server: $schema=docs/sites.schema.json",
                "# What Sitemedic watches. Every key: docs/configuration.md",
                "# After a change: ./sitemedic config check",
                "# A running Sitemedic reads it by itself; a faulty one leaves the old one in force.",
                "",
                "defaults:",
                *_defaults(answers.email),
                "",
                *_canaries(answers.canaries, healing),
                *(_server(healing) if healing else ()),
                "sites:",
                f"  - name: {_scalar(answers.name)}",
                f"    url: {_scalar(answers.url)}",
                *_expect(answers.url),
                "    # When it alerts (30s is the default):",
                "    # alert: {after: 1m, severity: critical}",
                *_recover(healing),
                "    # Parts of it, told in the same mail:",
                "    # apps:",
                f"    #   - {{name: api, url: {_scalar(_app_of(answers.url))}}}",
                "",
                *_mode(healing),
            ]
        ).rstrip("\n")
        + "\n"
    )


def _defaults(email: str) -> list[str]:
    interval = "  interval: 15s                  # how often each site is probed"
    if not email:
        return ["  # email: you@example.com       # who is mailed: one address, or a list", interval]
    told = f"  email: {_scalar(email)}"
    return [f"{told:<32} # who is mailed: one address, or a list [a@…, b@…]", interval]


def _expect(url: str) -> list[str]:
    if not _is_web(url):
        return ["    # Above this it counts as slow:", "    # expect: {within: 800ms}"]
    return [
        "    # What a good answer is, beyond any 2xx status; above `within` it counts as slow:",
        '    # expect: {status: 200, body: "a word of the page", within: 800ms}',
    ]


def _is_web(url: str) -> bool:
    return urlsplit(url).scheme.startswith("http")


def _app_of(url: str) -> str:
    """Return an address that may be a part of the site, as an example."""
    if not _is_web(url):
        return "https://api.example.com/health"
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/api/health"


def _canaries(canaries: tuple[str, ...], healing: Healing | None) -> list[str]:
    """Canaries matter where something is healed; they are shown all the same."""
    listed = f"canaries: {_scalar(list(canaries or CANARIES))}"
    lines = ["# Addresses of others that are always up. While all of them fail, the fault is at our end."]
    return [*lines, listed if healing or canaries else f"# {listed}", ""]


def _server(healing: Healing) -> list[str]:
    reached: dict[str, Any] = {"ssh": healing.ssh}
    if healing.linode is not None:
        reached["linode"] = healing.linode
    if healing.may_reboot:
        reached["may_reboot"] = True
    return [
        "# How the server is reached. `linode` says which Linode it is; only `may_reboot` allows a reboot.",
        "servers:",
        f"  web: {_scalar(reached)}",
        "",
    ]


def _recover(healing: Healing | None) -> list[str]:
    if healing is None:
        return [
            "    # What heals it, with servers: (docs/configuration.md). Else it is watched only:",
            "    # recover: {server: web, container: nginx}",
        ]
    return [
        "    # Restarted when the site is down:",
        f"    recover: {_scalar({'server': 'web', 'container': healing.container})}",
    ]


def _mode(healing: Healing | None) -> list[str]:
    if healing is None:
        return []
    return [
        "# observe: only tells what it would do. Take this line away when you like what you see.",
        "remediation: {mode: observe}",
    ]


def _scalar(value: Any) -> str:
    """Write a value as YAML on one line, quoted where it must be."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def env_text(answers: Answers) -> str:
    """Return a .env: the example's lines, with what was answered in their places."""
    wanted = variables(answers.mail) if answers.mail else {}
    lines = []
    for line in _ENV_EXAMPLE.read_text(encoding="utf-8").splitlines():
        match = _ENV_LINE.match(line)
        name = match[1] if match else ""
        if name in wanted:
            lines.append(f"{name}={_quoted(wanted.pop(name))}")
        elif _MAIL_VARIABLES.match(line):  # the example's own address: nobody's here
            lines.append(f"# {line}")
        else:
            lines.append(line)
    return "\n".join([*lines, *(f"{name}={_quoted(value)}" for name, value in wanted.items())]) + "\n"


def variables(mail: Mail) -> dict[str, str]:
    """Return the lines of .env that say how mails are sent."""
    found = {"SMTP_HOST": mail.host, "SMTP_PORT": mail.port}
    if mail.username:
        found["SMTP_USERNAME"] = mail.username
    if mail.password_file:
        found["SMTP_PASSWORD_FILE"] = mail.password_file
    elif mail.username:
        found["SMTP_PASSWORD"] = mail.password.reveal() if mail.password else ""
    return {**found, "SMTP_FROM": mail.sender}


def _quoted(value: str) -> str:
    """Write a value as python-dotenv reads it, and docker compose too.

    Only of a value that holds both a backslash and a dollar compose has its own idea; it uses none such.
    """
    if _PLAIN.fullmatch(value):
        return value
    if "\\" in value and "$" not in value:  # within single quotes compose doubles it
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
