"""Heartbeat sites: calls to a real exporter, what it keeps, and that nobody sees the addresses."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from click.testing import CliRunner

from core.faults import ConfigError
from core.secrets import Secret
from exporter.health import Health
from exporter.heartbeats import book as heartbeats
from exporter.heartbeats.book import BURST, CallError, Heartbeats, Said
from exporter.heartbeats.file import HeartbeatFile
from exporter.reason import Reason
from exporter.state import Moment
from exporter.watched import Heartbeat, WatchedSite
from stack.configure.config_cli import config_group
from tests.exporter.loopback import run
from tests.exporter.running import ROOT, Exporter, exporter, write
from tests.exporter.test_configuration import configured
from tests.exporter.test_web_security import hashed
from tests.ports import free_port
from tests.waiting import until

TOKEN = "a-token-of-its-own-0123"


class Running(NamedTuple):
    """An exporter with heartbeat sites, and what their jobs call."""

    exporter: Exporter
    folder: Path
    urls: dict[str, str]

    def site(self, name: str) -> dict[str, Any]:
        return self.exporter.site(name)


@contextmanager
def hearing(folder: Path, sites: list[dict[str, Any]], *flags: str) -> Iterator[Running]:
    all_flags = (f"--storage.path={folder / 'state'}", *flags)
    with exporter(folder, {"sites": sites}, *all_flags) as running:
        yield Running(running, folder, urls(running, folder))


def urls(running: Exporter, folder: Path) -> dict[str, str]:
    words = ["heartbeat", f"--config.file={running.config}", f"--storage.path={folder / 'state'}"]
    done = CliRunner().invoke(config_group, [*words, f"--url={running.url}"], catch_exceptions=False)
    return dict(line.split() for line in done.output.splitlines())


def job(name: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "url": f"heartbeat://{name}", "every": "1d", "interval": "200ms", **keys}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("heartbeats")
    sites = [
        job("quick", every="1s", grace="1s"),
        job("rare", interval="1h"),
        job("timed"),
        job("never"),
        job("wild"),
        job("secret"),
    ]
    with hearing(folder, sites, "--log.level=debug", f"--results.file={folder / 'results'}") as running:
        yield running


def call(url: str, method: str = "GET", **options: Any) -> int:
    return requests.request(method, url, timeout=30, **options).status_code


def test_a_job_is_heard_and_its_silence_and_its_failure_are_told(shared: Running) -> None:
    url, metric = shared.urls["quick"], shared.exporter.metric
    until(lambda: shared.site("quick")["reason"] == "silent", 30, "silence")
    assert metric("sitemedic_probe_failure", site="quick", reason="silent") == 1
    assert metric("sitemedic_heartbeat_last_success_timestamp_seconds", site="quick") == 0
    assert call(url) == 200
    success = "sitemedic_heartbeat_last_success_timestamp_seconds"
    until(lambda: metric(success, site="quick") > 0, 30, "the call")
    assert call(f"{url}/fail?note=disk%20full") == 200
    until(lambda: shared.site("quick")["reason"] == "failed", 30, "the failure")
    assert shared.site("quick")["detail"] == "the job says that it failed: disk full"
    assert shared.site("quick")["instance"] == "heartbeat://quick"


@pytest.mark.parametrize(
    ("path", "options", "detail"),
    [
        ("/fail", {"method": "POST", "data": "no\nspace\x07"}, "the job says that it failed: no space"),
        ("?status=3", {}, "the job says that it failed with exit status 3"),
        ("/137", {}, "the job says that it failed with exit status 137"),
        ("/fail", {"method": "POST", "data": "x" * 5000}, f"the job says that it failed: {'x' * 199}…"),
    ],
)
def test_a_call_that_changes_something_is_seen_at_once_with_what_the_job_says(
    shared: Running, path: str, options: dict[str, Any], detail: str
) -> None:
    url = shared.urls["rare"]  # looked at by itself once an hour
    assert call(url) == 200
    assert shared.site("rare")["success"] is True
    assert call(f"{url}{path}", **options) == 200
    assert shared.site("rare")["detail"] == detail
    assert call(f"{url}?status=0") == 200
    assert shared.site("rare")["success"] is True


def test_the_duration_of_a_run_is_known(shared: Running) -> None:
    url, metric = shared.urls["timed"], shared.exporter.metric
    assert call(f"{url}/start") == call(url) == 200
    until(lambda: metric("sitemedic_heartbeat_run_duration_seconds", site="timed") > 0, 30, "the duration")
    due = metric("sitemedic_heartbeat_due_timestamp_seconds", site="timed")
    assert abs(due - time.time() - 86400 - 3600) < 600


def test_what_is_no_call_is_refused(shared: Running) -> None:
    url, base = shared.urls["never"], shared.exporter.url
    assert call(url, "HEAD") == call(url, "PUT") == 405
    assert call(f"{url}x") == call(f"{base}/heartbeat/unknown") == 404
    assert call(f"{base}/heartbeat/%F0%9F%92%A9") == 404
    assert call(f"{url}/later") == call(f"{url}?status=256") == call(f"{url}/start?status=1") == 400
    metric = shared.exporter.metric
    assert metric("sitemedic_exporter_heartbeat_calls_total", answer="unknown") == 3
    assert metric("sitemedic_heartbeat_last_success_timestamp_seconds", site="never") == 0


def test_a_job_that_runs_wild_is_held_back(shared: Running) -> None:
    url = shared.urls["wild"]
    with requests.Session() as session:
        answers = [session.get(url, timeout=30).status_code for _ in range(3 * BURST)]
    assert answers[:BURST] == [200] * BURST
    until(lambda: call(url) == 429 or None, 30, "a refusal", every=0.0)
    assert shared.exporter.metric("sitemedic_exporter_heartbeat_calls_total", answer="too_many") > 0


def test_the_address_is_nowhere_to_be_seen(shared: Running) -> None:
    url, asking = shared.urls["secret"], shared.exporter
    token = url.rpartition("/")[2]
    assert len(token) == 27
    assert call(f"{url}/fail") == call(url) == 200
    assert call(f"{url}/later") == 400
    pages = ("/", "/metrics", "/config", "/api/v1/sites", "/sd", "/badge/secret.svg", "/probe?site=secret")
    assert not [path for path in pages if token in asking.get(path).text]
    shown = CliRunner().invoke(config_group, ["show", "secret", f"--config.file={asking.config}"])
    assert "must be heard every 1d, with 1h of grace" in shown.output
    assert token not in shown.output
    assert token not in asking.said()
    for file in (shared.folder / "results", shared.folder / "state" / "heartbeats.json"):
        assert token not in file.read_text()
        assert file.stat().st_mode & 0o007 == 0
    assert (shared.folder / "state" / "heartbeat.key").stat().st_mode & 0o077 == 0


def test_a_probe_of_the_bare_target_says_who_knows(shared: Running) -> None:
    assert "probe_success 1\n" in shared.exporter.get("/probe", site="never").text
    bare = shared.exporter.get("/probe", target="heartbeat://never", module="heartbeat", debug="true").text
    assert "known to the running exporter only" in bare


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    with hearing(tmp_path, [job("backup")]) as before:
        assert call(f"{before.urls['backup']}/fail?note=disk+full") == 200
        before.exporter.process.send_signal(signal.SIGKILL)
        before.exporter.process.wait(10)
    with hearing(tmp_path, [job("backup")]) as after:
        until(lambda: after.site("backup")["detail"], 30, "the first look")
        assert after.site("backup")["detail"] == "the job says that it failed: disk full"
        assert after.urls["backup"].rpartition("/")[2] == before.urls["backup"].rpartition("/")[2]


def test_behind_a_password_the_token_is_enough_for_its_own_address_alone(tmp_path: Path) -> None:
    write(tmp_path / "web.yml", {"basic_auth_users": {"ops": hashed("secret")}})
    (tmp_path / "token").write_text(TOKEN)
    write(tmp_path / "sites.yml", {"sites": [job("backup", token_file="token")]})
    with behind_a_password(tmp_path) as url:
        assert call(f"{url}/heartbeat/{TOKEN}") == call(f"{url}/heartbeat/{TOKEN}/start") == 200
        assert call(f"{url}/heartbeat/other") == 404
        for path in ("/metrics", "/heartbeat", f"/heartbeat/{TOKEN}/../../metrics", "/heartbeat/x/y/z"):
            request = requests.Request("GET", url).prepare()
            request.url = f"{url}{path}"
            with requests.Session() as session:
                assert session.send(request, timeout=30).status_code == 401


@contextmanager
def behind_a_password(folder: Path) -> Iterator[str]:
    port, log = free_port(), folder / "log"
    flags = [f"--config.file={folder / 'sites.yml'}", f"--web.config.file={folder / 'web.yml'}"]
    command = [sys.executable, "-m", "exporter", *flags, f"--web.listen-address=127.0.0.1:{port}"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT)
    try:
        until(lambda: "exporter runs" in log.read_text(), 30, "the exporter")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


class Book:
    """Heartbeats without a server: one site with a token of its own, and a clock that is set by hand."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, every: str = "1m") -> None:
        self.folder, self.every, self.health = folder, every, Health()
        self.file = HeartbeatFile(folder / "state")
        self.now = Moment(1_790_000_000.0, 5000.0)
        monkeypatch.setattr(heartbeats, "_now", lambda: self.now)

    def sites(self, name: str = "backup", every: str = "") -> tuple[WatchedSite, ...]:
        (self.folder / "token").write_text(TOKEN)
        site = job(
            name, url="heartbeat://nightly", token_file="token", every=every or self.every, grace="10s"
        )
        return configured(self.folder, json.dumps({"sites": [site]})).sites

    def opened(self) -> Heartbeats:
        """Begin as a new process would."""
        found = Heartbeats(self.file, self.health)
        found._listened = self.now.monotonic
        found.follow(self.sites())
        return found

    def passes(self, seconds: float) -> None:
        self.now = Moment(self.now.wall + seconds, self.now.monotonic + seconds)

    def reason(self, found: Heartbeats) -> Reason | None:
        return found.look(self.sites()[0]).reason

    def file_errors(self) -> float:
        value = self.health.registry.get_sample_value("sitemedic_exporter_heartbeat_file_errors_total")
        assert value is not None
        return value


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    return Book(tmp_path, monkeypatch)


