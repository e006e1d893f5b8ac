import stat
from pathlib import Path

import pytest

from core.faults import ConfigError
from stack.settings import Settings, load_settings

SMTP = {"SMTP_HOST": "smtp.example.com", "SMTP_FROM": "medic@example.com"}


def faults(tmp_path: Path, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(environ, tmp_path)
    return str(caught.value).splitlines()


def smtp(tmp_path: Path, **environ: str) -> Settings:
    return load_settings({**SMTP, **environ}, tmp_path)


def test_nothing_set_gives_loopback_default_ports_no_mail_and_no_links(tmp_path: Path) -> None:
    settings = load_settings({}, tmp_path)
    assert settings.exporter.address == "127.0.0.1:9115"
    assert settings.remediator.url == "http://127.0.0.1:9096"
    assert (settings.smtp, settings.public_url) == (None, None)


def test_ports_can_be_changed_on_one_machine(tmp_path: Path) -> None:
    assert load_settings({"EXPORTER_PORT": "19115"}, tmp_path).exporter.port == 19115


def test_in_compose_services_are_reached_by_name_on_their_own_port(tmp_path: Path) -> None:
    settings = load_settings({"EXPORTER_PORT": "19115"}, tmp_path, "compose")
    assert settings.exporter.address == "exporter:9115"


def test_tokens_are_made_once_kept_and_readable_to_the_owner_only(tmp_path: Path) -> None:
    first, second = load_settings({}, tmp_path), load_settings({}, tmp_path)
    assert first.webhook_token == second.webhook_token != first.api_token
    assert len(first.webhook_token.reveal()) >= 40
    for name in ("webhook_token", "api_token", "console_password"):
        assert stat.S_IMODE((tmp_path / "secrets" / name).stat().st_mode) == 0o600


def test_a_token_that_is_set_is_used_and_nothing_is_made(tmp_path: Path) -> None:
    given = {"WEBHOOK_TOKEN": "a", "API_TOKEN": "b", "CONSOLE_PASSWORD": "long enough"}
    settings = load_settings(given, tmp_path)
    assert settings.webhook_token.reveal() == "a"
    assert not (tmp_path / "secrets").exists()


def test_a_password_that_is_soon_guessed_is_a_fault(tmp_path: Path) -> None:
    (told,) = faults(tmp_path, CONSOLE_PASSWORD="hunter2")
    assert "CONSOLE_PASSWORD: must be at least 10 characters" in told
    assert "hunter2" not in told


def test_a_folder_that_cannot_keep_tokens_is_told(tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text("not a folder")
    assert "cannot keep a token here" in faults(tmp_path)[0]


def test_settings_never_show_a_secret(tmp_path: Path) -> None:
    shown = repr(smtp(tmp_path, SMTP_USERNAME="me", SMTP_PASSWORD="hush", API_TOKEN="quiet"))
    assert "hush" not in shown
    assert "quiet" not in shown


def test_mail_defaults_to_starttls_on_587(tmp_path: Path) -> None:
    found = smtp(tmp_path).smtp
    assert found is not None
    assert (found.server.address, found.tls, found.username) == ("smtp.example.com:587", "starttls", None)


def test_port_465_alone_means_implicit_tls_and_the_other_way_round(tmp_path: Path) -> None:
    by_port, by_name = smtp(tmp_path, SMTP_PORT="465").smtp, smtp(tmp_path, SMTP_TLS="implicit").smtp
    assert by_port == by_name
    assert by_port is not None
    assert (by_port.server.port, by_port.tls) == (465, "implicit")


def test_the_sender_is_the_user_name_where_that_is_an_address(tmp_path: Path) -> None:
    found = load_settings(
        {"SMTP_HOST": "h", "SMTP_USERNAME": "me@example.com", "SMTP_PASSWORD": "p"}, tmp_path
    ).smtp
    assert found is not None
    assert found.sender == "me@example.com"


def test_a_password_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from a file\n")
    found = smtp(tmp_path, SMTP_USERNAME="me", SMTP_PASSWORD_FILE=str(tmp_path / "password")).smtp
    assert found is not None
    assert found.password is not None
    assert found.password.reveal() == "from a file"


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        EXPORTER_PORT="http",
        GRAFANA_PORT="70000",
        SMTP_HOST="smtp.example.com:25",
        SMTP_TLS="ssl",
        PUBLIC_URL="status.example.com",
    )
    assert found == [
        ".env: EXPORTER_PORT: must be a port from 1 to 65535 (got 'http')",
        ".env: GRAFANA_PORT: must be a port from 1 to 65535 (got '70000')",
        ".env: SMTP_HOST: must be a host name; its port goes into SMTP_PORT (got 'smtp.example.com:25')",
        ".env: SMTP_TLS: must be starttls, implicit or none (got 'ssl')",
        ".env: SMTP_FROM: set it to the address that mails come from, such as medic@example.com",
        ".env: PUBLIC_URL: must be an address such as https://status.example.com (got 'status.example.com')",
    ]


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"SMTP_USERNAME": "me"}, "SMTP_PASSWORD: SMTP_USERNAME and SMTP_PASSWORD (or SMTP_PASSWORD_FILE)"),
        ({"SMTP_PASSWORD": "x"}, "SMTP_USERNAME: SMTP_USERNAME and SMTP_PASSWORD (or SMTP_PASSWORD_FILE)"),
        (
            {"SMTP_TLS": "implicit", "SMTP_PORT": "587"},
            "SMTP_PORT: port 465 and SMTP_TLS=implicit go together",
        ),
        (
            {"SMTP_TLS": "none", "SMTP_USERNAME": "me", "SMTP_PASSWORD": "x"},
            "SMTP_TLS: none would send the password in the open",
        ),
        ({"SMTP_FROM": "two@x.example, one@x.example"}, "SMTP_FROM: must be one address"),
        ({"PUBLIC_URL": "https://me:pw@x.example"}, "PUBLIC_URL: must not hold a password"),
        ({"PUBLIC_URL": "https://[::1"}, "PUBLIC_URL: must be an address such as"),
        ({"PUBLIC_URL": "https://x.example:port"}, "PUBLIC_URL: must be an address such as"),
        ({"SMTP_HOST": "[::1]"}, "SMTP_HOST: must be a host name"),
        ({"SMTP_HOST": "\x1b[31m"}, "SMTP_HOST: must be a host name"),
        ({"PUBLIC_URL": 'https://x.example/{{"'}, "PUBLIC_URL: must be without quotes, braces and spaces"),
    ],
)
def test_a_fault_in_the_mail_settings_says_the_mend(
    tmp_path: Path, environ: dict[str, str], message: str
) -> None:
    assert any(message in fault for fault in faults(tmp_path, **{**SMTP, **environ}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUBLIC_URL", "https://me:planted@x.example/?a=b"),
        ("GRAFANA_URL", "https://me:planted@[::1"),
        ("ALERTMANAGER_URL", "https://me:planted@x.example/ {"),
        ("SMTP_HOST", "smtp://me:planted@x.example"),
    ],
)
def test_a_password_in_the_wrong_line_is_not_shown(tmp_path: Path, name: str, value: str) -> None:
    (told,) = faults(tmp_path, **{**SMTP, name: value})
    assert told.startswith(f".env: {name}: must")
    assert "planted" not in told


