"""A console with something to show: sites, incidents old and open, a question with its evidence, a pause."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from waitress.server import create_server

from remediator.model.holds import Pause
from remediator.model.incident import Decision, Outcome, Reason, State, Verb
from remediator.model.seen import Look
from remediator.store import approvals as store_approvals
from remediator.store import attempts as store_attempts
from remediator.store import incidents as store_incidents
from remediator.store.database import add_pause, record
from remediator.store.watched import note_watched
from remediator.web import create_app
from tests.remediator.doubles import Lab, lab

SITES = """
canaries: ["tcp://127.0.0.1:1"]
servers:
  web-1: {ssh: medic@198.51.100.1, linode: 7, may_reboot: true}
  db-1: {ssh: medic@198.51.100.2}
defaults: {interval: 15s}
status_page: {title: Acme, sites: [www, shop, blog]}
sites:
  - {name: www, url: "https://acme.example/", recover: {server: web-1, container: nginx}}
  - name: shop
    url: "https://shop.acme.example/"
    recover: {server: web-1, compose: shop/web, mode: approve}
    apps:
      - {name: api, url: "https://shop.acme.example/api/health", recover: {server: web-1, compose: shop/api}}
      - {name: redis, url: "tcp://198.51.100.2:6379", recover: {server: db-1, container: redis}}
  - {name: blog, url: "https://blog.acme.example/"}
  - {name: wiki, url: "https://wiki.acme.example/", recover: {server: db-1, container: wiki, mode: observe}}
  - {name: tickets, url: "https://tickets.acme.example/", recover: {server: db-1, container: tickets}}
