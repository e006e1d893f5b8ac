"""The lab's Prometheus and Alertmanager: notifications as Alertmanager sends them, and what people are told.

Groups, repeats while they fire, resent until a 2xx; on order twice, out of order, with a resolve that lies,
or all of it lost and begun anew as after a restart of Prometheus.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from stack.campaign.ledger import Kind, Ledger

AFTER = 0.4
"""Seconds for which a site must fail before its alert fires."""
REPEAT = 3.0
AGAIN = 0.4
"""Seconds until a notification that got no 2xx is sent again."""
TIMEOUT = (1.0, 5.0)


@dataclass
class _Group:
    """One group; `told`: the sites that were last told to fire."""

    key: str
    firing: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    due: float = 0.0
    last_body: bytes = b""
    at_it: bool = False


@dataclass
class Orders:
    """Faults on order, by site; each is used up by the next notification that names the site."""

    duplicated: set[str] = field(default_factory=set)
    reordered: set[str] = field(default_factory=set)
    lied: set[str] = field(default_factory=set)
    vanished: dict[str, float] = field(default_factory=dict)


class Alertmanager:
    """Told by `look` what fails, it notifies `url`; `servers` groups the sites."""

    def __init__(self, ledger: Ledger, servers: Mapping[str, str], token: str) -> None:
        self.url = ""
        self.orders = Orders()
        self.ghosts: set[str] = set()
        self.silenced: set[str] = set()
        self.gone = False
        self.needed: set[str] = set()
        """Sites with a silence that has just begun: it must not be gone now."""
        self._needs_human: dict[str, str] = {}
        self._ledger = ledger
        self._servers = servers
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._groups: dict[str, _Group] = {}
        self._failing: dict[str, float] = {}
        self._lock = threading.Lock()
        self._posting = ThreadPoolExecutor(6, "notify")

    def look(self, failing: set[str]) -> None:
        """Take what fails now, and send what is due."""
        now = self._ledger.now()
        with self._lock:
            self._failing = {site: self._failing.get(site, now) for site in failing}
            for site, until in list(self.orders.vanished.items()):
                if now < until:
                    self._failing.pop(site, None)
                else:
                    del self.orders.vanished[site]
            firing = {site for site, since in self._failing.items() if now - since >= AFTER} | self.ghosts
            self._regroup(firing)
            due = [
                one
                for one in self._groups.values()
                if one.due <= now and not one.at_it and (one.firing or one.told)
            ]
            for one in due:
                one.at_it = True
        for one in due:
            self._posting.submit(self._send, one)

    def stop(self) -> None:
        """Send nothing any more."""
        self._posting.shutdown(wait=False, cancel_futures=True)

    def answer(self, method: str, path: str, _query: object, body: bytes) -> tuple[int, Any]:
        """Take and list alerts; the metrics of one that has no mail to send."""
        if self.gone:
            return 503, {}
        if path == "/api/v2/alerts" and method == "POST":
            self._hear(json.loads(body))
            return 200, {}
        if path == "/api/v2/alerts":
            return 200, self._listed()
        if path == "/api/v2/silences":
            return 200, [_silence(site) for site in sorted(self.silenced)]
        if path == "/metrics":
            return 200, "process_start_time_seconds 1\nalertmanager_config_hash 1\n"
        config = {"original": "receivers: []\n"}
        return 200, {"config": config, "cluster": {"status": "ready"}, "versionInfo": {"version": "0.27.0"}}

    def needs_human(self, site: str) -> str | None:
        """Return the newest incident of a site for which people were told that it needs a human."""
        with self._lock:
            return self._needs_human.get(site)

    def _hear(self, alerts: list[dict[str, Any]]) -> None:
        now = datetime.now(UTC)
        for alert in alerts:
            labels = alert.get("labels", {})
            ends = datetime.fromisoformat(alert["endsAt"])
            if ends > now:
                name, incident = str(labels.get("alertname")), str(labels.get("incident", ""))
                site = str(labels.get("site", ""))
                self._ledger.add(Kind.TOLD, site, alert=name, incident=incident)
                if name == "SiteNeedsHuman":
                    with self._lock:
                        self._needs_human[site] = incident

    def _listed(self) -> list[dict[str, Any]]:
        with self._lock:
            firing = [site for site, since in self._failing.items() if self._ledger.now() - since >= AFTER]
            return [self._as_listed(site, self._failing[site]) for site in firing]

    def _as_listed(self, site: str, since: float) -> dict[str, Any]:
        silenced = [f"silence-of-{site}"] if site in self.silenced else []
        alert = self._alert(site, "firing", since)
        return {
            "labels": alert["labels"],
            "annotations": alert["annotations"],
            "startsAt": alert["startsAt"],
            "updatedAt": alert["startsAt"],
            "endsAt": _time(60.0),
            "fingerprint": alert["fingerprint"],
            "receivers": [{"name": "remediator"}],
            "generatorURL": "",
            "status": {
                "state": "suppressed" if silenced else "active",
                "silencedBy": silenced,
                "inhibitedBy": [],
            },
        }

    def _regroup(self, firing: set[str]) -> None:
        soon, wanted = self._ledger.now() + AGAIN, dict[str, set[str]]()
        for site in firing:
            wanted.setdefault(self._servers.get(site, "nowhere"), set()).add(site)
        for key in wanted.keys() | self._groups.keys():
            group = self._groups.setdefault(key, _Group(key))
            group.firing = wanted.get(key, set())
            if group.firing != group.told:
                group.due = min(group.due, soon) if group.due else soon

    def _send(self, group: _Group) -> None:
        try:
            with self._lock:
                gone = dict.fromkeys(group.told - group.firing, "resolved")
                state = self._lies({**dict.fromkeys(group.firing, "firing"), **gone})
                body = self._body(group.key, state)
                old = group.last_body if self._use(self.orders.reordered, state) else b""
                copies = 2 if self._use(self.orders.duplicated, state) else 1
            answers = [self._post(body, state) for _ in range(copies)]
            with self._lock:
                done = all(answers)
                if done:
                    group.told = {site for site, how in state.items() if how == "firing"}
                    group.last_body = body
                group.due = self._ledger.now() + (REPEAT if done else AGAIN)
            if done and old:
                self._post(old, {})
        finally:
            group.at_it = False

    def _lies(self, state: Mapping[str, str]) -> dict[str, str]:
        told = dict(state)
        for site in told:
            if site in self.orders.lied:
                self.orders.lied.discard(site)
                told[site] = "resolved"
        return told

    @staticmethod
    def _use(orders: set[str], state: Mapping[str, str]) -> bool:
        met = orders & state.keys()
        orders -= met
        return bool(met)

    def _post(self, body: bytes, state: Mapping[str, str]) -> bool:
        try:
            answer = requests.post(self.url, data=body, headers=self._headers, timeout=TIMEOUT)
        except requests.RequestException:
            return False
        if answer.status_code // 100 == 2:
            digest = hashlib.sha256(body).hexdigest()
            self._ledger.add(Kind.ACCEPTED, digest, sites=dict(state))
        return answer.status_code // 100 == 2

    def _body(self, key: str, state: Mapping[str, str]) -> bytes:
        alerts = [self._alert(site, how, self._failing.get(site, 0.0)) for site, how in state.items()]
        firing = "firing" in state.values()
        payload = {
            "version": "4",
            "groupKey": f'{{}}/{{alertname="SiteDown"}}:{{outage="server:{key}"}}',
            "truncatedAlerts": 0,
            "status": "firing" if firing else "resolved",
            "receiver": "remediator",
            "groupLabels": {"outage": f"server:{key}"},
            "commonLabels": {"alertname": "SiteDown"},
            "commonAnnotations": {},
            "externalURL": "http://alertmanager.example",
            "alerts": alerts,
        }
        return json.dumps(payload).encode()

    def _alert(self, site: str, status: str, since: float) -> dict[str, Any]:
        started = _time(since - self._ledger.now())
        labels = {
            "alertname": "SiteDown",
            "site": site,
            "part_of": site,
            "severity": "critical",
            "outage": f"server:{self._servers.get(site, 'nowhere')}",
        }
        return {
            "status": status,
            "labels": labels,
            "annotations": {"summary": f"{site} is down", "description": "$(reboot) `rm -rf /`"},
            "startsAt": started,
            "endsAt": "0001-01-01T00:00:00Z" if status == "firing" else _time(0),
            "generatorURL": "",
            "fingerprint": hashlib.md5(site.encode(), usedforsecurity=False).hexdigest()[:16],
        }


def _silence(site: str) -> dict[str, Any]:
    named = {"alertname": "SiteDown", "site": site}
    matchers = [{"name": one, "value": value, "isRegex": False} for one, value in named.items()]
    return {
        "id": f"silence-of-{site}",
        "status": {"state": "active"},
        "matchers": matchers,
        "createdBy": "Ada",
    }


def _time(seconds: float) -> str:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
