"""Heartbeat sites in a real exporter: calls, silence, restarts, secrets."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from stack.configure.config_cli import config_group
from tests.exporter.running import ROOT, Exporter, exporter, write
from tests.exporter.test_web_security import hashed
from tests.ports import free_port
from tests.waiting import until

TOKEN = "a-token-of-its-own-0123"


def sites(*more: dict[str, Any], **keys: Any) -> dict[str, Any]:
    backup = {"name": "backup", "url": "heartbeat://nightly-backup", "every": "1d", "interval": "200ms"}
    return {"sites": [{**backup, **keys}, *more]}


@contextmanager
def heard(folder: Path, configuration: dict[str, Any], *flags: str) -> Iterator[tuple[Exporter, str]]:
    """Run an exporter; give it with the address of its site `backup`."""
    with exporter(folder, configuration, f"--storage.path={folder / 'state'}", *flags) as running:
        yield running, address(running, folder)


def address(running: Exporter, folder: Path, site: str = "backup") -> str:
    words = ["heartbeat", site, f"--config.file={running.config}", f"--storage.path={folder / 'state'}"]
    done = CliRunner().invoke(config_group, [*words, f"--url={running.url}"], catch_exceptions=False)
    name, url = done.output.split()
    assert name == site
    return url


@contextmanager
def behind_a_password(folder: Path) -> Iterator[str]:
    port, log = free_port(), folder / "log"
    flags = [f"--config.file={folder / 'sites.yml'}", f"--web.config.file={folder / 'web.yml'}"]
    command = [sys.executable, "-m", "exporter", *flags, f"--web.listen-address=127.0.0.1:{port}"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT)
    try:
        until(lambda: "exporter runs" in log.read_text(), 20, "the exporter")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def call(url: str, method: str = "GET", **options: Any) -> int:
    return requests.request(method, url, timeout=30, **options).status_code


def is_up(running: Exporter, up: bool = True) -> bool:
    return bool(running.site("backup")["success"] is up)


def test_a_job_is_heard_and_its_silence_and_its_failure_are_told(tmp_path: Path) -> None:
    with heard(tmp_path, sites(every="1s", grace="1s")) as (running, url):
        until(lambda: is_up(running, up=False), 20, "silence")
        assert running.site("backup")["reason"] == "silent"
        assert running.metric("sitemedic_probe_failure", site="backup", reason="silent") == 1
        assert running.metric("sitemedic_heartbeat_last_success_timestamp_seconds") == 0
        assert call(url) == 200
        until(
            lambda: running.metric("sitemedic_heartbeat_last_success_timestamp_seconds") > 0, 20, "the call"
        )
        assert call(f"{url}/fail?note=disk%20full") == 200
        until(lambda: running.site("backup")["reason"] == "failed", 20, "the failure")
        assert running.site("backup")["detail"] == "the job says that it failed: disk full"
        assert running.site("backup")["instance"] == "heartbeat://nightly-backup"


@pytest.mark.parametrize(
    ("path", "options", "detail"),
    [
        ("/fail", {"method": "POST", "data": "no\nspace\x07"}, "the job says that it failed: no space"),
        ("?status=3", {}, "the job says that it failed with exit status 3"),
        ("/137", {}, "the job says that it failed with exit status 137"),
        ("/fail", {"method": "POST", "data": "x" * 5000}, f"the job says that it failed: {'x' * 199}…"),
    ],
)
def test_a_failure_says_what_the_job_says(
    tmp_path: Path, path: str, options: dict[str, Any], detail: str
) -> None:
    with heard(tmp_path, sites(interval="1h", timeout="1s")) as (running, url):
        assert call(url) == 200
        until(lambda: is_up(running), 20, "the first call")
        # Long before its interval is over: a call that changes something is looked at at once.
        assert call(f"{url}{path}", **options) == 200
        assert running.site("backup")["detail"] == detail
        assert call(f"{url}?status=0") == 200
        assert is_up(running)


def test_the_duration_of_a_run_is_known(tmp_path: Path) -> None:
    with heard(tmp_path, sites()) as (running, url):
        assert call(f"{url}/start") == 200
        assert call(url) == 200
        until(lambda: running.metric("sitemedic_heartbeat_run_duration_seconds") > 0, 20, "the duration")
        due = running.metric("sitemedic_heartbeat_due_timestamp_seconds")
        assert abs(due - time.time() - 86400 - 3600) < 600


def test_what_is_no_call_is_refused(tmp_path: Path) -> None:
    with heard(tmp_path, sites()) as (running, url):
        assert call(url, "HEAD") == call(url, "PUT") == 405
        assert call(f"{url}x") == call(f"{running.url}/heartbeat/unknown") == 404
        assert call(f"{running.url}/heartbeat/%F0%9F%92%A9") == 404
        assert call(f"{url}/later") == call(f"{url}?status=256") == call(f"{url}/start?status=1") == 400
        assert running.metric("sitemedic_exporter_heartbeat_calls_total", answer="unknown") == 3
        assert running.metric("sitemedic_exporter_heartbeat_calls_total", answer="taken") == 0
        assert running.metric("sitemedic_heartbeat_last_success_timestamp_seconds") == 0


def test_a_job_that_runs_wild_is_held_back(tmp_path: Path) -> None:
    with heard(tmp_path, sites()) as (running, url):
        with requests.Session() as session:
            answers = [session.get(url, timeout=30).status_code for _ in range(200)]
        assert answers[:20] == [200] * 20
        assert 429 in answers
        assert running.metric("sitemedic_exporter_heartbeat_calls_total", answer="too_many") > 0


def test_a_restart_forgets_nothing_and_alerts_nobody(tmp_path: Path) -> None:
    with heard(tmp_path, sites()) as (running, url):
        assert call(f"{url}/fail?note=disk+full") == 200
        running.process.send_signal(signal.SIGKILL)
        running.process.wait(10)
    with heard(tmp_path, sites()) as (running, again):
        until(lambda: running.site("backup")["detail"], 20, "the first look")
        assert running.site("backup")["detail"] == "the job says that it failed: disk full"
        assert again.rpartition("/")[2] == url.rpartition("/")[2]


def test_a_job_that_was_due_while_nobody_listened_is_waited_for_anew(tmp_path: Path) -> None:
    with heard(tmp_path, sites(every="1m", grace="10s")) as (_, url):
        assert call(url) == 200
    book = tmp_path / "state" / "heartbeats.json"
    known = json.loads(book.read_text())
    known["listened"] -= 3600
    known["heartbeats"]["nightly-backup"].update(since=known["listened"], succeeded=known["listened"])
    book.write_text(json.dumps(known))
    with heard(tmp_path, sites(every="1m", grace="10s")) as (running, _):
        until(lambda: running.site("backup")["last_probe"], 20, "a look")
        assert running.metric("sitemedic_probe_failures_total", site="backup") == 0
        assert running.metric("sitemedic_heartbeat_due_timestamp_seconds") > time.time()


@pytest.mark.parametrize("content", [None, "{", '{"version": 9}'])
def test_a_lost_book_is_told_and_its_times_begin_anew(tmp_path: Path, content: str | None) -> None:
    with heard(tmp_path, sites()) as (_, url):
        assert call(url) == 200
    book = tmp_path / "state" / "heartbeats.json"
    book.unlink() if content is None else book.write_text(content)
    with heard(tmp_path, sites()) as (running, _):
        until(lambda: running.site("backup")["last_probe"], 20, "a look")
        assert is_up(running)
        assert "their time begins anew" in running.said()


def test_a_disk_that_takes_nothing_stops_no_job(tmp_path: Path) -> None:
    with heard(tmp_path, sites()) as (running, url):
        (tmp_path / "state" / "heartbeats.json.new").mkdir()
        assert call(url) == 200
        assert running.metric("sitemedic_heartbeat_last_success_timestamp_seconds") >= 0
        assert running.metric("sitemedic_exporter_heartbeat_file_errors_total") >= 1
        assert "heartbeats cannot be kept" in running.said()
        (tmp_path / "state" / "heartbeats.json.new").rmdir()


def test_a_reload_keeps_what_was_heard_under_a_new_name_too(tmp_path: Path) -> None:
    with heard(tmp_path, sites()) as (running, url):
        assert call(f"{url}/fail") == 200
        running.write(sites(name="renamed", every="2d"))
        running.post("/-/reload")
        until(lambda: running.site("renamed")["reason"] == "failed", 20, "its first look")
        assert call(url) == 200
        assert running.site("renamed")["success"] is True


def test_the_address_is_nowhere_to_be_seen(tmp_path: Path) -> None:
    flags = ("--log.level=debug", f"--results.file={tmp_path / 'results'}")
    with heard(tmp_path, sites(), *flags) as (running, url):
        token = url.rpartition("/")[2]
        assert call(f"{url}/fail") == call(url) == 200
        assert call(f"{url}/later") == 400
        pages = (
            "/",
            "/metrics",
            "/config",
            "/api/v1/sites",
            "/sd",
            "/badge/backup.svg",
            "/probe?site=backup",
        )
        assert not [path for path in pages if token in running.get(path).text]
        shown = CliRunner().invoke(config_group, ["show", "backup", f"--config.file={running.config}"])
        assert "must be heard every 1d, with 1h of grace" in shown.output
        assert token not in shown.output
        assert token not in running.said()
    for file in (tmp_path / "results", tmp_path / "state" / "heartbeats.json"):
        assert token not in file.read_text()
        assert file.stat().st_mode & 0o007 == 0
    assert (tmp_path / "state" / "heartbeat.key").stat().st_mode & 0o077 == 0


def test_a_token_of_its_own_is_taken_from_its_file_and_changed_there(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    flags = ("--config.auto-reload-interval=0.1",)
    with heard(tmp_path, sites(token_file="token"), *flags) as (running, url):
        assert url == f"{running.url}/heartbeat/{TOKEN}"
        assert call(url) == 200
        write(tmp_path / "token", "another-token-9876543210")
        until(lambda: call(f"{running.url}/heartbeat/another-token-9876543210") == 200, 20, "the new one")
        assert call(url) == 404
    assert not (tmp_path / "state" / "heartbeat.key").exists()


def test_behind_a_password_the_token_is_enough_for_its_own_address_alone(tmp_path: Path) -> None:
    write(tmp_path / "web.yml", {"basic_auth_users": {"ops": hashed("secret")}})
    (tmp_path / "token").write_text(TOKEN)
    write(tmp_path / "sites.yml", sites(token_file="token"))
    with behind_a_password(tmp_path) as url:
        assert call(f"{url}/heartbeat/{TOKEN}") == call(f"{url}/heartbeat/{TOKEN}/start") == 200
        assert call(f"{url}/heartbeat/other") == 404
        for path in ("/metrics", "/heartbeat", f"/heartbeat/{TOKEN}/../../metrics", "/heartbeat/x/y/z"):
            request = requests.Request("GET", url).prepare()
            request.url = f"{url}{path}"
            with requests.Session() as session:
                assert session.send(request, timeout=30).status_code == 401
