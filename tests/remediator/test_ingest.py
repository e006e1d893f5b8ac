"""What the webhook takes, what it refuses, and what it does when the database will not have it."""

import json
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from remediator.intake.alerts import MAX_BODY
from tests.remediator.doubles import WEBHOOK, Lab, lab

URL = "/webhook/alertmanager"
SOON = 4.0
"""Seconds: half a one by itself, more where others load the machine; SQLite's own wait is five."""


def payload(*alerts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "version": "4", "groupKey": '{}:{alertname="SiteDown"}', "status": "firing", "receiver": "remediator",
        "truncatedAlerts": 0, "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
        "externalURL": "http://am", "alerts": list(alerts), **more,
    }  # fmt: skip


def alert(site: str | None, status: str = "firing", name: str = "SiteDown") -> dict[str, Any]:
    labels = {"alertname": name} | ({"site": site} if site is not None else {})
    return {
        "status": status, "labels": labels, "annotations": {"summary": "s"}, "fingerprint": "f",
        "startsAt": "2026-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://p",
    }  # fmt: skip


def send(lab: Lab, body: object, headers: dict[str, str] = WEBHOOK) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lab.client.post(URL, data=data, headers=headers)


def rows(lab: Lab, table: str) -> int:
    with lab.remediator.store.read() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", "Bearer api-token", "Basic webhook-token", "webhook-token"]
)
def test_without_the_right_token_nothing_is_stored(idle: Lab, header: str | None) -> None:
    answer = send(idle, payload(alert("www")), {} if header is None else {"Authorization": header})
    assert answer.status_code == 401
    assert rows(idle, "notifications") == 0
    assert idle.metric("sitemedic_notifications_total", outcome="unauthorized") == 1


def test_a_notification_and_its_incident_are_stored_and_nothing_else_is_done(idle: Lab) -> None:
    assert send(idle, payload(alert("www"))).status_code == 200
    assert rows(idle, "notifications") == 1
    assert idle.incident("www")["state"] == "open"
    assert idle.exporter.probes == []


def test_a_duplicate_is_stored_and_opens_no_second_incident(idle: Lab) -> None:
    for _ in range(3):
        assert send(idle, payload(alert("www"))).status_code == 200
    assert rows(idle, "notifications") == 3
    assert len(idle.incidents("www")) == 1


def test_a_group_is_read_alert_by_alert_whatever_its_own_status(idle: Lab) -> None:
    mixed = payload(alert("www", "resolved"), alert("shop"), alert("www/api"), status="resolved")
    assert send(idle, mixed).status_code == 200
    assert idle.incidents("www") == []
    assert len(idle.incidents("shop")) == 1


def test_a_resolve_is_noted_and_closes_nothing(idle: Lab) -> None:
    send(idle, payload(alert("www")))
    send(idle, payload(alert("www", "resolved"), status="resolved"))
    assert idle.incident("www")["state"] == "open"
    assert idle.incident("www")["alert_status"] == "resolved"


def container(status: str = "firing", site: str = "www") -> dict[str, Any]:
    one = alert(site, status, "ContainerDown")
    return {**one, "labels": {**one["labels"], "server": "evil; rm -rf /", "name": "$(id)"}}


def test_a_container_that_is_down_opens_an_incident_that_says_so(idle: Lab) -> None:
    send(idle, payload(container()))
    send(idle, payload(container()))
    assert len(idle.incidents("www")) == 1
    assert idle.incident("www")["alert"] == "ContainerDown"
    assert opened_by(idle) == ["Alertmanager: ContainerDown"]


def test_its_site_being_down_takes_its_place_and_is_told_once(idle: Lab) -> None:
    send(idle, payload(container()))
    send(idle, payload(alert("www")))
    send(idle, payload(alert("www")))
    assert len(idle.incidents("www")) == 1
    assert idle.incident("www")["alert"] == "SiteDown"
    assert opened_by(idle) == ["Alertmanager: ContainerDown", "Alertmanager: SiteDown"]


