"""Import from Uptime Kuma: the JSON of its backup, or its database kuma.db.

Both hold the same monitors; the backup writes some names in camelCase, and lists as lists.
"""

import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from core.durations import format_duration
from stack.configure.imported import Imported, ImportFileError

_LEAST_AFTER = 30.0
"""Seconds that a site fails before it alerts, at least: Uptime Kuma mails at the first failure by default."""

_SECRET_HEADERS = ("authorization", "cookie", "proxy-authorization", "x-api-key", "x-auth-token")

Monitor = Mapping[str, Any]


def monitors_of_backup(text: str) -> tuple[list[Monitor], list[Mapping[str, Any]]]:
    """Return the monitors and the notifications of a backup. Raises ImportFileError."""
    try:
        backup = json.loads(text)
        monitors: list[Monitor] = [dict(monitor) for monitor in backup["monitorList"]]
        notifications: list[Mapping[str, Any]] = [
            json.loads(one["config"]) for one in backup.get("notificationList") or ()
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ImportFileError("this is no backup of Uptime Kuma: it has no list of monitors") from error
    return monitors, notifications


def monitors_of_database(path: Path) -> tuple[list[Monitor], list[Mapping[str, Any]]]:
    """Return the monitors and the notifications in a kuma.db. Raises ImportFileError."""
    try:
        with sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True) as database:
            database.row_factory = sqlite3.Row
            monitors: list[Monitor] = [dict(row) for row in database.execute("SELECT * FROM monitor")]
            configs = database.execute("SELECT config FROM notification WHERE active").fetchall()
            notifications = [json.loads(row["config"]) for row in configs]
        database.close()
    except (sqlite3.Error, ValueError) as error:
        raise ImportFileError(
            f"{path.name}: no database of Uptime Kuma can be read here ({error})"
        ) from error
    return monitors, notifications


def import_uptime_kuma(monitors: list[Monitor], notifications: list[Mapping[str, Any]]) -> Imported:
    """Return the monitors as sites, with what could not be taken over as notes."""
    found = Imported()
    _notifications(notifications, found)
    groups = {one["id"]: str(one["name"]) for one in monitors if one.get("type") == "group" and "id" in one}
    for monitor in monitors:
        if monitor.get("type") != "group":
            _monitor(monitor, groups, found)
    if not found.sites:
        raise ImportFileError("\n".join(["none of its monitors can be watched:", *found.notes]))
    return found


def _notifications(notifications: list[Mapping[str, Any]], found: Imported) -> None:
    lines = [str(one["smtpTo"]) for one in notifications if one.get("type") == "smtp" and one.get("smtpTo")]
    addresses = [address.strip() for line in lines for address in line.split(",") if address.strip()]
    if addresses:
        found.defaults["email"] = list(dict.fromkeys(addresses))
    for kind in sorted({str(one.get("type")) for one in notifications} - {"smtp"}):
        found.note(f"the notification by {kind}: .env has lines for others than mail (docs/configuration.md)")


def _monitor(monitor: Monitor, groups: Mapping[Any, str], found: Imported) -> None:
    name, kind = str(monitor.get("name") or "site"), str(monitor.get("type"))
    reader = _READERS.get(kind)
    if reader is None:
        found.note(f"{name}: a monitor of type {kind} has no counterpart yet")
    elif not monitor.get("active", True):
        found.note(f"{name}: it is paused")
    elif _of(monitor, "upsideDown"):
        found.note(f"{name}: it is upside down: down is good there")
    else:
        site = reader(monitor, found)
        group = groups.get(monitor.get("parent"))
        found.add(name, {**site, **_rhythm(monitor), **({"group": group} if group else {})})


