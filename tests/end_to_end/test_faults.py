"""What can be wrong on a new user's machine: one clear message each, that says what to do."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end.stack import run, up
from tests.linode_fake import LINODE, running_linode_api
from tests.ports import free_port
from tests.smtp_server import smtp_server
from tests.ssh_server import SshServer, running_ssh_server
from tests.waiting import until

needs_stack = pytest.mark.needs("prometheus", "prometheus-alertmanager", "sshd")


def written(folder: Path, ssh: SshServer, **server: Any) -> Path:
    """Write a sites.yml with one site that nobody serves, healed on the server."""
    content = {
        "defaults": {"email": "ops@acme.example"},
        "servers": {"web-1": {"ssh": ssh.options, **server}},
        "sites": [
            {
                "name": "shop",
                "url": f"http://127.0.0.1:{free_port()}/",
                "recover": {"server": "web-1", "container": "shop"},
            }
        ],
    }
    (folder / "sites.yml").write_text(yaml.safe_dump(content))
    return folder


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[SshServer]:
    with running_ssh_server(tmp_path / "ssh") as server:
        yield server


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def test_a_broken_sites_yml_is_told_whole_before_anything_starts(home: Path) -> None:
    (home / "sites.yml").write_text(
        "sites:\n"
        "  - {name: shop, url: 'http://a/', intervall: 3s, recover: {server: web, container: x}}\n"
        "  - {name: blog, url: 'http://b/', interval: 60s, timeout: 90s}\n"
    )
    done = run("up", folder=home)
    assert done.returncode == 1
    assert "sites.yml: sites[0].intervall: unknown key (did you mean 'interval'?)" in done.stdout
    assert "sites.yml: sites[1].timeout: must be below interval (got 1m30s, interval 1m)" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_taken_port_is_named_with_who_has_it(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("up", folder=home, PROMETHEUS_PORT=str(port))
    assert done.returncode == 1
    assert f"port {port} (prometheus) is taken by pid {os.getpid()}" in done.stdout
    assert "set PROMETHEUS_PORT in .env" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_missing_program_is_named_with_what_brings_it(home: Path) -> None:
    (home / "sites.yml").write_text("sites: [{name: shop, url: 'http://a/'}]\n")
    free = {
        f"{name}_PORT": str(free_port()) for name in ("EXPORTER", "PROMETHEUS", "ALERTMANAGER", "REMEDIATOR")
    }
    done = run("up", folder=home, PATH=str(home), **free)
    assert done.returncode == 1
    assert "Not installed here: prometheus, promtool, alertmanager, amtool" in done.stdout
    assert "apt-get install --no-install-recommends prometheus prometheus-alertmanager" in done.stdout
    assert "Traceback" not in done.stdout


@needs_stack
def test_a_wrong_smtp_password_an_unknown_host_key_and_a_wrong_linode_token_are_told(
    home: Path, ssh: SshServer
) -> None:
    ssh.known_hosts_file.write_text("")
    written(home, ssh, linode=LINODE, may_reboot=True)
    with smtp_server(login=("ops", "right")) as mailbox, running_linode_api() as linode:
        environ = {
            "SMTP_HOST": mailbox.host,
            "SMTP_PORT": str(mailbox.port),
            "SMTP_TLS": "none",
            "SMTP_USERNAME": "ops",
            "SMTP_PASSWORD": "planted-wrong-password",
            "SMTP_FROM": "sitemedic@acme.example",
            "LINODE_TOKEN": "planted-wrong-token",
            "LINODE_API_URL": linode.url,
        }
        with up(home, **environ) as running:
            until(lambda: running.said.count("WOULD NOT WORK") == 2, 20, "both faults of healing")
            said = running.said
        logs = "".join(log.read_text() for log in (home / "data/logs").iterdir())
    lines = said.splitlines()
    mail = next(line for line in lines if line.startswith("Mail:"))
    assert "refuses the login" in mail
    assert "SMTP_PASSWORD in .env" in mail
    assert any("Healing" in line and "ssh-keyscan" in line for line in lines)
    assert any("Healing" in line and "LINODE_TOKEN" in line for line in lines)
    assert "Traceback" not in said
    assert "planted" not in said + logs