"""
NAMES = ("www", "shop", "shop/api", "shop/redis", "blog", "wiki", "tickets")
HOUR = 3600.0
EVIDENCE: dict[str, Any] = {
    "ssh": "ok",
    "container": {
        "id": "4be1c0ffee", "name": "shop-web-1", "status": "exited", "exit_code": 137, "oom_killed": True,
        "error": "", "health": None, "started_at": "2026-11-21T03:12:09Z", "restart_count": 0,
    },
    "log_tail": [
        "2026-11-21T08:12:31Z worker 3: cache full, 1,998 MiB in use",
        "2026-11-21T08:12:33Z FATAL: cannot allocate 67108864 bytes",
    ],
    "linode": {"status": "running", "recent_events": []},
    "problems": [],
}  # fmt: skip


def containers() -> dict[str, Any]:
    """What the exporter tells: one has ended, one calls itself unhealthy, one engine is silent."""
    now, mebibyte = time.time(), 1024 * 1024
    ended = {"state": "exited", "up": False, "since": now - 250, "exit_code": 137, "oom_killed": True}
    runs = {
        "state": "running", "up": True, "since": now - 30 * HOUR, "exit_code": None, "oom_killed": False,
        "cpu": 0.042, "memory": 96 * mebibyte, "memory_limit": 512 * mebibyte,
    }  # fmt: skip
    of = (
        ("web-1", "nginx", {**runs, "health": "healthy"}, ["www"]),
        ("web-1", "shop-web-1", {**ended, "restarts": 2}, ["shop"]),
        ("web-1", "shop-api-1", {**runs, "health": "unhealthy", "restarts": 1}, ["shop/api"]),
        ("web-1", "worker", runs, []),
        ("db-1", "redis", {**runs, "memory_limit": None}, ["shop/redis"]),
        ("db-1", "wiki", {"state": "absent", "up": False}, ["wiki"]),
    )
    refused = "Docker on db-1 does not let us in: add the user medic to the group docker there"
    return {
        "servers": {
            "web-1": {"up": True, "reason": None, "message": "", "last_success": now - 1},
            "db-1": {"up": False, "reason": "refused", "message": refused, "last_success": now - 140},
        },
        "containers": [
            {
                "server": server,
                "name": name,
                "image": f"acme/{name}:1.4",
                "sites": sites,
                "restarts": 0,
                **more,
            }
            for server, name, more, sites in of
        ],
    }


@contextmanager
def scene(folder: Path, **lab_too: Any) -> Iterator[Lab]:
    """Make a lab whose database holds a history; nothing in it is being healed."""
    with lab(folder, sites=SITES, start=False, **lab_too) as found:
        found.exporter.sites = NAMES
        found.exporter.containers = containers()
        found.exporter.failing |= {"shop": "refused", "tickets": "timeout", "wiki": "status"}
        _tell_history(found)
        with found.remediator.store.write() as connection:
            note_watched(connection, NAMES, time.time() - 100 * 24 * HOUR)
        yield found


@contextmanager
def served_console(of: Lab) -> Iterator[str]:
    """Serve a lab's console on a loopback port, as the remediator's process does."""
    server = create_server(create_app(of.remediator), map={}, host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        server.close()
        thread.join(10)


def incident(of: Lab, site: str, ago: float, reason: str = "status") -> int:
    """Open an incident so many seconds ago; return its id."""
    at = time.time() - ago
    with of.remediator.store.write() as connection:
        (number,) = store_incidents.open_incidents(connection, {site: site}, at, "SiteDown fires").values()
        store_incidents.change(connection, number, failing_since=at - 40, probe_reason=reason)
    return number


def decided(of: Lab, number: int, decision: Decision, state: State | None = None) -> None:
    """Keep a decision about an incident, and move it."""
    now = time.time()
    with of.remediator.store.write() as connection:
        found = store_incidents.get(connection, number)
        assert found is not None
        store_incidents.keep_decision(connection, found, decision, now)
        if state is not None:
            store_incidents.move(connection, found, state, decision, now)


def ended(of: Lab, number: int, ago: float, outcome: Outcome = Outcome.HEALED) -> None:
    """Close an incident so many seconds ago."""
    with of.remediator.store.write() as connection:
        found = store_incidents.get(connection, number)
        assert found is not None
        over = Decision(Verb.CLOSE, Reason.PROVED, "2 fresh probes in a row pass")
        store_incidents.close(connection, found, outcome, over, time.time() - ago)


def question(of: Lab, site: str = "shop", evidence: dict[str, Any] | None = None) -> tuple[int, int]:
    """Have a site wait for an approval; return the incident and the question."""
    now = time.time()
    number = incident(of, site, 240, "refused")
    with of.remediator.store.write() as connection:
        look = Look(now - 200, "ok", {"time": now - 200, **(evidence or EVIDENCE)})
        store_incidents.keep_look(connection, number, look, now - 200)
        detail = (
            f"Connection refused. {site}: shop-web-1 on web-1 exited with 137, killed for want of memory."
        )
        asked = store_approvals.ask(
            connection, number, "restart_container", "restart_container", detail, now - 200
        )
    assert asked is not None
    needed = Decision(
        Verb.ASK, Reason.APPROVAL_NEEDED, detail, "restart_container", "restart_container",
        numbers={"unhealthy": 3, "sites": 7, "share": 0.43, "canaries": 1, "held_by": ["mode"]},
    )  # fmt: skip
    decided(of, number, needed, State.AWAITING_APPROVAL)
    return number, asked


def _tell_history(of: Lab) -> None:
    question(of)
    for number, (site, ago, took, outcome) in enumerate(
        (
            ("www", 80 * HOUR, 95, Outcome.HEALED),
            ("shop/api", 30 * HOUR, 62, Outcome.HEALED),
            ("blog", 20 * HOUR, 1500, Outcome.BY_ITSELF),
            ("tickets", 14 * HOUR, 5200, Outcome.BY_A_HUMAN),
            ("www", 6 * HOUR, 71, Outcome.HEALED),
        )
    ):
        old = incident(of, site, ago)
        if outcome is Outcome.HEALED:
            _healed_by(of, old, site, ago, number)
        ended(of, old, ago - took, outcome)
    waits = Decision(
        Verb.WAIT, Reason.COOLDOWN, "the last attempt ended 20s ago",
        "restart_container", "restart_container",
        until=time.time() + 40, numbers={"cooldown": 60, "held_by": ["cooldown"]},
    )  # fmt: skip
    decided(of, incident(of, "tickets", 130, "timeout"), waits)
    observed = Decision(Verb.OBSERVE, Reason.OBSERVE_MODE, "the mode is observe", "restart_container")
    decided(of, incident(of, "wiki", 900), observed, State.OBSERVING)
    with of.remediator.store.write() as connection:
        add_pause(
            connection, Pause("server:db-1", "Grace", "new disk", time.time() - 600, time.time() + HOUR)
        )


def _healed_by(of: Lab, number: int, site: str, ago: float, lease: int) -> None:
    at = time.time() - ago + 5
    attempt = {
        "incident_id": number, "site": site, "server": "web-1", "target": "nginx",
        "action": "restart_container", "step": "restart_container", "stage": "succeeded", "fence": lease,
        "created_at": at, "stage_at": at + 20, "next_at": at, "acted_at": at + 1, "finished_at": at + 20,
        "reason": None, "detail": "restarted nginx", "permanent": False, "passes": 2, "marks": {},
        "evidence": {"time": at, **EVIDENCE},
    }  # fmt: skip
    with of.remediator.store.write() as connection:
        done = store_attempts.add(connection, attempt)
        record(connection, at, "acting", "restarts nginx on web-1", number, done)
        record(connection, at + 20, "succeeded", "two fresh probes in a row pass", number, done)
