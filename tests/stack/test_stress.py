"""`./sitemedic stress`: its profiles, its timeline, and what it says where it cannot begin."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import requests

from demo.app.bounds import Bounds
from demo.stress.profiles import PROFILES
from demo.stress.told import Endpoint, Progress, read
from stack.errors import StackError
from stack.story.seen import AttemptSeen, IncidentSeen, MailSeen, SiteSeen
from stack.stress.load import running_load
from stack.stress.screen import StressScreen
from stack.stress.seen import AlertSeen, ContainerSeen, Look, alerts_seen, mailed_seen
from stack.stress.services import need_application
from stack.stress.timeline import Kind, Timeline
from tests.demo.parts import ROOT, running
from tests.end_to_end.stack import run
from tests.ports import free_port
from tests.waiting import until

CPU = PROFILES["cpu"]
UP = SiteSeen(True, None, "", None, None, 0.01)
IDLE = ContainerSeen("demo-shop", "running", 0.01, 60, 256)
ALERT = AlertSeen("ContainerHighCPU", "demo-shop", True, "shop: container demo-shop uses 13% of its CPU")
BEFORE = Look(
    100.0,
    {"shop": UP},
    (IDLE,),
    (),
    mails=(MailSeen(1, 50.0, ("a@b.example",), "[DOWN] shop"),),
    incidents=(),
)


@contextmanager
def application(folder: Path) -> Iterator[str]:
    """Run the demo application; yield its address."""
    port = free_port()
    environment = {**os.environ, "DEMO_DATABASE_URL": f"sqlite:///{folder / 'shop.db'}"}
    with running("app", "--port", str(port), env=environment):
        until(lambda: _answers(port), 30, "the application")
        yield f"http://127.0.0.1:{port}"


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/health", timeout=2).ok
    except requests.RequestException:
        return False


def test_no_profile_asks_for_more_than_the_application_allows_at_once() -> None:
    bounds = Bounds()
    for profile in PROFILES.values():
        asking = {path: crowd.users for crowd in profile.crowds for path in crowd.paths}
        assert sum(users for path, users in asking.items() if path.startswith("/cpu")) <= bounds.burners
        assert (
            sum(users for path, users in asking.items() if path.startswith("/slow")) <= bounds.slow_requests
        )
        assert profile.users < bounds.threads + 8


def test_the_profiles_are_those_that_are_promised() -> None:
    assert list(PROFILES) == ["light", "cpu", "memory", "database", "errors", "extreme"]


@pytest.mark.parametrize("line", ["", "Locust says", "{}", "[]", "3", '{"name": "x", "colour": 1}'])
def test_whatever_else_the_load_prints_is_no_figure(line: str) -> None:
    assert read(line) is None


def told(timeline: Timeline) -> list[tuple[float, Kind, str]]:
    return [(moment.time, moment.kind, moment.text) for moment in timeline.moments]


def test_what_was_there_before_the_load_is_none_of_its_doing() -> None:
    timeline = Timeline(CPU, replace(BEFORE, alerts=(ALERT,)))
    assert timeline.take(replace(BEFORE, time=101.0, alerts=(ALERT,))) == []
    assert (timeline.firing, timeline.expected, timeline.missing) == ([], [], [])
    timeline.take(replace(BEFORE, time=102.0, alerts=()))
    assert [moment.kind for moment in timeline.take(replace(BEFORE, time=103.0, alerts=(ALERT,)))] == [
        Kind.ALERT
    ]


def test_an_alert_its_mail_and_its_end_are_told_once_and_in_their_order() -> None:
    timeline = Timeline(CPU, BEFORE)
    mail = MailSeen(2, 109.5, ("a@b.example",), "[SITEMEDIC] shop", "docs/runbooks/ContainerHighCPU.md")
    over = MailSeen(3, 120.0, ("a@b.example",), "[RESOLVED] shop", "docs/runbooks/ContainerHighCPU.md")
    fires = replace(BEFORE, time=110.0, alerts=(ALERT,), mails=(*(BEFORE.mails or ()), mail))
    for look in (fires, fires, replace(fires, time=121.0, alerts=(), mails=(*(fires.mails or ()), over))):
        timeline.take(look)
    assert [(at, kind) for at, kind, _ in told(timeline)] == [
        (109.5, Kind.MAIL),
        (110.0, Kind.ALERT),
        (120.0, Kind.MAIL),
        (121.0, Kind.RESOLVED),
    ]
    assert timeline.missing == []


def test_what_a_profile_expects_is_missing_until_it_fires_and_is_mailed() -> None:
    timeline = Timeline(CPU, BEFORE)
    assert timeline.missing == ["ContainerHighCPU", "a mail about ContainerHighCPU"]
    timeline.take(replace(BEFORE, alerts=(replace(ALERT, firing=False),)))
    assert timeline.pending
    assert "ContainerHighCPU" in timeline.missing
    timeline.take(replace(BEFORE, alerts=(ALERT,)))
    assert timeline.missing == ["a mail about ContainerHighCPU"]


def test_a_mail_about_its_end_does_not_stand_for_the_one_that_tells_of_it() -> None:
    timeline = Timeline(CPU, BEFORE)
    over = MailSeen(2, 120.0, ("a@b.example",), "[RESOLVED] shop", "docs/runbooks/ContainerHighCPU.md")
    timeline.take(replace(BEFORE, alerts=(ALERT,), mails=(over,)))
    assert timeline.missing == ["a mail about ContainerHighCPU"]


def test_without_a_mailbox_the_mails_that_alertmanager_has_sent_are_counted() -> None:
    before = replace(BEFORE, mails=None, mailed=4)
    timeline = Timeline(CPU, before)
    assert timeline.take(replace(before, mailed=None)) == []
    assert [moment.text for moment in timeline.take(replace(before, mailed=6))] == [
        "Alertmanager has sent 2 mails"
    ]
    assert timeline.missing == ["ContainerHighCPU"]


def test_an_action_is_told_at_the_time_at_which_it_was_done() -> None:
    timeline = Timeline(PROFILES["errors"], BEFORE)
    attempt = AttemptSeen(7, "restart_container", "verifying", 111.0, 112.5, None, "", None)
    incident = IncidentSeen(3, "shop", "acting", 110.5, None, None, "", "", (attempt,))
    timeline.take(replace(BEFORE, time=113.0, incidents=(incident,)))
    assert timeline.healing
    healed = replace(incident, state="recovered", closed_at=118.0, outcome="healed")
    timeline.take(replace(BEFORE, time=119.0, incidents=(healed,)))
    assert not timeline.healing
    assert told(timeline) == [
        (110.5, Kind.INCIDENT, "the remediator opens incident 3 about shop"),
        (112.5, Kind.ACTION, "restart_container for shop"),
        (118.0, Kind.INCIDENT, "incident 3 ends: healed"),
    ]


def test_a_site_that_fails_or_is_slow_and_a_container_that_ends_are_told() -> None:
    timeline = Timeline(CPU, BEFORE)
    down = replace(UP, success=False, detail="answered 500", failing_since=104.0)
    timeline.take(
        replace(BEFORE, time=105.0, sites={"shop": down}, containers=(replace(IDLE, state="exited"),))
    )
    timeline.take(replace(BEFORE, time=108.0, sites={"shop": replace(UP, slow_since=107.0, duration=0.8)}))
    timeline.take(replace(BEFORE, time=110.0))
    assert told(timeline) == [
        (104.0, Kind.SITE, "shop fails: answered 500"),
        (105.0, Kind.CONTAINER, "demo-shop is exited"),
        (107.0, Kind.SITE, "shop answers late (800 ms)"),
        (108.0, Kind.CONTAINER, "demo-shop is running"),
        (110.0, Kind.SITE, "shop answers as it should again"),
    ]


def test_the_most_that_a_container_used_is_kept() -> None:
    timeline = Timeline(CPU, BEFORE)
    for cpu, memory in ((0.2, 80), (0.9, 70), (None, None)):
        timeline.take(replace(BEFORE, containers=(replace(IDLE, cpu=cpu, memory=memory),)))
    assert (timeline.peaks["demo-shop"].cpu, timeline.peaks["demo-shop"].memory) == (0.9, 80)


def test_the_progress_tells_visitors_speed_failures_the_site_and_what_fires(
    capsys: pytest.CaptureFixture[str],
) -> None:
    timeline = Timeline(CPU, BEFORE)
    timeline.take(replace(BEFORE, alerts=(ALERT,), sites={"shop": replace(UP, slow_since=101.0)}))
    StressScreen().progress(12.0, 60.0, Progress(112.0, 8, 90, 3, 1, 9.5, 14.0, 2100.0), timeline)
    line = capsys.readouterr().out
    for word in ("12 of 60 s", "8 users", "9.5/s", "p50 14 ms, p95 2.1 s", "3 failed", "shop slow"):
        assert word in line
    assert line.rstrip().endswith("firing: ContainerHighCPU")


def test_the_summary_has_one_line_of_time_the_load_and_what_was_seen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    timeline = Timeline(CPU, BEFORE)
    timeline.loaded(101.0, "8 visitors begin")
    timeline.take(replace(BEFORE, time=131.5, alerts=(ALERT,), containers=(replace(IDLE, cpu=0.9),)))
    screen = StressScreen(to_error=True)
    screen.told(timeline, 101.0)
    screen.load(60.0, Progress(161.0, 0, 90, 3, 1, 9.5, 14.0, 2100.0), [Endpoint("/", 90, 3, 14, 20, 30)])
    screen.saw(timeline)
    told = capsys.readouterr()
    assert told.out == ""
    lines = [" ".join(line.split()) for line in told.err.splitlines()]
    assert "0.0 s load 8 visitors begin" in lines
    assert f"30.5 s alert firing ContainerHighCPU: {ALERT.summary}" in lines
    assert "90 requests in 1m, 3 failed, 1 refused by the shop's own bounds" in lines
    assert "/ 90 3 14 ms 20 ms 30 ms" in lines
    assert "alerts 1 (ContainerHighCPU)" in lines
    assert "still firing: ContainerHighCPU" in lines


def test_a_service_that_does_not_answer_once_ends_nothing() -> None:
    timeline = Timeline(CPU, BEFORE)
    timeline.take(replace(BEFORE, alerts=(ALERT,)))
    assert timeline.take(Look(130.0, faults=("prometheus does not answer",))) == []
    assert timeline.firing == ["ContainerHighCPU"]


def test_alerts_are_read_as_prometheus_tells_them() -> None:
    def alert(kind: str, state: str, **labels: str) -> dict[str, object]:
        return {"labels": {"alertname": kind, **labels}, "annotations": {"summary": "s"}, "state": state}

    answer = {
        "data": {
            "alerts": [
                alert("Watchdog", "firing"),
                alert("SiteDown", "pending", site="shop"),
                alert("ContainerHighCPU", "firing", site="shop", name="demo-shop", server="demo"),
            ]
        }
    }
    assert alerts_seen(answer) == (
        AlertSeen("SiteDown", "shop", False, "s"),
        AlertSeen("ContainerHighCPU", "demo-shop", True, "s"),
    )


def test_mails_are_counted_over_all_receivers_less_those_that_failed() -> None:
    metrics = """
