"""A SiteDown that is posted after its incident has ended: it belongs to that one, and no healing is lost."""

from datetime import UTC, datetime
from typing import Any

from remediator.model.incident import CONTAINER_DOWN, Decision, Outcome, Reason, Verb
from remediator.store import console as store_console
from remediator.store import incidents as store_incidents
from tests.remediator.doubles import WEBHOOK, Lab


def down(at_work: Lab, since: float, site: str = "www") -> None:
    """Post that a site is down since then."""
    began = datetime.fromtimestamp(since, UTC).isoformat()
    alert = {"status": "firing", "labels": {"alertname": "SiteDown", "site": site}, "startsAt": began}
    body = {"version": "4", "groupKey": "k", "status": "firing", "receiver": "r", "alerts": [alert]}
    answer = at_work.client.post("/webhook/alertmanager", json=body, headers=WEBHOOK)
    assert answer.status_code == 200


def healed(at_work: Lab) -> dict[str, Any]:
    """Let an outage be healed; return its incident."""
    at_work.exporter.failing["www"] = "status"
    at_work.post("www")
    ended = at_work.wait("www", "recovered", 30)
    assert ended["outcome"] == "healed"
    return ended


def outages(at_work: Lab) -> int:
    with at_work.remediator.store.read() as connection:
        return len(store_console.outages(connection, ["www"], 0.0).get("www", []))


def test_one_that_is_posted_once_its_outage_is_over_belongs_to_it(at_work: Lab) -> None:
    first = healed(at_work)
    down(at_work, first["opened_at"] - 5)
    late = at_work.wait("www", "recovered", 30)
    assert (late["id"] > first["id"], late["outcome"]) == (True, "already_over")
    assert f"with incident {first['id']}" in late["detail"]
    assert f"began before incident {first['id']} ended" in late["timeline"][0]["text"]
    assert late["mailed"] == "", "nobody was to be mailed, so nobody has missed it"
    assert len(at_work.ledger.lines()) == 1
    assert outages(at_work) == 1
    with at_work.remediator.store.read() as connection:
        (shown,) = store_incidents.summaries(connection, 0.0, 10)
    assert (shown.incident, shown.outcome) == (first["id"], "succeeded")
    assert at_work.metric("sitemedic_incidents_total", outcome="already_over") == 1
    assert at_work.metric("sitemedic_incidents_total", outcome="by_itself") == 0


def test_one_that_is_posted_once_more_belongs_to_the_outage_and_to_no_late_alert(at_work: Lab) -> None:
    first = healed(at_work)
    for _ in range(2):
        down(at_work, first["opened_at"] - 5)
        late = at_work.wait("www", "recovered", 30)
        assert f"with incident {first['id']}:" in late["detail"]
        assert f"began before incident {first['id']} ended" in late["timeline"][0]["text"]
    assert late["id"] == first["id"] + 2
    assert outages(at_work) == 1


def test_what_a_late_alert_opened_ended_no_outage_but_proves_that_the_site_was_up(at_work: Lab) -> None:
    store = at_work.remediator.store
    over = Decision(Verb.CLOSE, Reason.PROVED)
    ended: list[int] = []
    with store.write(patience=10) as connection:
        for outcome, at in ((Outcome.HEALED, 20.0), (Outcome.ALREADY_OVER, 40.0)):
            opened = store_incidents.open_incidents(connection, {"x": ""}, at - 5, "test")
            incident = store_incidents.get(connection, opened["x"])
            assert incident is not None
            assert store_incidents.close(connection, incident, outcome, over, at)
            ended.append(incident.id)
        assert store_incidents.ended_since(connection, {"x": 15.0}) == {"x": ended[0]}
        assert store_incidents.ended_since(connection, {"x": 30.0}) == {}
        assert store_incidents.ended_since(connection, {"x": 30.0}, CONTAINER_DOWN) == {"x": ended[1]}


def test_a_site_that_went_down_again_at_once_is_healed_though_its_alert_is_the_old_one(at_work: Lab) -> None:
    """Prometheus has not seen it up, so the alert that is repeated began before the incident ended."""
    first = healed(at_work)
    at_work.ledger.path.unlink()
    down(at_work, first["opened_at"] - 5)
    again = at_work.wait("www", "recovered", 60)
    assert again["outcome"] == "healed"
    assert len(at_work.ledger.lines()) == 1
    assert outages(at_work) == 2


def test_one_that_began_after_the_last_outage_is_one_of_its_own(at_work: Lab) -> None:
    first = healed(at_work)
    down(at_work, first["closed_at"] + 1)
    assert at_work.wait("www", "recovered", 30)["outcome"] == "by_itself"
    assert outages(at_work) == 2


def test_what_a_human_has_is_still_that_incident(at_work: Lab) -> None:
    at_work.exporter.failing["www"] = "certificate"
    at_work.post("www")
    first = at_work.wait("www", "needs_human", 30)
    down(at_work, first["opened_at"] - 5)
    assert [one["state"] for one in at_work.incidents("www")] == ["needs_human"]


def test_an_incident_that_ended_because_its_site_was_removed_proves_nothing(at_work: Lab) -> None:
    store = at_work.remediator.store
    for outcome in (Outcome.REMOVED, Outcome.HEALED):
        with store.write(patience=10) as connection:
            opened = store_incidents.open_incidents(connection, {"x": ""}, 10.0, "test")
            incident = store_incidents.get(connection, opened["x"])
            assert incident is not None
            proved = Decision(Verb.CLOSE, Reason.PROVED)
            assert store_incidents.close(connection, incident, outcome, proved, 20.0)
            over = {"x": incident.id} if outcome is Outcome.HEALED else {}
            assert store_incidents.ended_since(connection, {"x": 15.0}) == over
            assert store_incidents.ended_since(connection, {"x": 25.0}) == {}