def test_mail_settings_without_a_server_are_told(tmp_path: Path) -> None:
    assert faults(tmp_path, SMTP_USERNAME="me", SMTP_FROM="me@example.com") == [
        ".env: SMTP_USERNAME: set SMTP_HOST too, or no mail can be sent",
        ".env: SMTP_FROM: set SMTP_HOST too, or no mail can be sent",
    ]


TOKEN = "123456:" + "AbCdEfGh-_" * 4
LINES = {
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/planted",
    "TELEGRAM": f"{TOKEN}@-1001234567890",
    "NTFY_URL": "https://:tk_planted@ntfy.example/planted-topic",
    "PAGERDUTY_ROUTING_KEY": "planted0" * 4,
    "WEBHOOK_URL": "https://me:pl%40nted@hooks.example:8443/planted?to=planted",
    "HEARTBEAT_URL": "https://hc-ping.example/planted",
}


def test_no_receiver_is_set_by_itself(tmp_path: Path) -> None:
    assert load_settings({}, tmp_path).receivers.names() == ()


def test_each_receiver_is_one_line(tmp_path: Path) -> None:
    found = load_settings(LINES, tmp_path).receivers
    assert set(found.names()) == {"slack", "telegram", "ntfy", "webhook", "pagerduty", "heartbeat"}
    assert found.telegram is not None
    assert (found.telegram.token.reveal(), found.telegram.chat) == (TOKEN, -1001234567890)
    assert found.ntfy is not None
    assert found.ntfy.password is not None
    assert (found.ntfy.url.reveal(), found.ntfy.username) == ("https://ntfy.example/planted-topic", "")
    assert found.ntfy.password.reveal() == "tk_planted"
    assert found.webhook is not None
    assert found.webhook.password is not None
    assert found.webhook.url.reveal() == "https://hooks.example:8443/planted?to=planted"
    assert (found.webhook.username, found.webhook.password.reveal()) == ("me", "pl@nted")


