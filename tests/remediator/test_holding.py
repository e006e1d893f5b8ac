"""What holds healing back from outside: approvals, silences, maintenance windows, storms, a fresh start."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.model.holds import Answer, Approval, Pause
from remediator.store import approvals as store_approvals
from remediator.store.database import add_pause
from remediator.store.storm import last_storm
from tests.remediator.doubles import SITES, Lab, lab, slower
from tests.waiting import until

ONE_RESTART = ["restart_container www web nginx"]
APPROVE = SITES.replace("container: nginx}", "container: nginx, mode: approve}")


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Lab]:
    with lab(tmp_path, APPROVE) as found:
        yield found


def outage(at_work: Lab) -> dict[str, Any]:
    at_work.exporter.failing["www"] = "status"
    at_work.post("www")
    return at_work.wait("www", "awaiting_approval")


def question(at_work: Lab) -> Approval:
    with at_work.remediator.store.read() as connection:
        ((found, site),) = store_approvals.unanswered(connection)
    assert site == "www"
    return found


def answer(at_work: Lab, said: Answer, lasts: float = 60.0) -> Approval | None:
    asked = question(at_work)
    with at_work.remediator.store.write() as connection:
        found = store_approvals.answer(connection, asked.id, said, "Ada", time.time(), lasts)
    at_work.remediator.reconciler.wake([asked.incident_id])
    return found


def test_a_step_that_needs_approval_waits_for_a_person_with_its_evidence(asking: Lab) -> None:
    found = outage(asking)
    assert found["look"]["ssh"] == "ok"
    assert [one["verb"] for one in found["decisions"]] == ["look", "ask"]
    assert question(asking).action == "restart_container"
    assert asking.ledger.lines() == []
    answer(asking, Answer.APPROVED)
    ended = asking.wait("www", "recovered")
    assert asking.ledger.lines() == ONE_RESTART
    assert "restart container approved by Ada" in [one["text"] for one in ended["timeline"]]


def test_a_step_that_is_denied_is_a_humans(asking: Lab) -> None:
    outage(asking)
    answer(asking, Answer.DENIED)
    ended = asking.wait("www", "needs_human")
    assert (ended["reason"], asking.ledger.lines()) == ("approval_denied", [])


def test_an_answer_counts_once(asking: Lab) -> None:
    outage(asking)
    asked = question(asking)
    assert answer(asking, Answer.DENIED) is not None
    asking.wait("www", "needs_human")
    with asking.remediator.store.write() as connection:
        assert store_approvals.answer(connection, asked.id, Answer.APPROVED, "Bob", time.time(), 9.0) is None
    assert asking.ledger.lines() == []


def test_an_approval_that_ran_out_before_it_could_be_used_is_asked_for_again(asking: Lab) -> None:
    outage(asking)
    with asking.remediator.store.write() as connection:
        add_pause(connection, Pause("all", "Bob", "", time.time()))
    first = answer(asking, Answer.APPROVED, lasts=0.3)
    assert first is not None
    until(lambda: time.time() > (first.expires_at or 0), 5, "the approval to run out")
    asking.client.delete(
        "/api/v1/pause", json={"scope": "all"}, headers={"Authorization": "Bearer api-token"}
    )
    until(lambda: question(asking).id != first.id, 5, "a new question", every=0.05)
    assert asking.ledger.lines() == []


def test_an_approval_is_for_one_attempt(asking: Lab) -> None:
    asking.exporter.healed = lambda _site: False
    outage(asking)
    answer(asking, Answer.APPROVED)
    until(lambda: asking.ledger.lines() == ONE_RESTART, 5, "the restart")
    found = asking.wait("www", "awaiting_approval", 15)
    assert [one["stage"] for one in found["attempts"]] == ["failed"]
    assert asking.ledger.lines() == ONE_RESTART


def test_a_site_that_comes_back_by_itself_is_asked_about_no_more(asking: Lab) -> None:
    outage(asking)
    asking.exporter.failing.clear()
    assert asking.wait("www", "recovered")["outcome"] == "by_itself"
    with asking.remediator.store.read() as connection:
        assert store_approvals.unanswered(connection) == []


def test_a_silenced_site_is_left_alone_until_the_silence_ends(tmp_path: Path) -> None:
    with lab(tmp_path) as at_work:
        at_work.alertmanager.silenced.add("www")
        until(lambda: at_work.remediator.silenced("www"), 5, "the silence")
        at_work.exporter.failing["www"] = "status"
        at_work.post("www")
        at_work.decided("www", "silenced")
        assert at_work.ledger.lines() == []
        at_work.alertmanager.silenced.clear()
        at_work.wait("www", "recovered")
        assert at_work.ledger.lines() == ONE_RESTART


def test_silences_that_are_long_not_known_hold_healing_back(tmp_path: Path) -> None:
    with lab(tmp_path, timing=slower(silences_max_age=0.5)) as at_work:
        at_work.alertmanager.gone = True
        until(lambda: at_work.remediator.silenced("www") is None, 5, "an answer that is too old")
        at_work.exporter.failing["www"] = "status"
        at_work.post("www")
        at_work.decided("www", "silences_unknown")
        assert at_work.ledger.lines() == []
        at_work.alertmanager.gone = False
        at_work.wait("www", "recovered")


def test_nothing_is_healed_in_a_maintenance_window_and_all_after_it(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    begun, ends = now - timedelta(hours=1), now + timedelta(hours=1)
    times = f"from: '{begun:%Y-%m-%d %H:%M}', until: '{ends:%Y-%m-%d %H:%M}'"
    with lab(tmp_path, f"{SITES}\nmaintenance: [{{name: backup, {times}, sites: [www]}}]\n") as at_work:
        at_work.exporter.failing |= {"www": "status"}
        at_work.post("www")
        held = at_work.decided("www", "maintenance")
        assert "backup lasts until" in held["detail"]
        assert at_work.ledger.lines() == []
        at_work.sites_file.write_text(SITES)
        at_work.remediator.reload()
        at_work.wait("www", "recovered")


def test_after_a_storm_nothing_is_touched_for_a_while(tmp_path: Path) -> None:
    cooled = SITES.replace("storm_cooldown: 0", "storm_cooldown: 2s")
    with lab(tmp_path, cooled) as at_work:
        at_work.exporter.canaries = [False]
        at_work.exporter.failing["www"] = "status"
        at_work.post("www")
        at_work.decided("www", "canaries_fail")
        at_work.exporter.canaries = [True]
        at_work.decided("www", "storm_cooldown")
        assert at_work.ledger.lines() == []
        with at_work.remediator.store.read() as connection:
            storm = last_storm(connection)
        assert storm is not None
        assert storm.reason == "canaries_fail"
        ended = at_work.wait("www", "recovered", 15)
        acted = next(one for one in ended["decisions"] if one["verb"] == "act")
        assert acted["time"] >= storm.seen_at + 2.0


def test_a_remediator_that_has_just_begun_only_looks(tmp_path: Path) -> None:
    with lab(tmp_path, timing=slower(start_grace=1.5)) as at_work:
        began = time.monotonic()
        at_work.exporter.failing["www"] = "timeout"
        at_work.post("www")
        at_work.decided("www", "start_up")
        at_work.wait("www", "recovered", 15)
        assert time.monotonic() - began > 1.0
        assert next(one["verb"] for one in at_work.incident("www")["decisions"]) == "look"


def test_a_pause_with_an_end_ends_by_itself(tmp_path: Path) -> None:
    with lab(tmp_path) as at_work:
        now = time.time()
        with at_work.remediator.store.write() as connection:
            add_pause(connection, Pause("site:www", "Ada", "deploying", now, now + 1.0))
        at_work.exporter.failing["www"] = "status"
        at_work.post("www")
        at_work.decided("www", "paused")
        assert at_work.ledger.lines() == []
        at_work.wait("www", "recovered", 15)
        assert at_work.metric("sitemedic_pauses") == 0.0


def test_looking_again_and_again_while_a_person_is_asked_is_no_news(tmp_path: Path) -> None:
    with lab(tmp_path, APPROVE, timing=slower(look_max_age=0.2)) as at_work:
        at_work.exporter.failing["www"] = "timeout"
        at_work.post("www")
        first = at_work.wait("www", "awaiting_approval")
        until(lambda: at_work.incident("www")["look"]["time"] > first["look"]["time"] + 1, 20, "more looks")
        found = at_work.incident("www")
        assert [one["verb"] for one in found["decisions"]] == ["look", "ask"]
        assert [one["kind"] for one in found["timeline"]].count("looked") == 1


def test_a_storm_that_begins_between_the_decision_and_the_act_withdraws_the_act(tmp_path: Path) -> None:
    with lab(tmp_path) as at_work:
        prepare = at_work.restart.prepare

        def storm_begins(*given: Any) -> Any:
            at_work.exporter.canaries = [False]
            return prepare(*given)

        at_work.restart.prepare = storm_begins  # type: ignore[method-assign]
        at_work.exporter.failing["www"] = "status"
        at_work.post("www")
        at_work.decided("www", "canaries_fail", 15)
        (attempt, *_rest) = at_work.incident("www")["attempts"]
        assert (attempt["stage"], attempt["reason"]) == ("abandoned", "canaries_fail")
        assert at_work.ledger.lines() == []
