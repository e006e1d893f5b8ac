"""Somebody tries to make it act wrongly: aged decisions, edits in the middle, full disks, gone services."""

import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.servers.kept import KeptConnections
from core.servers.server import CommandResult, Server, SshSettings
from remediator.acting import stages
from remediator.clock import SteadyClock
from remediator.deciding.whereabouts import OwnMachine, neighbours_of
from remediator.errors import StartError
from remediator.model.action import Progress, Step
from remediator.model.facts import Sites
from remediator.model.seen import SiteState
from remediator.store.only_one import only_one
from tests.remediator.doubles import API, HOSTILE, SITES, WEBHOOK, Lab, lab, slower
from tests.waiting import until

ONE_RESTART = ["restart_container www web nginx"]


def attempts(at_work: Lab) -> list[tuple[str, str | None]]:
    return [(one["stage"], one["reason"]) for one in at_work.incident("www")["attempts"]]


def first_abandoned(at_work: Lab) -> str | None:
    until(lambda: attempts(at_work) and attempts(at_work)[0][0] == "abandoned", 5, "it abandoned", every=0.02)
    return attempts(at_work)[0][1]


def test_a_server_that_lets_us_in_by_now_is_not_rebooted(
    at_work: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "LOOK_STAYS_TRUE", -1.0)
    at_work.exporter.failing |= {"www": "timeout", "docs": "timeout"}
    at_work.ssh[:] = ["unreachable", "ok"]
    at_work.post("www")
    assert first_abandoned(at_work) == "server_answers"
    assert at_work.wait("www", "recovered")["outcome"] == "healed"
    assert at_work.ledger.lines() == ONE_RESTART


def test_a_decision_that_has_aged_is_taken_anew(tmp_path: Path) -> None:
    with lab(tmp_path, timing=slower(act_within=0.5)) as at_work:
        at_work.exporter.failing["www"] = "status"
        slow = [0.7]
        prepare = at_work.restart.prepare

        def slowly(*given: Any) -> Any:
            time.sleep(slow.pop() if slow else 0.0)
            return prepare(*given)

        at_work.restart.prepare = slowly  # type: ignore[method-assign]
        at_work.post("www")
        assert first_abandoned(at_work) == "decided_too_long_ago"
        at_work.wait("www", "recovered")
        assert at_work.ledger.lines() == ONE_RESTART


def edited_before_the_act(at_work: Lab, old: str, new: str) -> None:
    prepare = at_work.restart.prepare

    def edited_meanwhile(*given: Any) -> Any:
        at_work.sites_file.write_text(SITES.replace(old, new))
        at_work.remediator.reload()
        return prepare(*given)

    at_work.restart.prepare = edited_meanwhile  # type: ignore[method-assign]


def test_a_server_that_gets_another_address_before_the_act_is_not_touched_on_the_old_one(
    at_work: Lab,
) -> None:
    at_work.exporter.failing["www"] = "status"
    edited_before_the_act(at_work, "medic@198.51.100.1", "medic@198.51.100.9")
    at_work.post("www")
    assert first_abandoned(at_work) == "target_gone"
    at_work.wait("www", "recovered")
    assert at_work.ledger.lines() == ONE_RESTART


@pytest.mark.parametrize("mode", ["approve", "observe"])
def test_a_mode_that_gets_stricter_before_the_act_holds_it_back(at_work: Lab, mode: str) -> None:
    at_work.exporter.failing["www"] = "status"
    edited_before_the_act(at_work, "container: nginx}", f"container: nginx, mode: {mode}}}")
    at_work.post("www")
    assert first_abandoned(at_work) == {"approve": "approval_needed", "observe": "observe_mode"}[mode]
    at_work.wait("www", {"approve": "awaiting_approval", "observe": "observing"}[mode])
    assert at_work.ledger.lines() == []


@pytest.mark.parametrize(
    ("old", "new"),
    [("{name: www,", "{name: renamed,"), ("server: web, container: nginx", "server: db, container: nginx")],
)
def test_a_site_renamed_or_moved_while_its_attempt_settles_frees_the_server(
    at_work: Lab, old: str, new: str
) -> None:
    at_work.exporter.failing["www"] = "status"
    at_work.exporter.healed = lambda _site: False
    at_work.restart.settling = lambda: Step(Progress.WAIT, "starting", retry_after=0.05)
    at_work.post("www")
    until(lambda: at_work.ledger.lines(), 5, "the act")
    at_work.exporter.canaries = [False]
    at_work.sites_file.write_text(SITES.replace(old, new))
    at_work.remediator.reload()
    assert first_abandoned(at_work) == "target_gone"
    assert at_work.ledger.lines() == ONE_RESTART


