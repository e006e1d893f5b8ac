"""Import from Uptime Kuma: the JSON of its backup, or its database kuma.db."""

import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from email.utils import getaddresses
from pathlib import Path
from typing import Any
from urllib.parse import quote

from core.durations import format_duration
from core.sites.validate import validate
from stack.alerting import MailOptions
from stack.configure.imported import Imported, ImportFileError
from stack.configure.kuma_monitor import Monitor, Notification
from stack.configure.secret_words import SECRET_WORD

_LEAST_AFTER = 30.0
"""Seconds that a site fails before it alerts, at least: Uptime Kuma mails at the first failure by default."""

_STATUSES = re.compile(r"(\d{3})(?:-(\d{3}))?", re.ASCII)

Raw = Mapping[str, Any]


def monitors_of_backup(backup: Raw) -> tuple[list[Any], list[Any]]:
    """Return the monitors and the notifications of a backup. Raises ImportFileError."""
    monitors, notifications = backup.get("monitorList"), backup.get("notificationList") or []
    if not isinstance(monitors, list) or not isinstance(notifications, list):
        raise ImportFileError("this is no backup of Uptime Kuma: it has no list of monitors")
    return monitors, [one.get("config") if isinstance(one, Mapping) else None for one in notifications]


def monitors_of_database(path: Path) -> tuple[list[Any], list[Any]]:
    """Return the monitors and the notifications in a kuma.db. Raises ImportFileError."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            monitors = [dict(row) for row in database.execute("SELECT * FROM monitor")]
            configs = database.execute("SELECT config FROM notification WHERE active").fetchall()
    except (sqlite3.Error, ValueError) as error:
        raise ImportFileError(
            f"{path.name}: no database of Uptime Kuma can be read here ({error})"
        ) from error
    return monitors, [row["config"] for row in configs]


def import_uptime_kuma(monitors: Sequence[Any], notifications: Sequence[Any]) -> Imported:
    """Return the monitors as sites, with what could not be taken over as notes."""
    found = Imported()
    _notifications(notifications, found)
    read = [monitor for raw in monitors if (monitor := _read(raw, found)) is not None]
    groups = {monitor.id: monitor.name for monitor in read if monitor.type == "group"}
    for monitor in read:
        if monitor.type != "group":
            _monitor(monitor, groups, found)
    if not found.sites:
        raise ImportFileError("\n".join(["none of its monitors can be watched:", *found.notes]))
    return found


def _read(raw: Any, found: Imported) -> Monitor | None:
    if not isinstance(raw, Mapping):
        found.note("a monitor that cannot be read")
        return None
    monitor, faults = validate(Monitor, raw, "", "")
    if monitor is None:
        name = raw["name"] if isinstance(raw.get("name"), str) else "a monitor without a name"
        found.note(f"{name}: {'; '.join(str(fault) for fault in faults)}")
    return monitor


def _notifications(configs: Sequence[Any], found: Imported) -> None:
    addresses: dict[str, None] = {}
    for config in configs:
        one = _notification(config)
        if one is None:
            found.note("a notification that cannot be read")
        elif one.type != "smtp":
            found.note(f"the notification by {one.type}: docs/notifications.md says which ways there are")
        else:
            found_here = getaddresses([one.recipients.replace(";", ",")])
            addresses |= dict.fromkeys(address for _, address in found_here)
    for address in [one for one in addresses if one]:
        if validate(MailOptions, {"email": address}, "", "")[1]:
            found.note(f"the recipient {address}: it is no mail address")
        else:
            found.defaults.setdefault("email", []).append(address)


def _notification(config: Any) -> Notification | None:
    try:
        raw = json.loads(config)
    except (ValueError, TypeError, RecursionError):
        return None
    return validate(Notification, raw, "", "")[0] if isinstance(raw, Mapping) else None


def _monitor(monitor: Monitor, groups: Mapping[int, str], found: Imported) -> None:
    name, reader = monitor.name, _READERS.get(monitor.type)
    if reader is None:
        found.note(f"{name}: a monitor of type {monitor.type} has no counterpart yet")
    elif not monitor.active:
        found.note(f"{name}: it is paused")
    elif monitor.upside_down:
        found.note(f"{name}: it is upside down: down is good there")
    else:
        group = groups.get(monitor.parent) if monitor.parent is not None else None
        site = {**reader(monitor, found), **_rhythm(monitor), **({"group": group} if group else {})}
        found.add(found.free(name), site)


def _http(monitor: Monitor, found: Imported) -> dict[str, Any]:
    site: dict[str, Any] = {"url": monitor.url}
    expect: dict[str, Any] = {}
    statuses = list(_statuses(monitor, found))
    if statuses and statuses != ["2xx"]:
        expect["status"] = statuses if len(statuses) > 1 else statuses[0]
    if monitor.type == "keyword" and monitor.keyword:
        if monitor.invert_keyword:
            found.note(f"{monitor.name}: the keyword that must not be there: {monitor.keyword!r}")
        else:
            expect["body"] = re.escape(monitor.keyword).replace("\\ ", " ")
    if expect:
        site["expect"] = expect
    module = f"imported_{len(found.modules) + 1}"
    if options := dict(_options(monitor, module, found)):
        found.modules[module] = {"prober": "http", "http": options}
        site["module"] = module
    return site


def _options(monitor: Monitor, module: str, found: Imported) -> Iterator[tuple[str, Any]]:
    """Yield what goes into a module of the site's own: method, headers, body, login, TLS."""
    if monitor.method.upper() != "GET":
        yield "method", monitor.method.upper()
    if headers := dict(_headers(monitor, found)):
        yield "headers", headers
    if SECRET_WORD.search(monitor.body):
        found.note(f"{monitor.name}: the body that it sends, since it seems to hold a secret")
    elif monitor.body:
        yield "body", monitor.body
    if monitor.auth_method != "basic":
        found.note(f"{monitor.name}: its login by {monitor.auth_method}")
    elif monitor.basic_auth_user:
        file = f"keys/{module}.password"
        found.note(f"{monitor.name}: its password: put it into {file} (chmod 600)")
        yield "basic_auth", {"username": monitor.basic_auth_user, "password_file": file}
    if monitor.ignore_tls:
        yield "tls_config", {"insecure_skip_verify": True}
    if monitor.maxredirects == 0:
        yield "follow_redirects", False