def test_silence_is_kept_over_a_restart_and_time_goes_on_meanwhile(book: Book) -> None:
    async def test() -> None:
        await book.opened().call(TOKEN, Said.SUCCESS)
        book.passes(5)
        later = book.opened()
        book.passes(64)
        assert book.reason(later) is None
        book.passes(2)
        assert book.reason(later) is Reason.SILENT
        await later.close()
        book.passes(3600)
        assert book.reason(book.opened()) is Reason.SILENT

    run(test())


def test_a_job_that_was_due_while_nobody_listened_is_waited_for_anew(book: Book) -> None:
    async def test() -> None:
        await book.opened().call(TOKEN, Said.SUCCESS)
        book.passes(3600)
        later = book.opened()
        assert book.reason(later) is None
        book.passes(69)
        assert book.reason(later) is None
        book.passes(2)
        assert book.reason(later) is Reason.SILENT

    run(test())


def test_a_halt_of_the_whole_process_is_no_silence_of_its_jobs(book: Book) -> None:
    async def test() -> None:
        found = book.opened()
        await found.call(TOKEN, Said.SUCCESS)
        book.passes(3600)
        assert book.reason(found) is None
        book.passes(71)
        assert book.reason(found) is Reason.SILENT

    run(test())


@pytest.mark.parametrize(
    "content",
    [None, "{", '{"version": 9}', "[]", '{"version": 1, "listened": NaN, "heartbeats": {}}',
     '{"version": 1, "listened": 1, "heartbeats": []}',
     '{"version": 1, "listened": 1, "heartbeats": {"nightly": {"since": 1e999}}}'],
)  # fmt: skip
def test_a_lost_book_is_told_and_its_times_begin_anew(
    book: Book, content: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        await book.opened().call(TOKEN, Said.FAILURE)
        (book.folder / "state" / "heartbeat.key").write_text("as if one had been needed")
        path = book.folder / "state" / "heartbeats.json"
        path.unlink() if content is None else path.write_text(content)
        assert book.reason(book.opened()) is None

    run(test())
    assert "their time begins anew" in caplog.text


def test_a_disk_that_takes_nothing_stops_no_job(book: Book, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        found = book.opened()
        (book.folder / "state" / "heartbeats.json").mkdir(parents=True)
        for _ in range(2):
            assert await found.call(TOKEN, Said.FAILURE) == "backup"
        assert book.reason(found) is Reason.FAILED

    run(test())
    assert book.file_errors() == 2
    assert caplog.text.count("heartbeats cannot be kept") == 1


def test_a_reload_keeps_what_was_heard_under_a_new_name_too(book: Book) -> None:
    async def test() -> None:
        found = book.opened()
        await found.call(TOKEN, Said.FAILURE)
        (renamed,) = book.sites("renamed", "2m")
        found.follow([renamed])
        assert found.look(renamed).reason is Reason.FAILED
        assert await found.call(TOKEN, Said.SUCCESS) == "renamed"

    run(test())


def test_a_token_that_was_changed_in_its_file_is_the_only_one(book: Book) -> None:
    async def test() -> None:
        found = book.opened()
        sites = book.sites()
        (book.folder / "token").write_text("another-token-9876543210\n")
        assert book.folder / "token" in configured(book.folder, (book.folder / "sites.yml").read_text()).files
        found.follow(configured(book.folder, (book.folder / "sites.yml").read_text()).sites)
        assert await found.call("another-token-9876543210", Said.SUCCESS) == sites[0].name
        with pytest.raises(CallError):
            await found.call(TOKEN, Said.SUCCESS)

    run(test())
    assert not (book.folder / "state" / "heartbeat.key").exists()


def test_a_key_that_cannot_be_kept_is_a_fault_with_its_mend(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file, no folder")
    with pytest.raises(ConfigError, match=r"key cannot be kept here.*--storage\.path"):
        HeartbeatFile(tmp_path / "state").token(Heartbeat("backup", 60.0, 60.0))


def test_tokens_are_derived_from_the_key_each_its_own(tmp_path: Path) -> None:
    jobs = [Heartbeat(name, 60.0, 60.0) for name in ("a", "b")]
    kept = [HeartbeatFile(tmp_path).token(one) for one in jobs]
    assert len(set(kept)) == 2
    assert kept == [HeartbeatFile(tmp_path).token(one) for one in jobs]
    key = Secret((tmp_path / "heartbeat.key").read_text().strip())
    assert kept == [HeartbeatFile(tmp_path / "none", key).token(one) for one in jobs]
    assert kept[0] not in {HeartbeatFile(tmp_path, Secret("other")).token(one) for one in jobs}
    assert not (tmp_path / "none").exists()