def test_a_pause_while_an_attempt_settles_keeps_hands_off_until_it_ends(at_work: Lab) -> None:
    at_work.exporter.failing["www"] = "status"
    asked: list[float] = []

    def settling() -> Step:
        asked.append(time.monotonic())
        return Step(Progress.WAIT if len(asked) < 3 else Progress.DONE, "starting", retry_after=0.05)

    def pause() -> None:
        at_work.client.post("/api/v1/pause", json={"scope": "server:web", "by": "ann"}, headers=API)

    at_work.restart.settling, at_work.restart.after = settling, pause
    at_work.post("www")
    until(lambda: attempts(at_work) and attempts(at_work)[0][0] == "settling", 5, "it settling")
    time.sleep(0.3)
    assert asked == []
    at_work.client.delete("/api/v1/pause", json={"scope": "server:web", "by": "ann"}, headers=API)
    at_work.wait("www", "recovered")
    assert at_work.ledger.lines() == ONE_RESTART


def test_an_exporter_that_goes_before_the_act_holds_it_until_it_is_back(at_work: Lab) -> None:
    at_work.exporter.failing["www"] = "status"
    prepare = at_work.restart.prepare

    def gone_meanwhile(*given: Any) -> Any:
        at_work.exporter.gone = True
        return prepare(*given)

    at_work.restart.prepare = gone_meanwhile  # type: ignore[method-assign]
    at_work.post("www")
    until(lambda: at_work.exporter.gone, 5, "the exporter gone")
    time.sleep(0.5)
    assert at_work.ledger.lines() == []
    at_work.restart.prepare = prepare  # type: ignore[method-assign]
    at_work.exporter.gone = False
    at_work.wait("www", "recovered")
    assert at_work.ledger.lines() == ONE_RESTART