alertmanager_notifications_total{integration="email",receiver_name="a"} 3
alertmanager_notifications_total{integration="email",receiver_name="b"} 2
alertmanager_notifications_total{integration="webhook",receiver_name="b"} 9
alertmanager_notifications_failed_total{integration="email",reason="other"} 1
"""
    assert mailed_seen(metrics) == 4


def test_the_load_is_what_its_profile_says_and_tells_its_figures_though_it_is_ended_early(
    tmp_path: Path,
) -> None:
    profile = PROFILES["errors"]
    with application(tmp_path) as url, running_load(profile.name, url, 300) as load:
        until(lambda: (how := load.news()) is not None and how.users == profile.users, 60, "all visitors")
        until(lambda: (how := load.news()) is not None and how.requests >= 30, 60, "what they ask for")
        load.stop()
        assert load.process.returncode == 0
        asked = {one.name: one for one in load.endpoints}
    assert set(asked) <= {path for crowd in profile.crowds for path in crowd.paths}
    assert asked["/errors?rate=0.3"].requests > asked["/errors?rate=0.3"].failures
    assert load.last is not None
    assert load.last.requests == sum(one.requests for one in load.endpoints)


@pytest.mark.full
def test_a_load_ends_by_itself(tmp_path: Path) -> None:
    with application(tmp_path) as url, running_load("light", url, 2) as load:
        until(lambda: not load.running, 60, "its end")
        load.finish()
        assert load.last is not None
        assert load.last.users == 0


@pytest.mark.full
def test_the_load_ends_with_whoever_began_it(tmp_path: Path) -> None:
    code = (
        "import time\nfrom stack.stress.load import running_load\n"
        "with running_load('light', 'http://127.0.0.1:9', 300) as load:\n"
        "    print(load.process.pid, flush=True)\n    time.sleep(300)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        until(lambda: not _lives(pid), 30, "the load's end")
    finally:
        process.kill()
        process.communicate()


def _lives(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_nothing_but_the_demo_application_is_put_under_load() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"status": "ok"}).encode())

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(StackError, match="is not Sitemedic's demo application"):
            need_application(f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()


def test_nothing_is_told_as_nothing() -> None:
    with pytest.raises(StackError, match="nothing answers at"):
        need_application(f"http://127.0.0.1:{free_port()}")


def test_without_a_running_sitemedic_it_says_what_to_start(tmp_path: Path) -> None:
    done = run("stress", "cpu", folder=tmp_path)
    assert done.returncode == 1
    assert "./sitemedic up" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("cpu", "--duration", "2h"), "30m or less"),
        (("cpu", "--duration", "soon"), "must be a duration"),
        (("everything",), "'light', 'cpu', 'memory', 'database', 'errors', 'extreme'"),
    ],
)
def test_what_it_does_not_know_is_refused_as_wrong_use(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    done = run("stress", *words, folder=tmp_path)
    assert done.returncode == 2
    assert said in done.stdout


def test_addresses_are_given_together_or_not_at_all(tmp_path: Path) -> None:
    done = run("stress", "cpu", "--prometheus.url", "http://127.0.0.1:9", folder=tmp_path)
    assert done.returncode == 1
    assert "--exporter.url, --remediator.url" in done.stdout
