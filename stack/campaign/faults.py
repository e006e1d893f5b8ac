"""The faults: each does its worst to one outage, and takes it back.

Those of SSH, Docker and Linode wait on the server until a command or a call meets them; the others last for
some seconds. A fault of the process, the database, the exporter or Alertmanager comes one at a time.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from demo.linode_faults import Fault
from stack.campaign import database
from stack.campaign.lab import Lab
from stack.campaign.ledger import Kind
from stack.campaign.world import Server


@dataclass(frozen=True)
class Stroke:
    """Where a fault strikes."""

    lab: Lab
    server: Server | None
    site: str
    dice: random.Random


def strike(name: str, stroke: Stroke) -> None:
    """Do it; returns when it is over, or when it waits to be met."""
    stroke.lab.ledger.add(Kind.FAULT, name, on=True, site=stroke.site)
    try:
        FAULTS[name](stroke)
    finally:
        stroke.lab.ledger.add(Kind.FAULT, name, on=False, site=stroke.site)


def _sigkill(stroke: Stroke) -> None:
    with stroke.lab.alone["process"]:
        stroke.lab.process.kill()


def _clock_jump(stroke: Stroke) -> None:
    """Set the clock and set it right again; no start in between, which would believe it (docs/adr/0009)."""
    seconds = stroke.dice.choice((-1, 1)) * stroke.dice.choice((20, 90, 3600, 86400 * 400))
    with stroke.lab.alone["process"]:
        stroke.lab.process.set_clock(seconds)
        try:
            stroke.lab.wait(stroke.dice.uniform(2, 5))
        finally:
            stroke.lab.process.set_clock(0)


def _database_locked(stroke: Stroke) -> None:
    lab = stroke.lab
    with lab.alone["database"]:
        lab.process.excuse(60)
        try:
            database.lock(lab.storage_url, stroke.dice.uniform(1, 4))
        finally:
            lab.process.excuse(5)


def _disk_full(stroke: Stroke) -> None:
    lab = stroke.lab
    with lab.alone["database"]:
        lab.process.excuse(60)
        try:
            lab.disk.fill()
            lab.wait(stroke.dice.uniform(1, 4))
        finally:
            lab.disk.free()
            lab.process.excuse(5)


def _exporter_gone(stroke: Stroke) -> None:
    exporter = stroke.lab.exporter
    with stroke.lab.alone["exporter"]:
        exporter.gone = True
        try:
            stroke.lab.wait(stroke.dice.uniform(1, 4))
        finally:
            exporter.gone = False


def _exporter_slow(stroke: Stroke) -> None:
    exporter = stroke.lab.exporter
    with stroke.lab.alone["exporter"]:
        exporter.slow = stroke.dice.uniform(0.5, 2.5)
        try:
            stroke.lab.wait(stroke.dice.uniform(1, 4))
        finally:
            exporter.slow = 0.0


def _alertmanager_gone(stroke: Stroke) -> None:
    lab, alertmanager = stroke.lab, stroke.lab.alertmanager
    with lab.alone["alertmanager"]:
        while True:
            with lab.alone["silences"]:
                alertmanager.gone = not alertmanager.needed
            if alertmanager.gone:
                break
            lab.wait(0.1)
        try:
            stroke.lab.wait(stroke.dice.uniform(1, 4))
        finally:
            alertmanager.gone = False


def _duplicates(stroke: Stroke) -> None:
    stroke.lab.alertmanager.orders.duplicated.add(stroke.site)


def _reordered(stroke: Stroke) -> None:
    stroke.lab.alertmanager.orders.reordered.add(stroke.site)


def _false_resolve(stroke: Stroke) -> None:
    stroke.lab.alertmanager.orders.lied.add(stroke.site)


def _prometheus_restart(stroke: Stroke) -> None:
    until = stroke.lab.ledger.now() + stroke.dice.uniform(1, 3)
    stroke.lab.alertmanager.orders.vanished[stroke.site] = until


def _host_key(stroke: Stroke) -> None:
    """Show another host key, until a person has looked at it."""
    if stroke.server is not None:
        with stroke.lab.world.changing():
            stroke.server.ssh = "key_changed"


def _on_server(*faults: str) -> Callable[[Stroke], None]:
    def put(stroke: Stroke) -> None:
        if stroke.server is not None:
            with stroke.lab.world.lock:
                stroke.server.faults.extend(faults)

    return put


def _on_linode(kind: str, times: int = 1, accept: bool = False) -> Callable[[Stroke], None]:
    def put(stroke: Stroke) -> None:
        if stroke.server is not None and stroke.server.linode is not None:
            on = "any" if kind == "html400" else "reboot"
            fault = Fault(kind, on, times, 4.0, accept)
            stroke.lab.linode_faults.order_for(stroke.server.linode, fault)

    return put


def _foreign_event(stroke: Stroke) -> None:
    if stroke.server is not None and stroke.server.linode is not None:
        status = stroke.dice.choice(("started", "finished", "failed"))
        action = stroke.dice.choice(("linode_reboot", "lassie_reboot", "linode_snapshot"))
        added = stroke.lab.linode.add_event(stroke.server.linode, action, status, "somebody-else")
        if status == "started":
            stroke.lab.wait(3)
            stroke.lab.linode.finish(added)


FAULTS: dict[str, Callable[[Stroke], None]] = {
    "sigkill": _sigkill,
    "clock_jump": _clock_jump,
    "database_locked": _database_locked,
    "disk_full": _disk_full,
    "exporter_gone": _exporter_gone,
    "exporter_slow": _exporter_slow,
    "alertmanager_gone": _alertmanager_gone,
    "duplicates": _duplicates,
    "reordered": _reordered,
    "false_resolve": _false_resolve,
    "prometheus_restart": _prometheus_restart,
    "host_key": _host_key,
    "ssh_hangs": _on_server("hang"),
    "ssh_half_answer": _on_server("half", "half"),
    "ssh_drops": _on_server("drop"),
    "ssh_drops_before": _on_server("drop_before"),
    "docker_fails": _on_server("fails"),
    "docker_gone": _on_server("no_daemon", "no_daemon"),
    "docker_lies": _on_server("lies"),
    "docker_hangs_before": _on_server("hang_before"),
    "docker_hangs_after": _on_server("hang_after"),
    "linode_busy": _on_linode("busy"),
    "linode_429": _on_linode("429"),
    "linode_503": _on_linode("503"),
    "linode_drops_after_accept": _on_linode("drop", accept=True),
    "linode_drops": _on_linode("drop_before"),
    "linode_hangs": _on_linode("hang", accept=True),
    "linode_no_event": _on_linode("no_event", accept=True),
    "linode_job_fails": _on_linode("fail", accept=True),
    "linode_html": _on_linode("html400"),
    "linode_foreign_event": _foreign_event,
}
