"""The documents say what is so: links, keys, metrics, guards, reasons, examples, a script."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from core.environment import load_environment
from core.faults import ConfigError
from core.servers.server import Reason as ActionReason
from core.sites import load
from exporter.reason import Reason as ProbeReason
from remediator.guards import GUARDS
from remediator.model.incident import Reason as DecisionReason
from stack.cli import COMMANDS, NOTIFICATIONS
from stack.configure.config_cli import config_group
from stack.configure.dubious_env import ELSEWHERE, KNOWN, notes
from stack.configure.schema_cli import schema_text
from stack.parts import PARTS
from stack.settings import SERVICES, load_settings
from tests.docs.published import exporter_names, remediator_names

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
SCHEMA: dict[str, Any] = json.loads((ROOT / "docs/sites.schema.json").read_text())


def page(name: str) -> str:
    return (ROOT / name).read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def words_of(text: str) -> set[str]:
    """Every word that stands as code."""
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return set(re.findall(r"[\w.]+", " ".join(re.findall(r"`([^`]+)`", outside))))


def first_column(text: str) -> set[str]:
    cells = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


# --- pages ---


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_of_the_repository(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if "://" not in target and not target.startswith("#"):
            assert (path.parent / target.partition("#")[0]).exists(), target


def test_every_page_of_docs_is_reached_from_the_readme_or_a_page_it_leads_to() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached or not path.exists():
            continue
        reached.add(path)
        if path.is_dir():
            waiting += path.glob("*.md")
        elif path.suffix == ".md":
            links = re.findall(r"\]\(([^)\s#]+)", path.read_text())
            waiting += [(path.parent / link).resolve() for link in links if "://" not in link]
    assert not set(PAGES) - reached


def test_the_readme_names_only_commands_that_there_are() -> None:
    named = {
        word
        for text in map(page, ("README.md", "CHANGELOG.md"))
        for word in re.findall(r"\./sitemedic ([a-z]+)", text)
    }
    assert named
    assert named <= {*COMMANDS, *NOTIFICATIONS}


# --- configuration ---


def test_the_published_schema_is_the_one_that_the_command_prints() -> None:
    printed = CliRunner().invoke(config_group, ["schema"])
    assert printed.output == schema_text()
    assert page("docs/sites.schema.json") == schema_text(), "run ./sitemedic config schema"


def schema_keys() -> set[str]:
    found: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            found.update(node.get("properties", {}))
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(SCHEMA)
    return found


def test_every_key_of_sites_yml_is_explained() -> None:
    explained = {word for name in words_of(page("docs/configuration.md")) for word in name.split(".")}
    assert not schema_keys() - explained


def test_no_key_is_explained_that_is_not_there() -> None:
    text = page("docs/configuration.md").partition("## .env")[0]
    values = {"http_2xx", "tcp_connect", "dns", "icmp", "grpc", "unix", "http", "tcp"}
    named = {word for key in first_column(text) for word in key.split(".")}
    assert not named - schema_keys() - values


DEFAULTS = {
    "interval": "15s", "alert.after": "30s", "alert.severity": "critical",
    "alert.objective": "99.9%",
    "remediation.mode": "auto", "remediation.max_unhealthy": "50%", "remediation.attempts": "3",
    "remediation.per": "1h", "remediation.approval_lasts": "15m", "remediation.storm_cooldown": "2m",
    "remediation.cooldown": "1m", "remediation.prove_within": "1m",
    "remediation.stop_timeout": "10s", "alerting.scrape_interval": "15s", "alerting.shared_wait": "45s",
    "alerting.container_wait": "90s",
    "alerting.healing_time": "15m", "notify": "down",
    "alerting.critical.group_wait": "20s", "alerting.critical.group_interval": "1m",
    "alerting.critical.repeat_interval": "4h", "alerting.warning.group_wait": "1m",
    "alerting.warning.group_interval": "5m", "alerting.warning.repeat_interval": "1d",
}  # fmt: skip


@pytest.mark.parametrize("key", DEFAULTS)
def test_the_defaults_told_are_the_defaults(key: str, tmp_path: Path) -> None:
    row = rf"^\| `{re.escape(key)}` .*\| `{re.escape(DEFAULTS[key])}` \|"
    assert re.search(row, page("docs/configuration.md"), re.MULTILINE)
    top, _, last = key.rpartition(".")
    models = {
        "": "Site",
        "alert": "AlertOptions",
        "remediation": "RemediationOptions",
        "alerting": "AlertingOptions",
        "alerting.critical": "CriticalTimes",
        "alerting.warning": "WarningTimes",
    }
    default = SCHEMA["$defs"][models[top]]["properties"][last]["default"]
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    told = DEFAULTS[key]
    if told[-1] in seconds and told[:-1].isdigit():
        assert float(default) == int(told[:-1]) * seconds[told[-1]]
    else:
        assert str(default) == {"50%": "0.5", "99.9%": "0.999"}.get(told, told)


def loaded(text: str, folder: Path) -> None:
    (folder / "keys").mkdir(exist_ok=True)
    for name in ("keys/medic", "keys/known_hosts"):
        (folder / name).touch(mode=0o600)
    (folder / "sites.yml").write_text(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(yaml.safe_load(text))
    try:
        load(folder / "sites.yml", PARTS)
    except ConfigError as error:
        raise AssertionError(str(error)) from error


def test_the_first_file_that_a_user_copies_is_right_as_it_is(tmp_path: Path) -> None:
    loaded(page("sites.example.yml"), tmp_path)


def test_everything_commented_out_in_it_is_right_too(tmp_path: Path) -> None:
    loaded(
        re.sub(
            r"^( *)# ((?: *- \{)|[a-z_]+:(?= |$))",
            r"\1\2",
            uncommented(page("sites.example.yml")),
            flags=re.MULTILINE,
        ),
        tmp_path,
    )
    text = (tmp_path / "sites.yml").read_text()
    for key in ("expect:", "alert:", "recover:", "apps:", "servers:", "canaries:", "remediation:"):
        assert re.search(rf"^ *{key}", text, re.MULTILINE), key


def uncommented(text: str) -> str:
    """Take the comment sign from the lines below `# servers:`, which are indented behind it."""
    return re.sub(r"^# ( +[a-z_]+: ?.*)$", r"\1", text, flags=re.MULTILINE)


def test_the_real_configuration_of_the_readme_is_right(tmp_path: Path) -> None:
    (text,) = blocks(page("README.md"), "yaml")
    loaded(text, tmp_path)
    (env,) = blocks(page("README.md"), "sh")
    (tmp_path / ".env").write_text(env)
    assert load_settings(load_dotenv(tmp_path), tmp_path / "data").smtp is not None


def test_the_examples_of_configuration_md_make_one_right_file(tmp_path: Path) -> None:
    whole = "".join(blocks(page("docs/configuration.md"), "yaml"))
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/health_token").write_text("x")
    loaded(whole, tmp_path)


def load_dotenv(folder: Path) -> dict[str, str]:
    return {
        name: value for name, value in load_environment(folder).items() if name in variables(folder / ".env")
    }


def variables(path: Path) -> set[str]:
    return set(re.findall(r"^(?:# )?([A-Z][A-Z_]+)=", path.read_text(), re.MULTILINE))


def test_the_second_file_that_a_user_copies_is_right_once_the_password_is_in(tmp_path: Path) -> None:
    text = page(".env.example").replace("SMTP_PASSWORD=\n", "SMTP_PASSWORD=secret\n", 1)
    (tmp_path / ".env").write_text(text)
    settings = load_settings(load_dotenv(tmp_path), tmp_path / "data")
    assert settings.smtp is not None
    assert settings.smtp.server.host == "smtp.gmail.com"


def test_the_other_mail_provider_in_it_is_right_too(tmp_path: Path) -> None:
    _gmail, _, rest = page(".env.example").partition("# Amazon SES")
    ses = re.sub(r"^# (SMTP_[A-Z]+=)", r"\1", rest.partition("# starttls")[0], flags=re.MULTILINE)
    (tmp_path / ".env").write_text("# " + ses.replace("SMTP_PASSWORD=\n", "SMTP_PASSWORD=secret\n"))
    settings = load_settings(load_dotenv(tmp_path), tmp_path / "data")
    assert settings.smtp is not None
    assert "amazonaws" in settings.smtp.server.host


def test_an_env_that_still_lacks_its_password_says_so(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(page(".env.example"))
    with pytest.raises(ConfigError, match="SMTP_PASSWORD"):
        load_settings(load_dotenv(tmp_path), tmp_path / "data")


def test_every_variable_of_the_example_is_explained_and_every_port_is_in_it() -> None:
    explained = words_of(page("docs/configuration.md").partition("## .env")[2])
    given = variables(ROOT / ".env.example")
    assert not given - explained
    assert {f"{name.upper()}_PORT" for name in SERVICES} <= given
    assert given <= set(KNOWN)


def test_config_check_knows_every_variable_that_is_explained(tmp_path: Path) -> None:
    table = page("docs/configuration.md").partition("## .env")[2]
    names = set(re.findall(r"`([A-Z][A-Z_]+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))))
    assert len(names) > 20
    assert names <= set(KNOWN)
    told = set[str]().union(*(words_of(path.read_text()) for path in PAGES))
    named = {word for word in told if re.fullmatch(r"[A-Z]+(_[A-Z]+)+", word)}
    assert set(ELSEWHERE) <= named
    (tmp_path / ".env").write_text("".join(f"{name}=x\n" for name in sorted(named | names)))
    assert [line for line in notes(tmp_path / ".env") if "did you mean" in line] == []


def test_what_is_read_out_of_another_environment_is_not_said_to_be_misspelt(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HEARTBEAT_KEY_FILE=keys/heartbeat\n")
    assert list(notes(tmp_path / ".env")) == [
        ".env: nothing reads HEARTBEAT_KEY_FILE here: it belongs into the exporter's own environment"
    ]


# --- how it works ---


def test_the_guards_told_are_the_guards() -> None:
    table = page("docs/how-it-works.md").partition("## Guards")[2].partition("\n## ")[0]
    assert first_column(table) == set(GUARDS)


def test_the_reasons_told_are_the_reasons() -> None:
    table = page("docs/how-it-works.md").partition("## Reasons")[2].partition("\n## ")[0]
    assert first_column(table) == {str(reason) for reason in ProbeReason}
    assert not {str(reason) for reason in ProbeReason} - words_of(page("docs/metrics.md"))


def test_the_decisions_reasons_in_troubleshooting_are_real() -> None:
    section = page("docs/troubleshooting.md").partition("nothing is done")[2].partition("\n## ")[0]
    named = {word for word in first_column(section) if "_" in word or word == "paused"}
    assert named
    assert named <= {str(reason) for reason in DecisionReason} | {str(reason) for reason in ActionReason}


# --- metrics ---


def documented(heading: str, text: str) -> set[str]:
    return {name for part in text.split("\n## ") if part.startswith(heading) for name in first_column(part)}


def test_every_metric_of_the_exporter_is_told_and_no_other() -> None:
    assert documented("Exporter", page("docs/metrics.md")) == exporter_names()


def test_every_metric_of_the_remediator_is_told_and_no_other() -> None:
    assert documented("Remediator", page("docs/metrics.md")) == remediator_names()


def test_every_recorded_series_is_told_and_no_other() -> None:
    rules = [yaml.safe_load(path.read_text()) for path in (ROOT / "prometheus/rules").glob("*.yml")]
    recorded = {
        rule["record"]
        for file in rules
        for group in file["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    assert documented("Recorded", page("docs/metrics.md")) == recorded