def _headers(monitor: Monitor, found: Imported) -> Iterator[tuple[str, str]]:
    """Yield the headers without those that hold a secret, which are told."""
    for key, value in monitor.headers.items():
        if SECRET_WORD.search(key):
            found.note(f"{monitor.name}: the header {key}, since it holds a secret")
        else:
            yield key, value


def _port(monitor: Monitor, _: Imported) -> dict[str, Any]:
    host = monitor.hostname
    return {"url": f"tcp://{f'[{host}]' if ':' in host else host}:{monitor.port}"}


_READERS: Mapping[str, Callable[[Monitor, Imported], dict[str, Any]]] = {
    "http": _http,
    "keyword": _http,
    "port": _port,
}


def _rhythm(monitor: Monitor) -> dict[str, Any]:
    """Return interval, timeout and how long it must fail: Uptime Kuma counts retries instead."""
    after = monitor.maxretries * (monitor.retry_interval or monitor.interval)
    found: dict[str, Any] = {"interval": format_duration(monitor.interval)}
    if 0 < monitor.timeout < monitor.interval:
        found["timeout"] = format_duration(monitor.timeout)
    if after > _LEAST_AFTER:
        found["alert"] = {"after": format_duration(after)}
    return found


def _statuses(monitor: Monitor, found: Imported) -> Iterator[Any]:
    """Read `200-299` as 2xx, `201` as itself, and a narrower range as its numbers."""
    for code in monitor.accepted_statuscodes:
        match = _STATUSES.fullmatch(code)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 100 <= first <= last <= 599:
            found.note(f"{monitor.name}: the status code {code!r}")
        elif first % 100 == 0 and last % 100 == 99:
            yield from (f"{hundreds}xx" for hundreds in range(first // 100, last // 100 + 1))
        else:
            yield from range(first, last + 1)
