"""How the receivers of .env are rendered: what stands in files, and who may read the rest."""

import os
import stat
from pathlib import Path

import pytest

from tests.chat_servers import PLANTED, Services
from tests.rendering import MAIL, Output, rendered_from

SITES = "sites: [{name: a, url: 'http://x/', email: a@x.example}]"
ALL = {**MAIL, **Services("http://127.0.0.1:1").environ()}


def text(output: Output) -> str:
    return output.rendered.alertmanager.read_text()


def alertmanager_of(version: str, folder: Path) -> str:
    """Return a PATH on which Alertmanager says it is of this version."""
    program = folder / "bin" / "alertmanager"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\necho 'alertmanager, version {version} (branch: HEAD)'\n")
    program.chmod(0o755)
    return os.pathsep.join((str(program.parent), os.environ["PATH"]))


def test_in_compose_no_secret_stands_in_the_configuration(tmp_path: Path) -> None:
    output = rendered_from(tmp_path, SITES, ALL, "compose")
    assert PLANTED not in text(output)
    seen = "/etc/sitemedic/rendered/alertmanager/secrets"
    (telegram,) = output.receiver("chat")["telegram_configs"]
    assert telegram["bot_token_file"] == f"{seen}/telegram_token"
    assert [post["url_file"] for post in output.receiver("chat")["webhook_configs"]] == [
        f"{seen}/ntfy_url",
        f"{seen}/webhook_url",
    ]
    written = output.rendered.alertmanager.parent / "secrets"
    assert PLANTED in (written / "telegram_token").read_text()


@pytest.mark.parametrize(("number", "shown"), [("0.25.0", True), ("0.26.0", False), ("1.0.0-rc.1", False)])
def test_only_an_old_alertmanager_is_given_addresses_in_its_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str, shown: bool
) -> None:
    monkeypatch.setenv("PATH", alertmanager_of(number, tmp_path))
    assert (PLANTED in text(rendered_from(tmp_path, SITES, ALL))) is shown


def test_without_an_alertmanager_what_every_one_understands_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stack.render.version", {}.get)
    assert "url_file" not in str(rendered_from(tmp_path, SITES, ALL).receiver("chat")["webhook_configs"])


def test_logins_and_keys_stand_in_files_for_every_alertmanager(tmp_path: Path) -> None:
    output = rendered_from(tmp_path, SITES, ALL)
    (slack,) = output.receiver("chat")["slack_configs"]
    (pagerduty,) = output.receiver("pager")["pagerduty_configs"]
    ntfy, webhook = output.receiver("chat")["webhook_configs"]
    files = [
        slack["api_url_file"],
        pagerduty["routing_key_file"],
        ntfy["http_config"]["authorization"]["credentials_file"],
        webhook["http_config"]["basic_auth"]["password_file"],
    ]
    for file in map(Path, files):
        assert PLANTED in file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_configuration_is_readable_to_its_owner_only(tmp_path: Path) -> None:
    path = rendered_from(tmp_path, SITES, ALL).rendered.alertmanager
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_not_set_any_more_leaves_no_receiver_and_no_file(tmp_path: Path) -> None:
    rendered_from(tmp_path, SITES, ALL)
    output = rendered_from(tmp_path, SITES, MAIL)
    names = {receiver["name"] for receiver in output.alertmanager["receivers"]}
    assert not names & {"chat", "pager", "heartbeat"}
    assert {path.name for path in (output.rendered.alertmanager.parent / "secrets").iterdir()} == {
        "webhook_token"
    }


@pytest.mark.parametrize(
    ("down", "recovered", "mails"),
    [
        ("a, b", "", [("a", ""), ("b", "")]),
        ("a, b", "a, b", [("a", "a"), ("b", "b")]),
        ("a, b", "b", [("a", ""), ("b", "b")]),
        ("a", "c, d", [("a", "c, d")]),
        ("a, b", "a, c, d", [("a", "a"), ("b", "c, d")]),
        ("a, b", "c, d, e", [("a", "c, e"), ("b", "d")]),
        ("a, b", "a, b, c", [("a", "a, c"), ("b", "b")]),
    ],
)
def test_each_address_has_mails_of_its_own(
    tmp_path: Path, down: str, recovered: str, mails: list[tuple[str, str]]
) -> None:
    def addresses(names: str) -> str:
        return ", ".join(f"{name}@x.example" for name in names.split(", ") if name)

    keys = f"email: [{addresses(down)}], recovery_email: [{addresses(recovered)}]"
    output = rendered_from(tmp_path, f"sites: [{{name: a, url: 'http://x/', {keys}}}]", MAIL)
    receivers = [one["email_configs"] for one in output.alertmanager["receivers"] if "email_configs" in one]
    (found,) = (one for one in receivers if any(mail["send_resolved"] for mail in one) == bool(recovered))
    for mail, (one, last) in zip(found, mails, strict=True):
        assert mail["send_resolved"] is bool(last)
        begin, end = addresses(one), addresses(last)
        both = f'{{{{ if eq .Status "resolved" }}}}{end}{{{{ else }}}}{begin}{{{{ end }}}}'
        assert mail["to"] == (both if last and last != one else begin)
