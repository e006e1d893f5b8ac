"""From a notification to the end of its incident, with an exporter, an Alertmanager and a ledger around."""

import time
from pathlib import Path
from typing import Any

import pytest

from core.servers.server import ActionError, Reason
from remediator.model.action import Progress, Step
from tests.remediator.doubles import API, SITES, Lab, lab, slower
from tests.waiting import until


def test_a_site_that_answers_wrongly_is_restarted_once_and_proved_healthy(at_work: Lab) -> None:
    at_work.exporter.failing["www"] = "status"
    at_work.post("www")
    ended = at_work.wait("www", "recovered")
    assert ended["outcome"] == "healed"
    assert at_work.ledger.lines() == ["restart_container www web nginx"]
    assert [one["kind"] for one in ended["timeline"]] == [
        "opened", "claimed", "acting", "settling", "verifying", "succeeded", "recovered",
    ]  # fmt: skip
    assert at_work.metric("sitemedic_attempts_total", action="restart_container", outcome="succeeded") == 1
    assert at_work.metric("sitemedic_incidents_total", outcome="healed") == 1


def test_evidence_is_kept_before_anything_is_touched(at_work: Lab) -> None:
    at_work.exporter.failing["www"] = "status"
    kept: list[object] = []
    at_work.restart.before = lambda: kept.append(at_work.incident("www")["attempts"][0]["evidence"])
    at_work.post("www")
    at_work.wait("www", "recovered")
    assert kept[0]["log_tail"]
    assert kept[0]["probe"]["reason"] == "status"


def test_a_site_found_healthy_is_closed_without_an_action(at_work: Lab) -> None:
    at_work.post("www")
    ended = at_work.wait("www", "recovered")
    assert ended["outcome"] == "by_itself"
    assert at_work.ledger.lines() == []


def test_a_site_that_does_not_answer_is_looked_at_before_its_container_is_restarted(at_work: Lab) -> None:
    at_work.exporter.failing["www"] = "timeout"
    at_work.post("www")
    ended = at_work.wait("www", "recovered")
    assert [one["verb"] for one in ended["decisions"]][:2] == ["look", "act"]
    assert at_work.ledger.lines() == ["restart_container www web nginx"]


def test_a_server_that_does_not_answer_either_is_rebooted(at_work: Lab) -> None:
    at_work.exporter.failing |= {"www": "timeout", "docs": "timeout"}
    at_work.ssh[0] = "unreachable"
    at_work.post("www")
    assert at_work.wait("www", "recovered")["outcome"] == "healed"
    assert at_work.ledger.lines() == ["reboot_linode www web nginx"]


def test_a_server_with_a_healthy_neighbour_is_not_rebooted(at_work: Lab) -> None:
    at_work.exporter.failing["www"] = "timeout"
    at_work.ssh[0] = "unreachable"
    at_work.post("www")
    assert at_work.wait("www", "needs_human")["reason"] == "healthy_neighbour"
    assert at_work.ledger.lines() == []


def test_a_server_that_may_not_be_rebooted_goes_to_a_human(at_work: Lab) -> None:
    at_work.exporter.failing["shop"] = "refused"
    at_work.ssh[0] = "unreachable"
    at_work.post("shop")
    assert at_work.wait("shop", "needs_human")["reason"] == "reboot_not_allowed"
    assert at_work.ledger.lines() == []


@pytest.mark.parametrize("reason", ["dns", "certificate", "tls", "error", "something_new"])
def test_what_is_for_a_human_is_never_acted_on(at_work: Lab, reason: str) -> None:
    at_work.exporter.failing["www"] = reason
    at_work.post("www")
    at_work.wait("www", "needs_human")
    assert at_work.ledger.lines() == []


def test_a_restart_is_tried_twice_at_most_and_then_a_human_is_told(tmp_path: Path) -> None:
    with lab(tmp_path) as at_work:
        at_work.exporter.failing["www"] = "body"
        at_work.exporter.healed = lambda _site: False
        died = Step(Progress.FAILED, "it died again", reason=Reason.COMMAND_FAILED)
        at_work.restart.settling = lambda: died
        at_work.post("www", outage="server:db")
        stuck = at_work.wait("www", "needs_human")
        assert stuck["reason"] == "nothing_left"
        assert len(at_work.ledger.lines()) == 2
        until(lambda: for_a_human(at_work), 20, "an alert for a human")
        alert = for_a_human(at_work)[-1]
        assert alert["labels"] == {
            "alertname": "SiteNeedsHuman", "site": "www", "part_of": "www", "severity": "critical",
            "incident": str(stuck["id"]), "server": "web", "outage": "server:db",
        }  # fmt: skip
        said = alert["annotations"]["description"]
        assert said.startswith("www has been down since ")
        assert " UTC (body). Sitemedic does no more: nothing left: " in said
        assert said.count(": failed: it died again") == 2
        assert said.endswith("It runs as nginx on web.")
        assert "it died again" in alert["annotations"]["timeline"]
        at_work.exporter.failing.clear()
        assert at_work.wait("www", "recovered")["outcome"] == "by_a_human"
        until(lambda: for_a_human(at_work)[-1]["endsAt"] <= _soon(), 20, "the alert's end")
        assert len(at_work.ledger.lines()) == 2


