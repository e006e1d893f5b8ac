"""The remediator with one of its rules taken out: `python -m tests.campaign.without RULE …`, as launch.py.

A guard alone is not all of a rule: what is asked again before the act, or held by the database, goes too.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

from stack.campaign import launch

BELIEVED = 10.0
"""Seconds."""


def main() -> None:
    """Take the rule out, then be the lab's launcher."""
    rule = sys.argv.pop(1)
    from remediator.guards import GUARDS
    from remediator.guards.verdict import Allow

    if rule in GUARDS:
        GUARDS[rule] = lambda _facts, _step, _now: Allow()  # type: ignore[index]
    elif rule not in MORE:
        raise SystemExit(f"there is no rule {rule}")
    MORE.get(rule, lambda: None)()
    launch.main()


def _paused() -> None:
    from remediator.acting import stages
    from remediator.deciding import last_check

    for module in (last_check, stages):
        _replace(module, "paused", lambda _attempt, _pauses: False)


def _said() -> None:
    """Ask people's words at the decision only, and not once more before the act."""
    from remediator.acting import said
    from remediator.deciding import last_check

    for module in (last_check, said):
        _replace(module, "hands_off", lambda *_said, **_more: None)


def _fresh_probe() -> None:
    """Believe the alert for the first seconds of an outage, long enough to act; only then look."""
    from remediator.clients.exporter import ExporterClient
    from remediator.model.seen import Probe

    looks, believed = ExporterClient.probe, dict[str, float]()

    def probe(self: Any, site: str) -> Probe:
        now = time.monotonic()
        if now - believed.setdefault(site, now) > BELIEVED:
            return looks(self, site)
        return Probe(site, False, self._now(), "status", "the alert says so")

    _replace(ExporterClient, "probe", probe)


def _server_lease() -> None:
    """Give a server to whoever wants it."""
    from sqlalchemy import update

    from remediator.store import attempts as store_attempts
    from remediator.store.schema import LEASES

    taken = store_attempts.take_lease

    def take(connection: Any, server: str, owner: str, now: float, ttl: float, attempt: Any = None) -> Any:
        lease = store_attempts.lease_of(connection, server)
        if lease is None:
            return taken(connection, server, owner, now, ttl, attempt)
        values = {"owner": owner, "expires_at": now + ttl, "attempt_id": attempt}
        connection.execute(update(LEASES).where(LEASES.c.server == server).values(**values))
        return lease.fence

    _replace(store_attempts, "take_lease", take)


def _mode() -> None:
    from remediator.configuration import policy

    _replace(policy, "mode", lambda _document, _site: "auto")


def _permission(name: str) -> Callable[[], None]:
    def allow() -> None:
        from core.servers.server import Server

        def read(self: Any, wanted: str) -> Any:
            return True if wanted == name else object.__getattribute__(self, wanted)

        _replace(Server, "__getattribute__", read)

    return allow


def _known_hosts() -> None:
    """Trust whatever host key is shown."""
    from core.servers import ssh

    _replace(ssh, "verify", lambda _settings, _known, _shown: None)


def _stored() -> None:
    """Answer a notification with 200 without keeping it."""
    from remediator.intake import ingest

    _replace(ingest, "add_notification", lambda _connection, **_values: 0)


def _replace(owner: Any, name: str, by: Any) -> None:
    getattr(owner, name)  # it must be there to be taken out
    setattr(owner, name, by)


MORE: dict[str, Callable[[], None]] = {
    "paused": _paused,
    "said": _said,
    "fresh_probe": _fresh_probe,
    "server_lease": _server_lease,
    "mode": _mode,
    "may_reboot": _permission("may_reboot"),
    "may_boot": _permission("may_boot"),
    "known_hosts": _known_hosts,
    "stored": _stored,
}

if __name__ == "__main__":
    main()
