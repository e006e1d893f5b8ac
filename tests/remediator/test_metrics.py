"""What dashboards and alerts are drawn from: incidents as a metric, guards, readiness, counted requests."""

import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert

from core.servers.server import Reason
from remediator.guards import GUARDS
from remediator.model.action import Progress, Step
from remediator.store.database import Store
from remediator.store.incidents import open_incidents, summaries
from remediator.store.schema import ATTEMPTS, INCIDENTS
from tests.remediator.doubles import WEBHOOK, Lab, lab, slower
from tests.waiting import until


def shown(at_work: Lab) -> list[dict[str, str]]:
    page = at_work.client.get("/metrics").text
    return [
        dict(sample.labels)
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "sitemedic_incident_info"
    ]


def test_without_incidents_there_is_no_series(at_work: Lab) -> None:
    assert shown(at_work) == []


def test_the_newest_incident_of_a_site_is_shown_with_its_last_attempt(at_work: Lab) -> None:
    at_work.restart.settling = lambda: Step(Progress.FAILED, "died", reason=Reason.COMMAND_FAILED)
    at_work.exporter.failing |= {"www": "body", "blog": "status"}
    at_work.exporter.healed = lambda _site: False
    at_work.post("www", "blog")
    at_work.wait("www", "needs_human")
    at_work.wait("blog", "observing")
    failed = {"action": "restart_container", "outcome": "failed"}
    expected = [
        {"site": "blog", "incident": "2", "state": "observing", "action": "", "outcome": ""},
        {"site": "www", "incident": "1", "state": "needs_human", **failed},
    ]
    until(lambda: sorted(shown(at_work), key=lambda one: one["site"]) == expected, 5, "both incidents")
    at_work.exporter.failing.clear()
    at_work.wait("blog", "recovered")
    until(lambda: {one["state"] for one in shown(at_work)} == {"recovered"}, 5, "their ends")
    at_work.exporter.failing["blog"] = "status"
    at_work.post("blog")
    at_work.wait("blog", "observing")
    until(
        lambda: [one["incident"] for one in shown(at_work) if one["site"] == "blog"] == ["3"], 5, "the newest"
    )


def test_an_ended_incident_is_shown_for_a_while(tmp_path: Path) -> None:
    with lab(tmp_path, timing=slower(ended_shown=0.5)) as at_work:
        at_work.exporter.failing["blog"] = "status"
        at_work.post("blog")
        at_work.exporter.failing.clear()
        until(lambda: [one["state"] for one in shown(at_work)] == ["recovered"], 5, "its end")
        until(lambda: shown(at_work) == [], 5, "it to be forgotten")


@pytest.mark.full
def test_ten_thousand_incidents_are_read_quickly_and_no_more_than_asked(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/many.db")
    store.prepare()
    with store.write() as connection:
        ids = open_incidents(connection, {f"s{number}": "" for number in range(10_000)}, 1000.0, "")
        rows = [
            {
                "incident_id": number, "site": site, "server": "web", "target": "t", "action": action,
                "step": "a", "stage": "failed", "fence": 1, "created_at": 1.0, "stage_at": 1.0,
                "next_at": 1.0, "finished_at": 1.0, "marks": {},
            }
            for site, number in ids.items()
            for action in ("restart_container", "reboot_linode")
        ]  # fmt: skip
        connection.execute(insert(ATTEMPTS), rows)
        old = {"site": "s1", "state": "recovered", "opened_at": 1.0, "closed_at": 2.0}
        connection.execute(insert(INCIDENTS), [old] * 5000)
    began = time.process_time()
    with store.read() as connection:
        found = summaries(connection, since=500.0, limit=9000)
    assert time.process_time() - began < 1.5  # 0.085 s by itself
    assert len(found) == 9000
    assert {one.action for one in found} == {"reboot_linode"}
    assert [one.incident for one in found] == sorted((one.incident for one in found), reverse=True)
    store.close()


def test_every_request_to_the_webhook_is_counted_by_what_became_of_it(
    at_work: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/webhook/alertmanager"
    at_work.post("blog")
    at_work.client.post(path, data=b"{}")
    at_work.client.post(path, data=b"{", headers=WEBHOOK)
    at_work.client.post(path, data=b" " * 5_000_000, headers=WEBHOOK)

    def breaks(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(at_work.remediator, "take", breaks)
    assert at_work.post("blog").status_code == 500
    counted = {
        name: at_work.metric("sitemedic_notifications_total", outcome=name)
        for name in ("stored", "unauthorized", "invalid", "not_stored")
    }
    assert counted == {"stored": 1, "unauthorized": 1, "invalid": 2, "not_stored": 1}


def test_a_guard_that_holds_something_back_is_counted_and_all_are_there_from_the_start(at_work: Lab) -> None:
    page = at_work.client.get("/metrics").text
    assert all(f'sitemedic_guard_holds_total{{guard="{name}"}} 0.0' in page for name in GUARDS)
    at_work.exporter.canaries = [False]
    at_work.exporter.failing["www"] = "status"
    at_work.post("www")
    at_work.decided("www", "canaries_fail")
    until(lambda: at_work.metric("sitemedic_guard_holds_total", guard="canaries") == 1, 5, "the count")


def test_readiness_is_told_for_the_service_and_for_each_server(at_work: Lab) -> None:
    assert at_work.metric("sitemedic_remediator_ready") == 1
    at_work.remediator.reconciler.stop(5)
    at_work.remediator.reconciler.alive_at -= 100
    assert at_work.metric("sitemedic_remediator_ready") == 0
    page = at_work.client.get("/metrics").text
    assert 'sitemedic_server_ready{server="web"} 0.0' in page  # no known_hosts file
    assert 'sitemedic_server_ready{server="db"} 0.0' in page