@pytest.mark.parametrize("name", LINES)
def test_each_receiver_may_stand_in_a_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "line").write_text(LINES[name] + "\n")
    by_file = load_settings({f"{name}_FILE": str(tmp_path / "line")}, tmp_path)
    assert by_file.receivers == load_settings({name: LINES[name]}, tmp_path).receivers


def test_receivers_show_nothing_of_their_lines(tmp_path: Path) -> None:
    shown = repr(load_settings(LINES, tmp_path))
    assert "planted" not in shown
    assert TOKEN not in shown


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SLACK_WEBHOOK_URL", "planted", "must be an address such as https://hooks.slack.com/services/…"),
        (
            "SLACK_WEBHOOK_URL",
            "https://hooks.slack.com/triggers/planted",
            "the address of an incoming webhook",
        ),
        ("SLACK_WEBHOOK_URL", "https://a:planted@hooks.example/x", "must be without a login"),
        ("TELEGRAM", TOKEN, "must be the bot's token, @ and the chat's number"),
        ("TELEGRAM", f"{TOKEN}@planted_channel", "the chat's number, not its name"),
        ("NTFY_URL", "https://ntfy.example/", "must be the address of one topic"),
        ("NTFY_URL", "https://ntfy.example/a/planted", "must be the address of one topic"),
        ("NTFY_URL", "https://planted@ntfy.example/topic", "a login needs a password"),
        ("WEBHOOK_URL", "ftp://planted.example/", "must be an address such as https://example.com/alerts"),
        ("WEBHOOK_URL", "https://planted.example:port/", "must be an address such as"),
        ("WEBHOOK_URL", "https://x.example/{{planted}}", "without quotes, braces, spaces and #"),
        ("WEBHOOK_URL", "https://x.example/plänted", "without quotes, braces, spaces and #"),
        ("WEBHOOK_URL", "https://x.example/%zzplanted", "write the sign itself as %25"),
        ("WEBHOOK_URL", "https://a|planted/", "must be an address such as"),
        ("WEBHOOK_URL", "https://:planted%0a@x.example/", "the login holds a control character"),
        ("HEARTBEAT_URL", "planted", "must be an address such as https://hc-ping.com/your-uuid"),
        ("PAGERDUTY_ROUTING_KEY", "planted", "32 letters and digits of an Events API v2 integration"),
    ],
)
def test_a_faulty_receiver_says_the_mend_and_nothing_of_its_line(
    tmp_path: Path, name: str, value: str, message: str
) -> None:
    (told,) = faults(tmp_path, **{name: value})
    assert told.startswith(f".env: {name}: ")
    assert message in told
    assert "planted" not in told
    assert TOKEN not in told
