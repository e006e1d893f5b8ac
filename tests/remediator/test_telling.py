"""What the remediator posts to Alertmanager of each incident: every change once, whatever goes wrong."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from core.servers.server import Reason
from remediator.errors import StoreError
from remediator.model.action import Progress, Step
from remediator.store import news as store_news
from tests.remediator.doubles import API, SITES, Lab, lab
from tests.waiting import until

APPROVE = SITES.replace("remediation: {", "remediation: {mode: approve, ")
Alert = dict[str, Any]


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Lab]:
    with lab(tmp_path, APPROVE) as found:
        yield found


def breaks(at_work: Lab, *sites: str) -> None:
    at_work.exporter.failing |= dict.fromkeys(sites, "status")
    for site in sites:
        at_work.post(site, outage=f"site:{site}")


def of(at_work: Lab, stage: str) -> list[Alert]:
    return [one for one in list(at_work.told) if one["labels"].get("stage") == stage]


def firing(at_work: Lab, stage: str) -> list[Alert]:
    return [one for one in of(at_work, stage) if "description" in one["annotations"]]


def ends(at_work: Lab, stage: str) -> list[Alert]:
    return [one for one in of(at_work, stage) if "description" not in one["annotations"]]


def is_told(at_work: Lab, stage: str) -> Alert:
    return until(lambda: firing(at_work, stage), 20, f"{stage} to be told")[-1]


def answer(at_work: Lab, verdict: str) -> None:
    number = is_told(at_work, "approval")["annotations"]["question"]
    body = {"verdict": verdict, "by": "Ada"}
    assert at_work.client.post(f"/api/v1/approvals/{number}", json=body, headers=API).status_code == 200


def names(alerts: list[Alert]) -> set[tuple[tuple[str, str], ...]]:
    return {tuple(sorted(one["labels"].items())) for one in alerts}


def test_a_question_is_posted_with_its_evidence_and_ended_once_it_is_answered(asking: Lab) -> None:
    breaks(asking, "www")
    alert = is_told(asking, "approval")
    incident = asking.incident("www")
    assert alert["labels"] == {
        "alertname": "SiteHealing", "site": "www", "part_of": "www", "severity": "critical", "server": "web",
        "outage": "site:www", "incident": str(incident["id"]), "stage": "approval", "number": "1",
    }  # fmt: skip
    notes = alert["annotations"]
    assert notes["summary"] == "www: may I restart its container on web?"
    assert notes["evidence"].startswith("SSH works")
    assert "./sitemedic approve 1" in notes["description"]
    assert "holds for 15m" in notes["description"]
    assert notes["runbook_url"] == "docs/runbooks/SiteHealing.md"
    assert notes["day"] == time.strftime("%Y%m%d", time.gmtime(incident["opened_at"]))
    answer(asking, "approved")
    asking.wait("www", "recovered", 20)
    until(lambda: ends(asking, "approval"), 20, "the question's end")
    assert len(names(of(asking, "approval"))) == 1
    said = is_told(asking, "recovered")["annotations"]["summary"]
    assert said.startswith(
        "www is back. Sitemedic brought it back by the restart of its container on web after "
    )


def test_what_is_denied_is_told_as_a_humans_and_not_as_a_question_any_more(asking: Lab) -> None:
    breaks(asking, "www")
    answer(asking, "denied")
    human = until(
        lambda: [one for one in asking.told if one["labels"]["alertname"] == "SiteNeedsHuman"], 20, "a human"
    )[-1]
    assert "Ada said no to restart container" in human["annotations"]["description"]
    assert ends(asking, "approval")


def test_a_failed_attempt_is_told_with_its_reason_and_what_comes_next(tmp_path: Path) -> None:
    with lab(tmp_path, SITES.replace("{cooldown: 0,", "{cooldown: 1h,")) as at_work:
        at_work.exporter.healed = lambda _site: False
        died = Step(Progress.FAILED, "it died again", reason=Reason.COMMAND_FAILED)
        at_work.restart.settling = lambda: died
        breaks(at_work, "www")
        alert = is_told(at_work, "failed")
        assert alert["labels"]["severity"] == "warning"
        assert alert["annotations"]["summary"] == "www: the restart of its container on web has not helped"
        assert alert["annotations"]["reason"] == "command failed"
        assert ": failed: it died again" in alert["annotations"]["description"]
        until(
            lambda: "of cooldown left" in firing(at_work, "failed")[-1]["annotations"]["description"],
            30, "what comes next, once it is known",
        )  # fmt: skip
        assert len(names(of(at_work, "failed"))) == 1


def test_what_is_held_back_for_long_is_told_with_who_and_why(tmp_path: Path) -> None:
    with lab(tmp_path, SITES.replace("{cooldown", "{held_for: 0, cooldown")) as at_work:
        pause = {"scope": "server:web", "by": "ann", "reason": "we move the database"}
        at_work.client.post("/api/v1/pause", json=pause, headers=API)
        breaks(at_work, "www")
        alert = is_told(at_work, "held_long")
        said = "www: nothing is done (server:web paused by ann: we move the database)"
        assert alert["annotations"]["summary"] == said
        at_work.client.delete("/api/v1/pause", json={"scope": "server:web"}, headers=API)
        at_work.wait("www", "recovered", 20)
        until(lambda: ends(at_work, "held_long"), 20, "its end")


def test_what_blinks_is_not_told(tmp_path: Path) -> None:
    with lab(tmp_path) as at_work:
        at_work.client.post("/api/v1/pause", json={"scope": "all"}, headers=API)
        breaks(at_work, "www")
        at_work.decided("www", "paused", 20)
        at_work.client.delete("/api/v1/pause", json={"scope": "all"}, headers=API)
        at_work.wait("www", "recovered", 20)
        is_told(at_work, "recovered")
        assert of(at_work, "held") == of(at_work, "held_long") == []


def test_what_could_not_be_posted_is_posted_when_alertmanager_is_back(asking: Lab) -> None:
    asking.alertmanager.gone = True
    breaks(asking, "www", "shop")
    for site in ("www", "shop"):
        asking.wait(site, "awaiting_approval", 20)
    until(lambda: asking.metric("sitemedic_remediator_problems_total", problem="alertmanager"), 20, "it told")
    assert asking.metric("sitemedic_news_total", stage="approval") == 0
    asking.alertmanager.gone = False
    until(
        lambda: {one["labels"]["site"] for one in firing(asking, "approval")} == {"www", "shop"}, 20, "both"
    )
    until(lambda: asking.metric("sitemedic_news_total", stage="approval") == 2, 20, "the count")
    assert len(names(of(asking, "approval"))) == 2


def test_what_is_over_when_alertmanager_is_back_is_told_no_more(asking: Lab) -> None:
    breaks(asking, "www")
    is_told(asking, "approval")
    asking.alertmanager.gone = True
    asking.exporter.failing.clear()
    asking.wait("www", "recovered", 20)
    before = len(firing(asking, "approval"))
    asking.alertmanager.gone = False
    until(lambda: ends(asking, "approval"), 20, "its end, late")
    assert len(firing(asking, "approval")) == before


def test_a_crash_between_the_post_and_its_record_posts_the_same_alert_again(tmp_path: Path) -> None:
    with (
        patch.object(store_news, "mark_told", side_effect=StoreError("the database is locked")),
        lab(tmp_path, APPROVE) as first,
    ):
        breaks(first, "www")
        until(lambda: len(firing(first, "approval")) >= 2, 30, "the post, and again")
        assert first.metric("sitemedic_news_total", stage="approval") == 0
        posted = firing(first, "approval")
    with lab(tmp_path, APPROVE) as second:
        second.exporter.failing["www"] = "status"
        is_told(second, "approval")
        every = [*posted, *firing(second, "approval")]
        assert len(names(every)) == 1, "Alertmanager takes them for one"
        assert len({one["startsAt"] for one in every}) == 1


def test_the_end_of_what_a_killed_remediator_told_is_posted_by_the_next(tmp_path: Path) -> None:
    with lab(tmp_path, APPROVE) as first:
        breaks(first, "www")
        is_told(first, "approval")
        until(lambda: first.metric("sitemedic_news_total", stage="approval"), 20, "its record")
    with lab(tmp_path, APPROVE) as second:
        second.wait("www", "recovered", 20)
        until(lambda: ends(second, "approval"), 20, "its end")
        assert firing(second, "approval") == [] or len(names(of(second, "approval"))) == 1


def test_nothing_that_was_told_outlives_a_remediator_that_is_gone(asking: Lab) -> None:
    breaks(asking, "www")
    alert = is_told(asking, "approval")
    assert alert["endsAt"] <= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 301))


def test_a_storm_is_one_alert_and_no_incident_tells_of_it(tmp_path: Path) -> None:
    with lab(tmp_path, SITES.replace("{cooldown", "{held_for: 0, cooldown")) as at_work:
        at_work.exporter.canaries = [False]
        breaks(at_work, "www", "shop")
        for site in ("www", "shop"):
            at_work.decided(site, "canaries_fail", 20)
        (alert,) = until(lambda: suspended(at_work), 20, "the alert")[:1]
        assert alert["labels"] == {
            "alertname": "HealingSuspended", "severity": "critical", "outage": "most-sites",
        }  # fmt: skip
        assert alert["annotations"]["reason"] == "canaries_fail"
        assert alert["annotations"]["summary"].startswith("nothing is healed: ")
        assert "the resolver or the proxy of the machine" in alert["annotations"]["description"]
        until(lambda: len(suspended(at_work)) >= 3, 20, "more of them")
        assert len(names(suspended(at_work))) == 1
        assert [one for one in at_work.told if one["labels"]["alertname"] == "SiteHealing"] == []
        at_work.exporter.canaries = [True]
        for site in ("www", "shop"):
            at_work.wait(site, "recovered", 20)
        until(lambda: suspended(at_work)[-1]["annotations"].get("until"), 20, "its end")
        until(lambda: suspended(at_work)[-1]["endsAt"] <= _in(1.0), 20, "its end at once")


def test_a_storm_that_nobody_could_be_mailed_about_is_told_until_a_mail_is_taken(tmp_path: Path) -> None:
    with lab(tmp_path) as at_work:
        until(lambda: at_work.alertmanager.looks > 1, 20, "a look at the mails")
        at_work.exporter.canaries = [False]
        breaks(at_work, "www")
        until(lambda: suspended(at_work), 20, "the alert")
        at_work.alertmanager.tries()
        looks = at_work.alertmanager.looks
        until(lambda: at_work.alertmanager.looks > looks + 1, 20, "the trouble to be seen")
        at_work.exporter.canaries = [True]
        at_work.wait("www", "recovered", 20)
        late = until(lambda: [one for one in suspended(at_work) if "until" in one["annotations"]], 20, "late")
        assert late[-1]["annotations"]["summary"].startswith("nothing was healed: ")
        assert "Nothing was healed from " in late[-1]["annotations"]["description"]
        assert suspended(at_work)[-1]["endsAt"] > _in(60.0)
        at_work.alertmanager.delivers()
        until(lambda: suspended(at_work)[-1]["endsAt"] <= _in(1.0), 20, "its end")


def suspended(at_work: Lab) -> list[Alert]:
    return [one for one in list(at_work.told) if one["labels"]["alertname"] == "HealingSuspended"]


def _in(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + seconds))
