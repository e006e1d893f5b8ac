"""Write the configuration of Prometheus and Alertmanager out of sites.yml and the environment.

Neither of the two reads the environment, and addresses differ between one machine and compose.
What is written stands on its own: each of the two has a folder with all that it needs to see, rules
or templates and secrets copied along, and sees nothing of the other's.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from core.files import write_whole
from core.sites import Document
from stack.alerting import MailTo
from stack.programs import version
from stack.receivers import ReceiverSettings
from stack.render.alertmanager import alertmanager_config, alertmanager_notes
from stack.render.files import copy_all, write_yaml
from stack.render.links import links_template
from stack.render.prometheus import CONSOLE_TOKEN, prometheus_config
from stack.render.receivers import CHAT_ONCE_RECEIVER, Receivers
from stack.render.secrets import READS_ADDRESSES, SecretFiles, write_secrets
from stack.settings import COMPOSE_RENDERED, Settings

ROOT = Path(__file__).parents[2]
RULES = ROOT / "prometheus" / "rules"
TEMPLATES = ROOT / "alertmanager" / "templates"


@dataclass(frozen=True)
class Rendered:
    """What was written, and what the user should know about it, one plain line each."""

    prometheus: Path
    alertmanager: Path
    files: tuple[Path, ...]
    notes: tuple[str, ...]


def render(document: Document, settings: Settings, out: Path) -> Rendered:
    """Write prometheus.yml, alertmanager.yml and all that they name below `out`.

    Every file is swapped in whole; passwords have mode 0600. Raises OSError where `out` cannot
    be written.
    """
    out = out.resolve()
    prometheus, alertmanager = out / "prometheus", out / "alertmanager"
    for folder in (prometheus, alertmanager):
        folder.mkdir(parents=True, exist_ok=True)
    seen_at = COMPOSE_RENDERED if settings.target == "compose" else out
    secrets = SecretFiles(seen_at / "alertmanager" / "secrets", _reads_addresses(settings))
    rules = {path.name: path.read_text("utf-8") for path in RULES.glob("*.yml")}
    config = alertmanager_config(document, settings, secrets)
    files = [
        *write_secrets(settings, alertmanager / "secrets"),
        *_write_templates(settings, alertmanager / "templates"),
        write_yaml(alertmanager / "alertmanager.yml", config, 0o600),
        *copy_all(rules, prometheus / "rules"),
        *_write_console_token(settings, prometheus / CONSOLE_TOKEN),
        write_yaml(prometheus / "prometheus.yml", prometheus_config(document, settings)),
    ]
    return Rendered(
        prometheus=prometheus / "prometheus.yml",
        alertmanager=alertmanager / "alertmanager.yml",
        files=tuple(files),
        notes=tuple(alertmanager_notes(document, settings)),
    )


def render_one(settings: Settings, receiver: str, mail_to: tuple[str, ...], out: Path) -> Path:
    """Write an alertmanager.yml below `out` in which every alert goes to one receiver, at once.

    `receiver` is `mail`, for `mail_to`, or one of those in .env, which must be set.
    """
    only = replace(
        settings,
        smtp=settings.smtp if receiver == "mail" else None,
        receivers=ReceiverSettings() if receiver == "mail" else settings.receivers.only(receiver),
    )
    receivers = Receivers(only, SecretFiles(out / "secrets", _reads_addresses(settings)))
    receivers.of(MailTo(mail_to, ()))
    (config,) = (one for one in receivers.configs() if one["name"] != CHAT_ONCE_RECEIVER)
    write_secrets(only, out / "secrets")
    _write_templates(settings, out / "templates")
    route = {"receiver": config["name"], "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"}
    whole = {**receivers.defaults(), "templates": ["templates/*.tmpl"], "route": route, "receivers": [config]}
    return write_yaml(out / "alertmanager.yml", whole, 0o600)


def _write_console_token(settings: Settings, file: Path) -> list[Path]:
    """Write what Prometheus shows the console, where that asks for a password."""
    if not settings.console.users:
        file.unlink(missing_ok=True)
        return []
    file.parent.mkdir(mode=0o700, exist_ok=True)
    return [write_whole(file, settings.webhook_token.reveal(), 0o600)]


def _write_templates(settings: Settings, folder: Path) -> list[Path]:
    texts = {path.name: path.read_text("utf-8") for path in TEMPLATES.glob("*.tmpl")}
    return copy_all(texts | {"links.tmpl": links_template(settings)}, folder)


def _reads_addresses(settings: Settings) -> bool:
    """Say whether the Alertmanager that will read this takes a webhook's address from a file."""
    return settings.target == "compose" or (version("alertmanager") or (0,)) >= READS_ADDRESSES