def _http(monitor: Monitor, found: Imported) -> dict[str, Any]:
    site: dict[str, Any] = {"url": str(monitor.get("url"))}
    expect: dict[str, Any] = {}
    statuses = list(_statuses(_of(monitor, "accepted_statuscodes", "accepted_statuscodes_json")))
    if statuses and statuses != ["2xx"]:
        expect["status"] = statuses if len(statuses) > 1 else statuses[0]
    if monitor.get("type") == "keyword" and monitor.get("keyword"):
        pattern = re.escape(str(monitor["keyword"])).replace("\\ ", " ")
        if _of(monitor, "invertKeyword"):
            found.note(f"{monitor.get('name')}: the keyword that must not be there: {monitor['keyword']!r}")
        else:
            expect["body"] = pattern
    if expect:
        site["expect"] = expect
    options = dict(_options(monitor, found))
    if options:
        module = f"imported_{len(found.modules) + 1}"
        found.modules[module] = {"prober": "http", "http": options}
        site["module"] = module
    return site


def _options(monitor: Monitor, found: Imported) -> Iterator[tuple[str, Any]]:
    """Yield what goes into a module of the site's own: method, headers, body, login, TLS."""
    name = monitor.get("name")
    if str(monitor.get("method") or "GET").upper() != "GET":
        yield "method", str(monitor["method"]).upper()
    if headers := _headers(monitor, found):
        yield "headers", headers
    if monitor.get("body"):
        yield "body", str(monitor["body"])
    if monitor.get("basic_auth_user"):
        file = f"keys/{re.sub(r'[^A-Za-z0-9_.-]', '-', str(name))}.password"
        found.note(f"{name}: its password: put it into {file} (chmod 600)")
        yield "basic_auth", {"username": str(monitor["basic_auth_user"]), "password_file": file}
    if _of(monitor, "ignoreTls"):
        yield "tls_config", {"insecure_skip_verify": True}
    if monitor.get("maxredirects") == 0:
        yield "follow_redirects", False


def _headers(monitor: Monitor, found: Imported) -> dict[str, str]:
    """Return the headers without those that hold a secret, which are told."""
    name = monitor.get("name")
    try:
        headers = json.loads(str(monitor.get("headers") or "{}")).items()
    except (ValueError, AttributeError):
        found.note(f"{name}: its headers, which are no JSON")
        return {}
    for key, _ in headers:
        if str(key).lower() in _SECRET_HEADERS:
            found.note(f"{name}: the header {key}, since it holds a secret")
    return {str(key): str(value) for key, value in headers if str(key).lower() not in _SECRET_HEADERS}


def _port(monitor: Monitor, _: Imported) -> dict[str, Any]:
    host = str(monitor.get("hostname"))
    return {"url": f"tcp://{f'[{host}]' if ':' in host else host}:{monitor.get('port')}"}


_READERS: Mapping[str, Callable[[Monitor, Imported], dict[str, Any]]] = {
    "http": _http,
    "keyword": _http,
    "port": _port,
}


def _rhythm(monitor: Monitor) -> dict[str, Any]:
    """Return interval, timeout and how long it must fail: Uptime Kuma counts retries instead."""
    interval = float(monitor.get("interval") or 60)
    timeout = float(monitor.get("timeout") or 0)
    after = float(monitor.get("maxretries") or 0) * float(_of(monitor, "retryInterval") or interval)
    found: dict[str, Any] = {"interval": format_duration(interval)}
    if 0 < timeout < interval:
        found["timeout"] = format_duration(timeout)
    if after > _LEAST_AFTER:
        found["alert"] = {"after": format_duration(after)}
    return found


def _statuses(codes: Any) -> Iterator[Any]:
    """Read `200-299` as 2xx, `201` as itself, and a narrower range as its numbers."""
    if isinstance(codes, str):  # the database keeps the list as text
        codes = re.findall(r"\d+(?:-\d+)?", codes)
    for code in codes if isinstance(codes, list) else ():
        low, _, high = str(code).partition("-")
        if not low.isdecimal() or not (high or low).isdecimal():
            continue
        first, last = int(low), int(high or low)
        if last - first == 99 and first % 100 == 0:
            yield f"{first // 100}xx"
        elif 100 <= first <= last <= 599:
            yield from range(first, last + 1)


def _of(monitor: Monitor, *names: str) -> Any:
    """Return a value under its name in the backup, or in the database (`ignoreTls` is `ignore_tls`)."""
    for name in names:
        for known in (name, re.sub(r"(?<=[a-z])([A-Z])", lambda found: f"_{found[1].lower()}", name)):
            if monitor.get(known) is not None:
                return monitor[known]
    return None