@pytest.mark.parametrize("first", ["SiteDown", "ContainerDown"])
def test_the_end_of_either_alert_closes_nothing_and_takes_nothing_from_the_other(
    idle: Lab, first: str
) -> None:
    both = [alert("www"), container()]
    for one in both if first == "SiteDown" else reversed(both):
        send(idle, payload(one))
    send(idle, payload(container("resolved"), status="resolved"))
    send(idle, payload(container()))
    assert idle.incident("www")["state"] == "open"
    assert (idle.incident("www")["alert"], idle.incident("www")["alert_status"]) == ("SiteDown", "firing")
    send(idle, payload(alert("www", "resolved"), status="resolved"))
    send(idle, payload(container("resolved"), status="resolved"))
    assert idle.incident("www")["state"] == "open"
    assert (idle.incident("www")["alert"], idle.incident("www")["alert_status"]) == ("SiteDown", "resolved")


def test_both_in_one_group_open_one_incident_for_the_site(idle: Lab) -> None:
    send(idle, payload(container(), alert("www")))
    assert len(idle.incidents("www")) == 1
    assert idle.incident("www")["alert"] == "SiteDown"


def test_a_container_that_is_up_again_opens_nothing_and_one_without_a_site_neither(idle: Lab) -> None:
    lone = alert(None, name="ContainerDown")
    send(idle, payload(container("resolved"), lone, status="resolved"))
    assert rows(idle, "incidents") == 0


def since(moment: float) -> dict[str, Any]:
    return {**container(), "startsAt": datetime.fromtimestamp(moment, UTC).isoformat()}


def test_a_container_that_was_down_while_its_site_was_opens_nothing_once_that_is_over(idle: Lab) -> None:
    send(idle, payload(alert("www")))
    over = time.time()
    with idle.remediator.store.write() as connection:
        connection.execute(
            text("UPDATE incidents SET closed_at = :now, state = 'recovered', outcome = 'healed'"),
            {"now": over},
        )
    send(idle, payload(since(over - 30)))
    assert len(idle.incidents("www")) == 1
    send(idle, payload(since(over + 30)))
    assert [one["alert"] for one in idle.incidents("www")] == ["ContainerDown", "SiteDown"]


@pytest.mark.parametrize("odd", ["", "yesterday", "9999-12-31T23:59:59-23:59", "2026-13-41T00:00:00Z"])
def test_an_odd_begin_keeps_no_incident_from_being_opened(idle: Lab, odd: str) -> None:
    assert send(idle, payload({**container(), "startsAt": odd})).status_code == 200
    assert len(idle.incidents("www")) == 1


def opened_by(lab: Lab) -> list[str]:
    with lab.remediator.store.read() as connection:
        found = connection.execute(
            text("SELECT text FROM events WHERE kind IN ('opened', 'alert') ORDER BY id")
        )
        return [row.text for row in found]


def test_an_unknown_site_is_stored_and_counted_and_opens_nothing(idle: Lab) -> None:
    assert send(idle, payload(alert("evil; rm -rf /"), alert("www", name="SiteSlow"))).status_code == 200
    assert rows(idle, "notifications") == 1
    assert rows(idle, "incidents") == 0
    assert idle.metric("sitemedic_remediator_problems_total", problem="unknown_site") == 1


def test_left_out_alerts_are_counted_as_a_fault_and_resolve_nothing(idle: Lab) -> None:
    send(idle, payload(alert("www")))
    send(idle, payload(truncatedAlerts=5))
    assert idle.incident("www")["alert_status"] == "firing"
    assert idle.metric("sitemedic_remediator_problems_total", problem="truncated") == 1


def test_fields_of_newer_versions_are_accepted(idle: Lab) -> None:
    newer = payload(alert("www") | {"new": 1}, notification_reason="firing", routeLabels={})
    assert send(idle, newer).status_code == 200


