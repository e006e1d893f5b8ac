"""`config show`, and what `config check` finds unsafe."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stack.checked import faults
from stack.configure.config_cli import config_group
from stack.errors import StackError

KEYS = """
modules:
  private: {prober: http, http: {basic_auth: {username: me, password: hunter2}}}
  token: {prober: http, http: {bearer_token: hunter3, headers: {X-Api-Key: hunter7, X-A: b}}}
servers:
  web: {ssh: 203.0.113.7, linode: 1, may_reboot: true}
"""
SITES = """
sites:
  - name: shop
    url: https://me:hunter4@shop.example.com/health?token=hunter5
    recover: {server: web, container: nginx}
    needs: [db]
  - {name: db, url: "tcp://10.0.0.5:5432", module: tcp_connect}
  - {name: api, url: "https://api.example.com/?key=hunter6", module: private}
"""


def asked(folder: Path, *words: str) -> Result:
    command, *rest = words
    return CliRunner().invoke(config_group, [command, *rest, f"--config.file={folder / 'sites.yml'}"])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SMTP_HOST", "SMTP_PASSWORD", "LINODE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "keys").mkdir()
    for name in ("keys/id_ed25519", "known_hosts"):
        (tmp_path / name).touch(mode=0o600)
    (tmp_path / "sites.yml").write_text(KEYS + SITES)
    return tmp_path


def test_show_tells_settings_origins_and_what_they_come_to_without_a_password(folder: Path) -> None:
    shown = asked(folder, "show", "shop")
    assert shown.exit_code == 0, shown.output
    assert "hunter" not in shown.output
    lines = [" ".join(line.split()) for line in shown.output.splitlines()]
    assert lines[0] == "shop (sites.yml: sites[0])"
    assert "url https://shop.example.com/health?… sites[0]" in lines
    assert "interval 15s built in" in lines
    assert "recover.container nginx sites[0]" in lines
    assert "Probed every 15s with module http_2xx, 5s at most." in lines
    assert "Mailed: nobody." in lines
    assert "Healing (auto): restarts nginx on web as root@203.0.113.7:22." in lines
    assert "May reboot Linode 1." in lines
    assert "Healed only while these are healthy: db." in lines


def test_show_tells_the_playbook_and_where_it_comes_from(folder: Path) -> None:
    lines = asked(folder, "show", "shop").output.splitlines()
    assert "Playbook default (built in), the first step that what is found allows:" in lines
    assert "  answers wrongly: restart_container (2 times at most), a human" in lines
    assert lines[-2].startswith(
        "  does not answer: boot_linode (not allowed on this server), restart_container"
    )


PLAYBOOKS = """
playbooks:
  careful:
    answers_wrongly: [{action: restart_container, attempts: 3, wait: 5m, mode: approve}]
    does_not_answer: [boot_linode, reboot_linode]
  calm: {}
"""


def test_show_and_check_tell_of_a_playbook_of_ones_own(folder: Path) -> None:
    text = (
        (folder / "sites.yml").read_text().replace("container: nginx", "container: nginx, playbook: careful")
    )
    (folder / "sites.yml").write_text(text + PLAYBOOKS)
    lines = asked(folder, "show", "shop").output.splitlines()
    assert (
        "Playbook careful (sites.yml: playbooks.careful), the first step that what is found allows:" in lines
    )
    steps = "restart_container (3 times at most, then 5m of rest, mode approve), a human"
    assert f"  answers wrongly: {steps}" in lines
    told = asked(folder, "check").output
    assert (
        "Note: sites.yml: playbooks.careful: boot_linode is left out: none of its sites' servers has" in told
    )
    assert "playbooks.careful: reboot_linode" not in told
    assert "Note: sites.yml: playbooks.calm: no site has recover.playbook: calm" in told


def test_show_hides_what_an_address_asks_for(folder: Path) -> None:
    shown = asked(folder, "show", "api").output
    assert "https://api.example.com/?…" in shown
    assert "hunter" not in shown


def test_show_of_a_site_that_is_only_watched_says_so(folder: Path) -> None:
    assert "Healing: none." in asked(folder, "show", "db").output


def test_show_of_an_unknown_site_names_the_nearest(folder: Path) -> None:
    shown = asked(folder, "show", "shup")
    assert isinstance(shown.exception, StackError)
    assert "did you mean 'shop'?" in str(shown.exception)


def test_check_tells_what_is_unsafe_and_still_says_ok(folder: Path) -> None:
    env = folder / ".env"
    env.write_text(
        "SMTP_HOST=mail.example.com\nSMTP_FROM=a@example.com\nSMTP_TLS=none\nLINODE_TOKEN_FILE=keys/token\n"
    )
    env.chmod(0o644)
    (folder / "keys" / "token").write_text("x")
    (folder / "keys" / "token").chmod(0o644)
    (folder / "sites.yml").chmod(0o666)
    told = asked(folder, "check")
    assert told.exit_code == 0, told.output
    assert "hunter" not in told.output
    unsafe = [line.removeprefix("Unsafe: ") for line in told.output.splitlines() if line.startswith("Unsafe")]
    for beginning in (
        "sites.yml: modules.private.http.basic_auth.password: a secret stands in it",
        "sites.yml: modules.token.http.bearer_token: a secret stands in it",
        "sites.yml: modules.token.http.headers.X-Api-Key: seems to hold a secret",
        "sites.yml: sites[0].url: a password stands in the file",
        f".env: others on this machine may read it: chmod 600 {env}",
        ".env: LINODE_TOKEN_FILE: others on this machine may read it",
        "sites.yml: anybody here may change it",
        "sites.yml: canaries: there are none",
        "sites.yml: servers.web.ssh: logs in as root",
        ".env: SMTP_TLS=none: mails to mail.example.com go over the network in the open",
    ):
        assert [line for line in unsafe if line.startswith(beginning)], (beginning, unsafe)
    assert len(unsafe) == 10, unsafe
    assert told.output.splitlines()[-1].endswith("sites.yml: ok, 3 sites, 1 server")


def test_check_finds_nothing_unsafe_where_nothing_is(folder: Path) -> None:
    (folder / "sites.yml").write_text(
        """
