from pathlib import Path

import pytest

from core.faults import ConfigError
from stack.demo_parts import DemoPorts, adapted, begin_afresh, demo_parts
from stack.home import Home
from stack.services import ports, services
from stack.settings import load_settings


def by_name(home, **environ):
    return {one.name: one for one in services(home, load_settings(environ, home.data), environ)}


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path, demo=False)


def test_services_start_with_what_the_later_ones_need_first(home):
    assert list(by_name(home)) == ["exporter", "remediator", "alertmanager", "prometheus"]


def test_every_port_of_the_environment_reaches_its_service(home):
    environ = {
        "EXPORTER_PORT": "1001",
        "REMEDIATOR_PORT": "1002",
        "ALERTMANAGER_PORT": "1003",
        "PROMETHEUS_PORT": "1004",
    }
    for number, service in enumerate(by_name(home, **environ).values(), 1001):
        assert f"--web.listen-address=127.0.0.1:{number}" in service.argv
    wanted = ports(load_settings(environ, home.data))
    assert {port.setting: str(port.number) for port in wanted} == environ


def test_prometheus_keeps_enough_for_an_uptime_over_thirty_days(home):
    assert "--storage.tsdb.retention.time=35d" in by_name(home)["prometheus"].argv


def test_alertmanager_listens_for_no_cluster(home):
    assert "--cluster.listen-address=" in by_name(home)["alertmanager"].argv


def test_only_the_remediator_is_given_secrets(home, monkeypatch):
    monkeypatch.setenv("LINODE_TOKEN", "of-the-shell")
    found = by_name(home, LINODE_TOKEN="s3cret", SMTP_HOST="mail.example.com", SMTP_FROM="a@example.com")
    assert found["remediator"].env["LINODE_TOKEN"] == "s3cret"
    for name in ("exporter", "alertmanager", "prometheus"):
        assert not {"LINODE_TOKEN", "SMTP_PASSWORD", "WEBHOOK_TOKEN"} & set(found[name].env)
    assert not [word for one in found.values() for word in one.argv if "s3cret" in word]


def test_a_token_that_is_not_set_is_named_by_its_file(home):
    found = by_name(home, API_TOKEN="given")["remediator"].env
    assert found["API_TOKEN"] == "given"
    assert "API_TOKEN_FILE" not in found
    assert found["WEBHOOK_TOKEN_FILE"] == str(home.data / "secrets" / "webhook_token")
    assert Path(found["WEBHOOK_TOKEN_FILE"]).stat().st_mode & 0o777 == 0o600


def test_a_changed_mail_password_changes_no_service(home):
    mail = {"SMTP_HOST": "mail.example.com", "SMTP_USERNAME": "a@example.com"}
    assert by_name(home, **mail, SMTP_PASSWORD="old") == by_name(home, **mail, SMTP_PASSWORD="new")


def test_a_changed_linode_token_changes_the_remediator_alone(home):
    old, new = by_name(home, LINODE_TOKEN="old"), by_name(home, LINODE_TOKEN="new")
    assert [name for name in old if old[name] != new[name]] == ["remediator"]


def test_the_demo_never_sees_what_belongs_to_the_real_world(tmp_path):
    home = Home(tmp_path, demo=True)
    real = {
        "SMTP_HOST": "mail.example.com",
        "SMTP_PASSWORD": "s3cret",
        "LINODE_TOKEN": "s3cret",
        "PUBLIC_URL": "https://status.example.com",
        "PROMETHEUS_PORT": "9191",
    }
    seen = adapted(home, DemoPorts(), real)
    assert "s3cret" not in seen.values()
    assert seen["SMTP_HOST"] == "127.0.0.1"
    assert seen["LINODE_API_URL"].startswith("http://127.0.0.1:")
    assert "PUBLIC_URL" not in seen
    assert seen["PROMETHEUS_PORT"] == "9191"


def test_the_demos_ports_are_read_from_the_environment():
    given = DemoPorts.of({"DEMO_SITE_PORT": "8181"})
    assert given == DemoPorts(site=8181)
    assert (8181, "DEMO_SITE_PORT") in [(port.number, port.setting) for port in given.ports()]


def test_a_demo_port_that_is_none_is_told():
    with pytest.raises(
        ConfigError, match=r"\.env: DEMO_SSH_PORT: must be a port from 1 to 65535 \(got 'ssh'\)"
    ):
        DemoPorts.of({"DEMO_SSH_PORT": "ssh"})


def test_the_demo_writes_below_its_own_folder_only(tmp_path):
    home = Home(tmp_path, demo=True)
    parts = demo_parts(home, DemoPorts())
    assert [part.name for part in parts] == ["machine", "linode", "mailbox"]
    assert {path.relative_to(tmp_path).parts[:2] for path in tmp_path.rglob("*") if path.is_file()} == {
        ("data", "demo")
    }


def test_each_demo_begins_without_the_last_ones_history(tmp_path):
    home = Home(tmp_path, demo=True)
    for name in (
        "prometheus/wal",
        "mailbox/1.eml",
        "remediator.db",
        "remediator.db-wal",
        "secrets/api_token",
    ):
        file = home.data / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    begin_afresh(home)
    left = [str(path.relative_to(home.data)) for path in home.data.rglob("*") if path.is_file()]
    assert left == ["secrets/api_token"]
