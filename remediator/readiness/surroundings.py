"""What healing asks around itself: the exporter, its canaries, Alertmanager, and the Linode API."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from core.servers.server import ActionError, Reason, Server
from remediator.clients.alertmanager import AlertmanagerClient
from remediator.clients.exporter import ExporterClient
from remediator.errors import AlertmanagerError, ExporterError
from remediator.model.action import LinodeClient, LinodeInstance
from remediator.model.seen import Canary
from remediator.readiness.check import Check, Name
from remediator.readiness.plan import Plan, ServerPlan

EVENTS_SCOPES = frozenset({"events:read_only", "events:read_write", "*"})
POWER_SCOPES = frozenset({"linodes:read_write", "*"})
_TOKEN_MEND = (
    "Cloud Manager, API tokens: make one with Linodes: read/write and Events: read only; "
    "put it into .env as LINODE_TOKEN"
)


@dataclass(frozen=True)
class Surroundings:
    """Whom to ask; `linode` None where there is no token."""

    exporter: ExporterClient
    alertmanager: AlertmanagerClient
    linode: LinodeClient | None


def look_around(plan: Plan, around: Surroundings) -> list[Check]:
    """Ask everybody once; never raises what they may raise."""
    return [*_exporter(plan, around), _alertmanager(around)]


def _exporter(plan: Plan, around: Surroundings) -> list[Check]:
    try:
        known = around.exporter.sites()
    except ExporterError as error:
        mend = "is it running, and is --exporter.url its address? Without fresh probes nothing is healed"
        return [
            Check(Name.EXPORTER, False, str(error), mend),
            Check(Name.CANARIES, None, "not looked at: the exporter does not answer"),
        ]
    missing = sorted(plan.sites - known.keys())
    if missing:
        text = f"the exporter does not know {', '.join(missing[:5])}" + (" and more" if missing[5:] else "")
        mend = "it reads another sites.yml, or has refused this one: ./sitemedic config check"
        return [Check(Name.EXPORTER, False, text, mend), _canaries(plan, around)]
    text = "the exporter answers, and knows every site"
    return [Check(Name.EXPORTER, True, text), _canaries(plan, around)]


def _canaries(plan: Plan, around: Surroundings) -> Check:
    try:
        canaries: Sequence[Canary] = around.exporter.canaries()
    except ExporterError as error:
        return Check(Name.CANARIES, None, f"not looked at: {error}")
    if canaries:
        failing = [one for one in canaries if not one.success]
        if len(failing) == len(canaries):
            text = f"none of {len(canaries)} canaries answers: {failing[0].target}: {failing[0].detail}"
            mend = "it is our own network, or they are gone: nothing is healed while none answers"
            return Check(Name.CANARIES, False, text, mend)
        if failing:
            text = (
                f"{len(canaries) - len(failing)} of {len(canaries)} canaries answer; not {failing[0].target}"
            )
            return Check(Name.CANARIES, None, text, "replace it under canaries: in sites.yml if it is gone")
        return Check(Name.CANARIES, True, f"all {len(canaries)} canaries answer")
    if plan.power and around.linode is not None and around.linode.reachable():
        return Check(Name.CANARIES, True, "the Linode API answers, which serves as the canary")
    if plan.power:
        text = "reboots are allowed, and no canary could tell that our own network works"
        mend = "name two sites of others under canaries: in sites.yml; without one nothing is rebooted"
        return Check(Name.CANARIES, False, text, mend)
    text = "there are none: that our own network fails is told by the share of failing sites alone"
    return Check(Name.CANARIES, None, text, "name two sites of others under canaries: in sites.yml")


def _alertmanager(around: Surroundings) -> Check:
    try:
        around.alertmanager.silenced()
    except AlertmanagerError as error:
        mend = "is it running, and is --alertmanager.url its address? People are told through it"
        return Check(Name.ALERTMANAGER, False, str(error), mend)
    return Check(Name.ALERTMANAGER, True, "Alertmanager answers")


def look_at_token(plan: Plan, linode: LinodeClient | None) -> list[Check]:
    """Look at the token with harmless questions; what it may do stands in the answers' headers."""
    if plan.linode is None:
        return []
    if linode is None:
        if plan.power:
            text = "servers may be rebooted or booted, and there is no token"
            return [Check(Name.LINODE_TOKEN, False, text, _TOKEN_MEND)]
        text = "no token: the Linodes' status is not seen"
        return [Check(Name.LINODE_TOKEN, None, text, _TOKEN_MEND)]
    try:
        linode.events(plan.linode, limit=1)
    except ActionError as error:
        return [_refused(error, "the scope events:read_only is missing")]
    try:
        linode.instance(plan.linode)
    except ActionError as error:
        if error.reason is not Reason.LINODE_NOT_FOUND:
            return [_refused(error, "the scope linodes:read_write is missing")]
    scopes = linode.scopes()
    if scopes is None:
        text = "the API accepts the token, and does not say whether it may reboot"
        return [Check(Name.LINODE_TOKEN, None, text, "it needs linodes:read_write")]
    if plan.power and not scopes & POWER_SCOPES:
        text = f"the token may not reboot: it has {' '.join(sorted(scopes))}, not linodes:read_write"
        return [Check(Name.LINODE_TOKEN, False, text, _TOKEN_MEND)]
    return [Check(Name.LINODE_TOKEN, True, f"the API accepts the token ({' '.join(sorted(scopes))})")]


def _refused(error: ActionError, missing: str) -> Check:
    """Tell a token that is refused, or may too little, from an API that is away."""
    if error.reason is not Reason.LINODE_AUTH:
        mend = "is api.linode.com reached from here? Reboots wait until it is"
        return Check(Name.LINODE_TOKEN, False, error.message, mend)
    detail = missing if "scopes" in error.message else "the Linode API does not accept the token (401)"
    return Check(Name.LINODE_TOKEN, False, f"{detail}", _TOKEN_MEND)


def look_at_linode(plan: ServerPlan, linode: LinodeClient | None) -> list[Check]:
    """Tell whether the API knows a server's Linode, and whether it is that server."""
    server = plan.server
    if server.linode is None or linode is None:
        return []
    try:
        found = linode.instance(server.linode)
    except ActionError as error:
        if error.reason is Reason.LINODE_NOT_FOUND:
            text = f"the Linode API knows no Linode {server.linode} for this token"
            mend = f"correct servers.{server.name}.linode in sites.yml: Cloud Manager shows the id"
            return [Check(Name.LINODE, False, text, mend, server.name)]
        return [Check(Name.LINODE, None, f"not looked at: {error.message}", server=server.name)]
    return [_identity(server, found)]


def _identity(server: Server, found: LinodeInstance) -> Check:
    """Compare the addresses: a reboot of the wrong machine would be an outage more."""
    host = server.ssh.host if server.ssh is not None else ""
    name = f"Linode {found.id} ({found.label or 'no label'}, {found.status})"
    if _is_address(host) and found.addresses and host not in found.addresses:
        text = f"{name} has the addresses {', '.join(found.addresses)}, and ssh: names {host}"
        mend = f"is {found.id} this server? An address of a VPC is not shown: then all is well"
        return Check(Name.LINODE, None, text, mend, server.name)
    return Check(Name.LINODE, True, name, server=server.name)


def _is_address(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