def for_a_human(at_work: Lab) -> list[dict[str, Any]]:
    return [alert for alert in at_work.told if alert["labels"]["alertname"] == "SiteNeedsHuman"]


def _soon() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 1))


def test_the_alert_for_a_human_survives_a_restart_and_is_ended_later(tmp_path: Path) -> None:
    with lab(tmp_path) as first:
        first.exporter.failing["www"] = "dns"
        first.post("www")
        first.wait("www", "needs_human")
        until(lambda: for_a_human(first), 20, "the alert")
    with lab(tmp_path) as second:
        second.exporter.failing["www"] = "dns"
        until(lambda: for_a_human(second), 20, "the alert again")
        second.exporter.failing.clear()
        second.wait("www", "recovered")
        until(lambda: for_a_human(second)[-1]["endsAt"] <= _soon(), 20, "the alert's end")


def test_a_resolve_that_lies_closes_nothing(at_work: Lab) -> None:
    at_work.exporter.canaries = [False]
    at_work.exporter.failing["www"] = "status"
    at_work.post("www")
    at_work.decided("www", "canaries_fail")
    at_work.post("www", status="resolved")
    time.sleep(0.3)
    assert at_work.incident("www")["state"] == "open"
    at_work.exporter.canaries = [True]
    at_work.wait("www", "recovered")
    assert len(at_work.ledger.lines()) == 1


def test_nothing_is_touched_while_paused_and_work_goes_on_after(at_work: Lab) -> None:
    pause = {"scope": "server:web", "by": "ann", "reason": "move"}
    at_work.client.post("/api/v1/pause", json=pause, headers=API)
    at_work.exporter.failing["www"] = "status"
    at_work.post("www")
    at_work.decided("www", "paused")
    time.sleep(0.2)
    assert at_work.ledger.lines() == []
    at_work.client.delete("/api/v1/pause", json={"scope": "server:web", "by": "ann"}, headers=API)
    at_work.wait("www", "recovered")


def test_a_pause_that_comes_between_the_claim_and_the_act_holds_the_act(at_work: Lab) -> None:
    at_work.exporter.failing["www"] = "status"
    prepare = at_work.restart.prepare

    def paused_meanwhile(*args):  # type: ignore[no-untyped-def]
        at_work.client.post("/api/v1/pause", json={"scope": "all", "by": "ann"}, headers=API)
        return prepare(*args)

    at_work.restart.prepare = paused_meanwhile  # type: ignore[method-assign]
    at_work.post("www")
    until(lambda: at_work.incident("www")["attempts"], 3, "an attempt")
    until(lambda: at_work.incident("www")["attempts"][0]["stage"] == "abandoned", 3, "it abandoned")
    at_work.decided("www", "paused")
    assert at_work.ledger.lines() == []


def test_in_observe_mode_it_is_told_what_would_be_done_and_nothing_is_done(at_work: Lab) -> None:
    at_work.exporter.failing["docs"] = "status"
    at_work.post("docs")
    seen = at_work.wait("docs", "observing")
    assert seen["decisions"][-1]["detail"] == "would restart_container"
    assert at_work.ledger.lines() == []
    at_work.exporter.failing.clear()
    assert at_work.wait("docs", "recovered")["outcome"] == "by_itself"


def test_a_site_without_recover_is_only_watched(at_work: Lab) -> None:
    at_work.exporter.failing["blog"] = "status"
    at_work.post("blog")
    assert at_work.wait("blog", "observing")["reason"] == "no_recover"
    time.sleep(0.3)
    assert at_work.ledger.lines() == []
    assert at_work.told == []


