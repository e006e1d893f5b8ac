"""`./sitemedic up` and `config check` by their command line: what is refused before anything starts."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stack.home import Home
from stack.settings import SERVICES
from stack.up import up
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
SITES = 'sites: [{name: www, url: "http://127.0.0.1:1/"}]\n'


def sitemedic(folder, *words, **environ):
    return subprocess.run(
        (sys.executable, "-m", "stack", *words),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"} | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def refused(done):
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_broken_sites_file_is_told_fault_by_fault_before_anything_starts(tmp_path):
    (tmp_path / "sites.yml").write_text('sites:\n  - {name: www, ulr: "http://x/"}\n  - {name: www}\n')
    told = refused(sitemedic(tmp_path, "up"))
    assert len(told.splitlines()) >= 2
    assert all(line.startswith("sites.yml: ") for line in told.splitlines())
    assert not (tmp_path / "data" / "logs").exists()


def test_a_taken_port_is_told_with_its_holder_before_anything_starts(tmp_path):
    (tmp_path / "sites.yml").write_text(SITES)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        told = refused(sitemedic(tmp_path, "up", PROMETHEUS_PORT=str(port)))
    assert f"port {port} (prometheus) is taken by pid {os.getpid()} (" in told
    assert "set PROMETHEUS_PORT in .env to another port" in told
    assert not (tmp_path / "data" / "logs").exists()


def test_state_without_a_sites_file_is_told(tmp_path):
    (tmp_path / "data" / "prometheus").mkdir(parents=True)
    assert "has state (data/prometheus) and no sites.yml" in refused(sitemedic(tmp_path, "up"))


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path):
    assert sitemedic(tmp_path, "up", "--dir", "nowhere").returncode == 2


def test_config_check_counts_sites_and_servers(tmp_path):
    (tmp_path / "sites.yml").write_text(SITES)
    done = sitemedic(tmp_path, "config", "check")
    assert done.stdout.splitlines()[-1] == "sites.yml: ok, 1 site, 0 servers"
    assert done.returncode == 0
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["sites.yml", "nosuch.yml"])
def test_config_check_tells_what_is_wrong_and_ends_with_1(tmp_path, name):
    (tmp_path / "sites.yml").write_text("sites: [{name: www}]\n")
    assert refused(sitemedic(tmp_path, "config", "check", f"--config.file={name}")).startswith(name)


def test_a_stack_that_was_killed_from_outside_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setattr("stack.up.guarded", lambda _: 128 + signal.SIGKILL)
    monkeypatch.setattr("stack.up.packages.ensure", lambda *_, **__: None)
    for name in SERVICES:
        monkeypatch.setenv(f"{name.upper()}_PORT", str(free_port()))
    (tmp_path / "sites.yml").write_text(SITES)
    said = []
    assert up(Home(tmp_path, demo=False), said.append) == 137
    assert "killed from outside" in said[-2]