BAD = {
    "empty": b"",
    "not json": b"{",
    "not utf-8": b'{"version": "\xff"}',
    "a list": [],
    "null": None,
    "another version": payload() | {"version": "5"},
    "a number for a version": payload() | {"version": 4},
    "no alerts": {key: value for key, value in payload().items() if key != "alerts"},
    "alerts is a mapping": payload() | {"alerts": {}},
    "a status of its own": payload(alert("www", "pending")),
    "a label that is a number": payload(alert("www") | {"labels": {"alertname": "SiteDown", "site": 3}}),
    "a label that is null": payload(alert("www") | {"labels": {"alertname": "SiteDown", "site": None}}),
    "a truncation below zero": payload(truncatedAlerts=-1),
    "nested deeply": b"[" * 100_000,
    "nested inside": b'{"version":"4","alerts":' + b'{"a":' * 50_000,
    "a lone surrogate": b'{"version":"4","groupKey":"\\ud800","status":"firing","receiver":"r","alerts":[]}',
    "a huge label": payload(alert("w" * 100_000)),
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
def test_a_payload_of_the_wrong_shape_is_refused_with_a_reason(idle: Lab, body: object) -> None:
    answer = send(idle, body)
    assert answer.status_code == 400
    assert answer.json["error"]
    assert rows(idle, "notifications") == 0


def test_a_body_above_the_limit_is_refused(idle: Lab) -> None:
    assert send(idle, b" " * (MAX_BODY + 1)).status_code == 413


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 400), put=st.binary(max_size=6), drop=st.integers(0, 8))
def test_a_mangled_payload_is_never_a_server_error(idle: Lab, cut: int, put: bytes, drop: int) -> None:
    body = json.dumps(payload(alert("www"))).encode()
    assert send(idle, body[:cut] + put + body[cut + drop :]).status_code in (200, 400)


def test_a_locked_database_is_a_503_soon_and_work_goes_on_after(idle: Lab, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "remediator.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    answer = send(idle, payload(alert("www")))
    assert (answer.status_code, time.monotonic() - began < SOON) == (503, True)
    assert idle.client.get("/-/ready").status_code == 503
    other.execute("ROLLBACK")
    other.close()
    assert send(idle, payload(alert("www"))).status_code == 200
    assert rows(idle, "notifications") == 1


def test_a_busy_writer_of_our_own_is_a_503_soon(idle: Lab) -> None:
    with idle.remediator.store.write():
        began = time.monotonic()
        answer = send(idle, payload(alert("www")))
        assert (answer.status_code, time.monotonic() - began < SOON) == (503, True)


def test_a_full_disk_is_a_503_and_leaves_nothing_half_done(idle: Lab) -> None:
    with idle.remediator.store.write() as connection:  # SQLite's own "disk is full", without filling one
        connection.execute(text("PRAGMA max_page_count = 1"))
    big = alert("www") | {"annotations": {"summary": "x" * 16_000}}
    full = payload(*([big] * 20))
    assert send(idle, full).status_code == 503
    assert (rows(idle, "notifications"), rows(idle, "incidents")) == (0, 0)
    with idle.remediator.store.write() as connection:
        connection.execute(text("PRAGMA max_page_count = 1000000"))
    assert send(idle, full).status_code == 200


def test_two_hundred_alerts_are_stored_at_once_and_quickly(tmp_path: Path) -> None:
    names = [f"s{number}" for number in range(200)]
    sites = "sites:\n" + "".join(f'  - {{name: {name}, url: "http://127.0.0.1:1/"}}\n' for name in names)
    with lab(tmp_path, sites, start=False) as idle:
        began = time.thread_time()  # CPU, since others load the machine
        assert send(idle, payload(*(alert(name) for name in names))).status_code == 200
        assert time.thread_time() - began < 1
        assert rows(idle, "incidents") == 200