def test_a_site_that_recovers_before_the_act_is_left_alone(at_work: Lab) -> None:
    at_work.exporter.failing["www"] = "status"
    prepare = at_work.restart.prepare

    def recovered_meanwhile(*args):  # type: ignore[no-untyped-def]
        at_work.exporter.failing.clear()
        return prepare(*args)

    at_work.restart.prepare = recovered_meanwhile  # type: ignore[method-assign]
    at_work.post("www")
    assert at_work.wait("www", "recovered")["outcome"] == "by_itself"
    assert at_work.incident("www")["attempts"][0]["stage"] == "abandoned"
    assert at_work.ledger.lines() == []


def test_a_fault_that_no_retry_can_mend_goes_to_a_human_at_once(at_work: Lab) -> None:
    at_work.exporter.failing["www"] = "status"
    at_work.restart.refuses = ActionError(
        "the host key changed", reason=Reason.HOST_KEY_CHANGED, permanent=True
    )
    at_work.post("www")
    stuck = at_work.wait("www", "needs_human")
    assert stuck["reason"] == "action_impossible"
    assert "host key changed" in stuck["detail"]
    assert len(stuck["attempts"]) == 1


def test_an_act_of_unknown_outcome_is_looked_for_and_not_repeated(at_work: Lab) -> None:
    at_work.exporter.failing["www"] = "status"

    def lost() -> None:
        raise ActionError("connection lost", reason=Reason.UNKNOWN)

    at_work.restart.after = lost
    at_work.post("www")
    assert at_work.wait("www", "recovered")["outcome"] == "healed"
    assert at_work.ledger.lines() == ["restart_container www web nginx"]


def test_an_act_of_which_nothing_can_be_told_goes_to_a_human(tmp_path: Path) -> None:
    with lab(tmp_path, timing=slower(settle_within=0.3)) as at_work:
        at_work.exporter.failing["www"] = "status"
        at_work.exporter.healed = lambda _site: False
        at_work.restart.can_tell = False

        def lost() -> None:
            raise ActionError("connection lost", reason=Reason.UNKNOWN)

        at_work.restart.after = lost
        at_work.post("www")
        at_work.wait("www", "needs_human", 15)
        assert len(at_work.ledger.lines()) == 1


def test_with_many_sites_down_nothing_is_touched_until_the_storm_is_over(at_work: Lab) -> None:
    at_work.exporter.failing |= {"www": "status", "shop": "status", "blog": "status"}
    at_work.post("www", "shop", "blog")
    held = at_work.decided("www", "too_many_unhealthy")
    assert held["numbers"]["share"] == 0.6
    assert at_work.ledger.lines() == []
    del at_work.exporter.failing["blog"]
    at_work.wait("www", "recovered")
    at_work.wait("shop", "recovered")
    assert len(at_work.ledger.lines()) == 2


def test_an_exporter_that_is_gone_stops_every_action(at_work: Lab) -> None:
    at_work.exporter.failing["www"] = "status"
    at_work.exporter.gone = True
    at_work.post("www")
    at_work.decided("www", "no_sites")
    assert at_work.ledger.lines() == []
    at_work.exporter.gone = False
    at_work.wait("www", "recovered")


def test_a_site_that_leaves_the_file_ends_its_incident(at_work: Lab) -> None:
    at_work.exporter.canaries = [False]
    at_work.exporter.failing["shop"] = "status"
    at_work.post("shop")
    at_work.decided("shop", "canaries_fail")
    kept = [line for line in SITES.splitlines() if "name: shop" not in line]
    at_work.sites_file.write_text("\n".join(kept))
    at_work.remediator.reload()
    assert at_work.wait("shop", "removed")["outcome"] == "removed"
    assert at_work.ledger.lines() == []


def test_two_sites_of_one_server_are_worked_on_one_after_the_other(tmp_path: Path) -> None:
    sites = SITES.replace("server: db, container: shop", "server: web, container: shop")
    with lab(tmp_path, sites) as at_work:
        at_work.exporter.failing |= {"www": "status", "shop": "status"}
        now_at_it: list[int] = []
        both: list[int] = []

        def enter() -> None:
            now_at_it.append(1)
            both.append(len(now_at_it))
            time.sleep(0.1)

        at_work.restart.before = enter
        at_work.restart.after = now_at_it.clear
        at_work.post("www", "shop")
        at_work.wait("www", "recovered")
        at_work.wait("shop", "recovered")
        assert both == [1, 1]


def test_a_database_that_was_locked_for_a_while_holds_nothing_up_for_good(at_work: Lab) -> None:
    at_work.exporter.failing["www"] = "status"
    at_work.post("www")
    with at_work.remediator.store.write():
        time.sleep(0.5)
    at_work.wait("www", "recovered")
    assert len(at_work.ledger.lines()) == 1
