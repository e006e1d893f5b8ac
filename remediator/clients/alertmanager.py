"""Alertmanager's API: takes our alerts, tells what it has counted. Every error is an AlertmanagerError."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import requests

from remediator.clients.silenced import SHARED, Matcher, Silence, Silenced
from remediator.errors import AlertmanagerError
from remediator.intake.alerts import ALERTS
from remediator.model.incident import SITE_DOWN
from remediator.model.mail_flow import MailCounts

TIMEOUT = (2.0, 5.0)
_OURS = "/api/v2/alerts?filter=alertname%3D~%22SiteDown%7CContainerDown%22"
_EMAIL = re.compile(r'^(alertmanager_notif\w+_total)\{[^}]*integration="email"[^}]*\} (\S+)', re.MULTILINE)
_PROCESS = re.compile(r"^process_start_time_seconds (\S+)", re.MULTILINE)
_CONFIGURED = re.compile(r"^alertmanager_config_hash (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class _Alert:
    """One of a site's, with the silences in force that cover it."""

    labels: Mapping[str, str]
    silences: frozenset[str]

    @property
    def name(self) -> str:
        return self.labels["alertname"]

    @property
    def site(self) -> str:
        return self.labels["site"]


class AlertmanagerClient:
    """One Alertmanager."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._mails: tuple[tuple[str, float], bool] | None = None

    def post(self, alerts: list[dict[str, Any]]) -> None:
        """Post alerts."""
        self._ask("POST", "/api/v2/alerts", alerts)

    def silenced(self, timeout: tuple[float, float] = TIMEOUT) -> Silenced:
        """Return of which sites somebody has silenced SiteDown, or ContainerDown before it fires.

        The alerts are asked for last, and only while a silence is in force: there may be many.
        """
        silences = self._silences(timeout)
        return _silenced(self._alerts(_OURS, timeout), silences) if silences else Silenced()

    def silenced_at(self, site: str, timeout: tuple[float, float] = TIMEOUT) -> Silenced:
        """Return the same of one site; its SiteDown says all where it is there, and nothing else is asked."""
        found = self._alerts(_OURS + "&filter=" + quote(f'site="{site}"', safe=""), timeout)
        told = _silenced(found, ())
        return told if site in told.present else _silenced(found, self._silences(timeout))

    def _alerts(self, path: str, timeout: tuple[float, float]) -> list[_Alert]:
        every = self._ask("GET", path, timeout=timeout).json
        try:
            return [
                _Alert(one["labels"], frozenset(one["status"]["silencedBy"]))
                for one in every()
                if one["labels"]["alertname"] in ALERTS and isinstance(one["labels"].get("site"), str)
            ]
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise AlertmanagerError("Alertmanager does not tell its silences") from error

    def _silences(self, timeout: tuple[float, float]) -> tuple[Silence, ...]:
        every = self._ask("GET", "/api/v2/silences", timeout=timeout).json
        try:
            return tuple(_silence(one) for one in every() if one["status"]["state"] == "active")
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise AlertmanagerError("Alertmanager does not tell its silences") from error

    def mail_counts(self) -> MailCounts | None:
        """Return what it has counted for e-mail; None where it has nobody to mail to."""
        text = self._ask("GET", "/metrics").text
        process, configured = _PROCESS.search(text), _CONFIGURED.search(text)
        if process is None:
            raise AlertmanagerError("Alertmanager's metrics do not tell when it was started")
        counts = _counts(text, float(process[1]))
        version = (configured[1] if configured else "", counts.process)
        if self._mails is None or self._mails[0] != version:
            self._mails = version, self._has_mail()
        return counts if self._mails[1] else None

    def _has_mail(self) -> bool:
        try:
            config = self._ask("GET", "/api/v2/status").json()["config"]["original"]
        except (ValueError, LookupError, TypeError) as error:
            raise AlertmanagerError("Alertmanager does not tell its configuration") from error
        return "email_configs:" in str(config)

    def _ask(
        self, method: str, path: str, body: object = None, timeout: tuple[float, float] = TIMEOUT
    ) -> requests.Response:
        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.request(
                    method, f"{self._url}{path}", json=body, timeout=timeout, allow_redirects=False
                )
        except requests.RequestException as error:
            raise AlertmanagerError(f"no answer from Alertmanager: {type(error).__name__}") from error
        if answer.status_code != 200:
            raise AlertmanagerError(f"Alertmanager answered {answer.status_code}")
        return answer


def _silenced(alerts: Sequence[_Alert], silences: tuple[Silence, ...]) -> Silenced:
    """Put together what is told of each site: ContainerDown counts where there is no SiteDown."""
    present = frozenset(one.site for one in alerts if one.name == SITE_DOWN)
    sites, labels = dict[str, frozenset[str]](), dict[str, Mapping[str, str]]()
    for one in alerts:
        if one.name != SITE_DOWN and one.site in present:
            continue
        if one.silences:
            sites[one.site] = sites.get(one.site, frozenset()) | one.silences
        if one.name != SITE_DOWN:
            labels[one.site] = {name: one.labels.get(name, "") for name in SHARED}
    return Silenced(sites, silences, present, labels)


def _silence(told: Mapping[str, Any]) -> Silence:
    matchers = (
        Matcher(one["name"], one["value"], one["isRegex"], one.get("isEqual", True))
        for one in told["matchers"]
    )
    return Silence(str(told["id"]), tuple(matchers))


def _counts(text: str, process: float) -> MailCounts:
    """Sum each counter over its other labels: newer versions add `reason` and `receiver_name`."""
    found: dict[str, float] = {}
    for name, value in _EMAIL.findall(text):
        found[name] = found.get(name, 0.0) + float(value)

    def count(name: str) -> float:
        return found.get(f"alertmanager_{name}_total", 0.0)

    return MailCounts(
        process=process,
        begun=count("notifications"),
        given_up=count("notifications_failed"),
        requests=count("notification_requests"),
        failed=count("notification_requests_failed"),
    )


def rfc3339(time: float) -> str:
    """Write unix seconds as Alertmanager reads them."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