canaries: [https://a.example.org/, "tcp://198.51.100.1:443"]
defaults: {email: a@example.com}
servers: {web: {ssh: medic@203.0.113.7}}
sites: [{name: shop, url: "https://shop.example.com/?to=a@b", recover: {server: web, container: nginx}}]
"""
    )
    (folder / ".env").write_text("SMTP_HOST=\n")
    (folder / ".env").chmod(0o600)
    told = asked(folder, "check")
    assert told.exit_code == 0, told.output
    assert "Unsafe" not in told.output


def test_one_canary_alone_is_told(folder: Path) -> None:
    text = (folder / "sites.yml").read_text()
    (folder / "sites.yml").write_text('canaries: ["https://me:hunter8@a.example.org/"]\n' + text)
    told = asked(folder, "check").output
    assert "canaries: there is only one" in told
    assert "canaries[0]: a password stands in the file" in told
    assert "hunter" not in told


def test_check_has_docker_compose_read_its_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = folder / "bin"
    programs.mkdir()
    compose = programs / "docker-compose"
    compose.write_text('#!/bin/sh\necho "$@" >> ' + str(folder / "asked") + "\n")
    compose.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    assert asked(folder, "check").exit_code == 0
    assert (folder / "asked").read_text().splitlines()[-1].endswith("docker-compose.yml config --quiet")
    compose.write_text('#!/bin/sh\n[ "$1" = version ] || { echo "services.x: bad" >&2; exit 15; }\n')
    refused = asked(folder, "check")
    assert isinstance(refused.exception, StackError)
    assert "docker-compose refuses it:\n  services.x: bad" in str(refused.exception)


def test_what_compose_says_holds_no_value_of_the_env(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = folder / "bin"
    programs.mkdir()
    compose = programs / "docker-compose"
    compose.write_text(f'#!/bin/sh\n[ "$1" = version ] || {{ cat {folder}/.env >&2; exit 15; }}\n')
    compose.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    (folder / ".env").write_text("API_TOKEN='hunter7 $x'\nWEBHOOK_TOKEN=hunter8\n")
    refused = asked(folder, "check")
    assert "WEBHOOK_TOKEN=********" in str(refused.exception)
    assert "hunter" not in str(refused.exception)


def test_check_tells_the_faults_of_both_files_at_once(folder: Path) -> None:
    (folder / "sites.yml").write_text("sites: [{name: a, url: ftp://x/}]")
    (folder / ".env").write_text("EXPORTER_PORT=http\n")
    told = str(asked(folder, "check").exception)
    assert "sites.yml: sites[0].url: must begin with" in told
    assert ".env: EXPORTER_PORT: must be a port" in told


def test_what_amtool_says_holds_no_secret(tmp_path: Path) -> None:
    secrets = tmp_path / "alertmanager" / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "webhook_url").write_text("http://x.example/%zzhunter9")
    (tmp_path / "alertmanager" / "alertmanager.yml").write_text(
        "route: {receiver: a}\n"
        "receivers: [{name: a, webhook_configs: [{url: 'http://x.example/%zzhunter9'}]}]\n"
    )
    told = next(line for line in faults(tmp_path) if line.startswith("alertmanager/"))
    assert "http://x.example/********" in told
    assert "hunter" not in told


def test_check_notes_what_in_env_is_hardly_meant_and_shows_no_value(folder: Path) -> None:
    env = folder / ".env"
    env.write_text(
        "SMTP_HOST=hunter1\nSMTP_FROM=me@example.com\nSMTP_HOST=smtp.example.com\nLINODETOKEN=hunter2\n"
        "SMTP_PASSWORD=hunter3 #4\nSMTP_PORT=587 # submission\nSMTP_USERNAME=me\n"
        "API_TOKEN='long enough #6'\nMY_OWN=x\n"
    )
    env.chmod(0o600)
    shown = asked(folder, "check")
    assert shown.exit_code == 0, shown.output
    assert [line for line in shown.output.splitlines() if ".env" in line] == [
        "Note: .env: SMTP_HOST is set 2 times: the last one counts",
        "Note: .env: nothing reads LINODETOKEN (did you mean LINODE_TOKEN?)",
        "Note: .env: line 5: SMTP_PASSWORD ends before the #: in single quotes it is a part of it",
    ]
    assert "hunter" not in shown.output