def test_an_exporter_that_answers_about_another_site_is_not_believed(at_work: Lab) -> None:
    answer = at_work.exporter.answer

    def mixed_up(path: str, query: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        if path == "/probe":
            return 200, {"site": "blog", "success": False, "reason": "status"}
        return answer(path, query)

    at_work.exporter.failing["www"] = "status"
    at_work.exporter.answer = mixed_up  # type: ignore[method-assign]
    at_work.post("www")
    at_work.decided("www", "no_fresh_probe")
    assert at_work.ledger.lines() == []


def test_without_an_alertmanager_healing_goes_on(at_work: Lab) -> None:
    at_work.alertmanager.gone = True
    at_work.exporter.failing |= {"www": "status", "shop": "dns"}
    at_work.post("www", "shop")
    at_work.wait("www", "recovered")
    at_work.wait("shop", "needs_human")
    assert at_work.ledger.lines() == ONE_RESTART
    until(lambda: at_work.metric("sitemedic_remediator_problems_total", problem="alertmanager"), 5, "it told")


def locked(path: Path, seconds: float, taken: threading.Event) -> None:
    other = sqlite3.connect(path, isolation_level=None, timeout=5)
    other.execute("BEGIN IMMEDIATE")
    taken.set()
    time.sleep(seconds)
    other.execute("ROLLBACK")
    other.close()


@pytest.mark.parametrize("seconds", [1.5, pytest.param(30.0, marks=pytest.mark.full)])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_database_locked_in_the_middle_of_an_act_repeats_nothing(
    at_work: Lab, tmp_path: Path, seconds: float, moment: str
) -> None:
    def lock_it() -> None:
        taken = threading.Event()
        threading.Thread(target=locked, args=(tmp_path / "remediator.db", seconds, taken)).start()
        assert taken.wait(5)

    setattr(at_work.restart, moment, lock_it)
    at_work.exporter.failing["www"] = "status"
    at_work.post("www")
    until(lambda: at_work.ledger.lines(), 5, "the act")
    assert at_work.wait("www", "recovered", seconds + 10)["outcome"] == "healed"
    assert at_work.ledger.lines() == ONE_RESTART


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk of 2 MiB."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder]
    mounted = subprocess.run(command, check=False, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("cannot mount a small disk here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_is_full_after_the_act_repeats_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, lab(disk) as at_work:
        ballast = disk / "ballast"

        def fill() -> None:
            with ballast.open("wb", buffering=0) as file:
                try:
                    while file.write(b"x" * 4096):
                        pass
                except OSError:
                    pass

        at_work.restart.after = fill
        at_work.exporter.failing["www"] = "status"
        at_work.post("www")
        problems = lambda: at_work.metric("sitemedic_remediator_problems_total", problem="store")  # noqa: E731
        until(problems, 5, "the full disk noticed")
        assert at_work.post("shop").status_code == 503
        ballast.unlink()
        assert at_work.wait("www", "recovered", 10)["outcome"] == "healed"
        assert at_work.ledger.lines() == ONE_RESTART


def test_two_remediators_never_work_with_one_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/remediator.db"
    with only_one(url), pytest.raises(StartError, match="another remediator"), only_one(url, patience=0.2):
        raise AssertionError("two")
    with only_one(url), only_one("postgresql://db/x"), only_one("sqlite://"):
        pass


def test_a_thousand_alerts_at_once_are_taken_in_and_nothing_is_touched(tmp_path: Path) -> None:
    names = [f"s{number}" for number in range(1000)]
    lines = [
        f'  - {{name: {one}, url: "http://h{one}/", recover: {{server: web, container: c}}}}' for one in names
    ]
    sites = SITES.replace("server: web, container: nginx", "server: db, container: nginx")
    with lab(tmp_path, sites + "\n".join(lines) + "\n", timing=slower(reconcile=0.5)) as at_work:
        at_work.exporter.sites += tuple(names)
        at_work.exporter.failing |= dict.fromkeys((*names, "www", "blog"), "status")
        answer = at_work.post(*names)
        assert answer.status_code == 200
        assert len(answer.json["opened"]) == 1000
        assert at_work.post(*names, status="resolved").status_code == 200
        until(lambda: at_work.metric("sitemedic_incidents_open", state="open") == 1000, 10, "all open")
        time.sleep(1.0)
        assert at_work.ledger.lines() == []


DEEP = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
ONE_ALERT = (
    b'{"version":"4","groupKey":"k","status":"firing","receiver":"r",'
    b'"alerts":[{"status":"firing","labels":%s}]}'
)


@pytest.mark.parametrize(
    "labels",
    [
        b'{"alertname":"SiteDown","site":"$(reboot)"}',
        b'{"alertname":"SiteDown","site":"www; docker restart nginx"}',
        b'{"alertname":"SiteDown","site":"www\\u0000"}',
        b'{"alertname":"SiteDown","site":"../../etc/passwd"}',
        b'{"alertname":"SiteDown","site":"' + b"w" * 1_000_000 + b'"}',
        b'{"alertname":"SiteDown","site":{"a":"www"}}',
        b'{"alertname":"SiteDown","site":"\\ud800"}',
        b'{"alertname":"SiteDown","site":"\xff\xfe"}',
        b'{"alertname":"SiteDown","site":"www\x00"}',
        b'{"alertname":["SiteDown"],"site":"www"}',
        DEEP,
    ],
)
def test_hostile_labels_choose_nothing_and_break_nothing(at_work: Lab, labels: bytes) -> None:
    at_work.exporter.failing["www"] = "status"
    answer = at_work.client.post("/webhook/alertmanager", data=ONE_ALERT % labels, headers=WEBHOOK)
    assert answer.status_code in (200, 400)
    if answer.status_code == 200:
        assert answer.json == {"opened": [], "woken": []}
    assert at_work.client.get("/api/v1/incidents", headers=API).json["incidents"] == []
    assert at_work.ledger.lines() == []


def test_log_lines_are_shown_only_with_the_token(at_work: Lab) -> None:
    at_work.exporter.failing["www"] = "timeout"
    at_work.post("www")
    number = at_work.wait("www", "recovered")["id"]
    for lines_of in (lambda one: one["look"]["evidence"], lambda one: one["attempts"][0]["evidence"]):
        assert at_work.client.get(f"/api/v1/incidents/{number}").status_code == 401
        known = at_work.client.get(f"/api/v1/incidents/{number}", headers=API).json
        assert lines_of(known)["log_tail"] == [HOSTILE]


def state(name: str, instance: str, success: bool = True) -> tuple[str, SiteState]:
    return name, SiteState(name, success, part_of=name, instance=instance)


def test_a_site_at_the_servers_own_address_is_its_neighbour_although_it_names_no_server() -> None:
    server = Server("web", SshSettings("203.0.113.7"), linode=7, may_reboot=True)
    sites = Sites(
        [
            state("www", "https://acme.example/", success=False),
            state("down", "http://203.0.113.7:81/", success=False),
            state("blog", "http://203.0.113.7:82/"),
            state("api", "https://ACME.example/health"),
            state("far", "https://far.example/"),
            state("moved", "https://acme.example/moved"),
        ]
    )
    servers = {"www": "web", "moved": "db", "other": "web"}
    assert neighbours_of("www", server, servers, sites) == ["api", "blog", "other", "down"]
    tunnel = Server("web", SshSettings("127.0.0.1", 2222))
    here = Sites([state("www", "http://127.0.0.1:1/"), state("prometheus", "http://127.0.0.1:9090/")])
    assert neighbours_of("www", tunnel, {"www": "web"}, here) == []


def test_a_reboot_waits_for_every_neighbour_also_behind_the_twentieth(tmp_path: Path) -> None:
    names = [f"n{number:02}" for number in range(30)]
    lines = [
        f'  - {{name: {one}, url: "http://h{one}/", recover: {{server: web, container: c}}}}' for one in names
    ]
    with lab(tmp_path, SITES + "\n".join(lines) + "\n") as at_work:
        at_work.exporter.sites += tuple(names)
        at_work.exporter.failing |= dict.fromkeys(("www", "docs", *names[:-1]), "timeout")
        at_work.ssh[0] = "unreachable"
        at_work.post("www")
        assert at_work.wait("www", "needs_human")["reason"] == "healthy_neighbour"
        assert at_work.ledger.lines() == []


def test_slow_neighbours_do_not_age_the_probe_that_is_acted_on(tmp_path: Path) -> None:
    """Four sites of a dead server, each of which takes its whole timeout to fail."""
    names = [f"n{number}" for number in range(4)]
    lines = [
        f'  - {{name: {one}, url: "http://h{one}/", recover: {{server: web, container: c}}}}' for one in names
    ]
    with lab(tmp_path, SITES + "\n".join(lines) + "\n", timing=slower(probe_max_age=1.0)) as at_work:
        answer = at_work.exporter.answer

        def slowly(path: str, query: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
            if path == "/probe":
                time.sleep(0.5)
            return answer(path, query)

        at_work.exporter.answer = slowly  # type: ignore[method-assign]
        at_work.exporter.sites += tuple(names)
        at_work.exporter.failing |= dict.fromkeys(("www", "docs", *names), "timeout")
        at_work.ssh[0] = "unreachable"
        at_work.post("www")
        assert at_work.wait("www", "recovered", 15)["outcome"] == "healed"
        assert at_work.ledger.lines() == ["reboot_linode www web nginx"]


@pytest.mark.parametrize(
    ("server", "ours"),
    [
        (Server("a", local=True), True),
        (Server("a", SshSettings("localhost")), True),
        (Server("a", SshSettings("127.0.0.1")), True),
        (Server("a", SshSettings("127.0.0.1", 2222)), False),
        (Server("a", SshSettings("198.51.100.1")), False),
        (Server("a", SshSettings("nowhere.invalid")), False),
    ],
)
def test_our_own_machine_is_known_by_its_addresses(server: Server, ours: bool) -> None:
    assert OwnMachine().is_server(server, None) is ours


def test_a_container_of_ours_is_not_restarted_through_our_own_ssh_either(tmp_path: Path) -> None:
    sites = SITES.replace("medic@198.51.100.1", "medic@127.0.0.1").replace("nginx", "sitemedic-exporter-1")
    with lab(tmp_path, sites) as at_work:
        at_work.exporter.failing["www"] = "status"
        at_work.post("www")
        assert at_work.wait("www", "needs_human")["reason"] == "own_container"
        assert at_work.ledger.lines() == []


def jumping(offset: list[float]) -> Callable[[], float]:
    return SteadyClock(wall=lambda: time.time() + offset[0]).now


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_clock_that_is_set_during_an_act_lets_no_second_one_through_and_blocks_nothing(
    tmp_path: Path, jump: float
) -> None:
    offset = [0.0]
    with lab(tmp_path, now=jumping(offset)) as at_work:
        at_work.restart.after = lambda: offset.__setitem__(0, jump)
        at_work.exporter.failing["www"] = "status"
        at_work.post("www")
        assert at_work.wait("www", "recovered")["outcome"] == "healed"
        assert at_work.ledger.lines() == ONE_RESTART


def test_an_hour_that_only_the_clock_has_seen_gives_no_new_budget(tmp_path: Path) -> None:
    offset = [0.0]
    sites = SITES.replace("attempts: 3", "attempts: 1")
    with lab(tmp_path, sites, now=jumping(offset)) as at_work:
        at_work.exporter.failing["www"] = "status"
        at_work.exporter.healed = lambda _site: False
        at_work.restart.settling = lambda: Step(Progress.FAILED, "it died again")
        at_work.restart.after = lambda: offset.__setitem__(0, 3700.0)
        at_work.post("www")
        assert at_work.wait("www", "needs_human")["reason"] == "attempt_budget"
        assert at_work.ledger.lines() == ONE_RESTART


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_the_clock_follows_a_jump_slowly_and_never_backwards(jump: float) -> None:
    wall, steady = [1_000_000.0], [50.0]
    clock = SteadyClock(lambda: wall[0], lambda: steady[0])
    wall[0] += jump
    assert clock.now() == 1_000_000.0
    for _ in range(100):
        before = clock.now()
        steady[0] += 1.0
        wall[0] += 1.0
        assert 0.94 < clock.now() - before < 1.06
    steady[0] += 100_000.0
    wall[0] += 100_000.0
    assert clock.now() == pytest.approx(wall[0])


def test_what_a_wrong_clock_dated_years_ahead_holds_nothing_for_years(tmp_path: Path) -> None:
    years = 1e8
    with lab(tmp_path, now=lambda: time.time() + years) as ahead:
        ahead.exporter.failing["www"] = "status"
        ahead.exporter.healed = lambda _site: False
        ahead.post("www")
        until(lambda: ahead.ledger.lines(), 5, "the act")
        until(lambda: attempts(ahead)[0][0] == "verifying", 5, "it verifying")
    with lab(tmp_path) as after:
        assert after.wait("www", "recovered", 10)["outcome"] == "healed"
        assert after.ledger.lines() == ONE_RESTART
        after.exporter.healed = lambda _site: False
        after.exporter.failing["www"] = "dns"
        after.post("www")
        after.wait("www", "needs_human")
        after.exporter.failing.clear()
        after.wait("www", "recovered")


def test_what_keeps_us_out_of_a_server_is_told_at_the_start_and_kills_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with lab(tmp_path, start=False):
        told = [str(record.fields["fault"]) for record in caplog.records if hasattr(record, "fields")]
    assert any("known_hosts" in one for one in told)
    assert {one.split(": ")[0].split(".")[1] for one in told} == {"web", "db"}


def test_a_connection_is_kept_for_the_steps_of_an_attempt_unless_it_breaks() -> None:
    opened: list[str] = []

    class Line:
        def run(self, argv: list[str], timeout: float) -> CommandResult:
            return CommandResult(-1 if argv == ["lost"] else 0, "", "")

        def close(self) -> None:
            opened.append("closed")

    def open_(_server: Server) -> Any:
        opened.append("open")
        return Line()

    server = Server("web", SshSettings("198.51.100.1"))
    with KeptConnections(open_) as kept:
        for argv in (["true"], ["true"], ["lost"], ["true"]):
            with kept.connect(server) as lent:
                lent.run(argv, 1)
    assert opened == ["open", "closed", "open", "closed"]


def test_more_neighbours_than_are_asked_hold_a_reboot_unless_they_were_seen_failing(tmp_path: Path) -> None:
    names = [f"n{number:02}" for number in range(30)]
    lines = [
        f'  - {{name: {one}, url: "http://h{one}/", recover: {{server: web, container: c}}}}' for one in names
    ]
    with lab(tmp_path, SITES + "\n".join(lines) + "\n") as at_work:
        answer = at_work.exporter.answer

        def lagging(path: str, query: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
            status, found = answer(path, query)
            for one in found.get("sites", []):
                one["success"] = one["success"] or one["site"] in names
            return status, found

        at_work.exporter.answer = lagging  # type: ignore[method-assign]
        at_work.exporter.sites += tuple(names)
        at_work.exporter.failing |= dict.fromkeys(("www", "docs", *names), "timeout")
        at_work.ssh[0] = "unreachable"
        at_work.post("www")
        at_work.decided("www", "no_fresh_probe")
        assert at_work.ledger.lines() == []
