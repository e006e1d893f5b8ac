"""Takes a notification in: it and its incidents in one transaction, and nothing else."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from remediator.errors import StoreError
from remediator.intake.alerts import ALERTS, Payload, SiteAlert, site_alerts
from remediator.model.incident import CONTAINER_DOWN, SITE_DOWN
from remediator.store import incidents as store_incidents
from remediator.store.database import Store, add_notification


@dataclass(frozen=True)
class Taken:
    """What a notification led to."""

    opened: tuple[int, ...]
    woken: tuple[int, ...]
    unknown_sites: int


def take(store: Store, payload: Payload, body: bytes, known: Container[str], now: float) -> Taken:
    """Store a notification and open or wake its incidents; raise StoreError where that cannot be done.

    A firing alert of a known site opens an incident, or wakes the open one; a resolved alert only wakes. What
    its container's alert says is noted nowhere else: it neither ends what SiteDown says nor begins it.

    A container's alert that began before the site's last incident ended opens none: Alertmanager was silent
    about it while SiteDown fired, and it lasts until the container has run for half a minute. A SiteDown that
    did was delivered late, most likely; yet a site that goes down again at once has the same alert still. So
    it opens one, of which a probe decides, and which says to which incident it belongs.
    """
    with store.first():
        try:
            return _take(store, payload, body, known, now)
        except IntegrityError:  # another remediator opened one of the incidents meanwhile: it is there now
            try:
                return _take(store, payload, body, known, now)
            except IntegrityError as error:
                raise StoreError("another remediator takes the same alerts in") from error


def _take(store: Store, payload: Payload, body: bytes, known: Container[str], now: float) -> Taken:
    alerts = site_alerts(payload)
    ours = [one for one in alerts if one.site in known]
    with store.write() as connection:
        open_now = store_incidents.open_sites(connection, (one.site for one in ours))
        add_notification(
            connection,
            received_at=now,
            group_key=payload.groupKey,
            receiver=payload.receiver,
            status=payload.status,
            alerts=len(payload.alerts),
            truncated=payload.truncatedAlerts,
            unknown_sites=len(alerts) - len(ours),
            body=body.decode(),
        )
        opened: dict[str, int] = {}
        for alert in ALERTS:
            over = store_incidents.ended_since(connection, _since(ours, alert, open_now), alert)
            handled = {*open_now, *opened, *(over if alert == CONTAINER_DOWN else ())}
            new = {
                one.site: one.outage
                for one in ours
                if one.alert == alert and one.firing and one.site not in handled
            }
            said = f"Alertmanager: {alert}"
            opened |= store_incidents.open_incidents(connection, new, now, said, alert, over)
        noted = _note([one for one in ours if one.alert == SITE_DOWN], open_now)
        for status, ids in noted.items():
            store_incidents.note_alert(connection, ids, status, now)
    woken = dict.fromkeys(open_now[one.site] for one in ours if one.site in open_now)
    return Taken((*opened.values(),), (*woken,), len(alerts) - len(ours))


def _since(alerts: list[SiteAlert], alert: str, open_now: Container[str]) -> dict[str, float]:
    """Return since when this alert of sites without an open incident fires, as far as that is told."""
    return {
        one.site: one.since
        for one in alerts
        if one.alert == alert and one.firing and one.since is not None and one.site not in open_now
    }


def _note(alerts: list[SiteAlert], open_now: dict[str, int]) -> dict[str, list[int]]:
    noted: dict[str, list[int]] = {"firing": [], "resolved": []}
    for one in alerts:
        if one.site in open_now:
            noted["firing" if one.firing else "resolved"].append(open_now[one.site])
    return noted
