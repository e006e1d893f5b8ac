"""What must work for healing to work, read out of sites.yml: each server with all that is done on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.servers.options import ServersTop
from core.servers.schema import file_faults, servers
from core.servers.server import Server
from core.sites import Document
from remediator.configuration.schema import playbooks, targets
from remediator.model.action import Target
from remediator.model.playbooks import Playbook
from remediator.on_server.wrapper import watch_lines


@dataclass(frozen=True)
class ServerPlan:
    """One server: what is restarted on it, its hooks, and what is wrong with its files (path, message).

    `sites` names one site for each target: several may be healed by the same container.
    """

    server: Server
    targets: tuple[Target, ...] = ()
    hooks: tuple[str, ...] = ()
    file_faults: tuple[tuple[str, str], ...] = ()
    watched: tuple[str, ...] = ()
    """The lines of the wrapper's list for containers that are only watched."""

    @property
    def concerned(self) -> bool:
        """Tell whether some site is healed on it."""
        return bool(self.targets)

    @property
    def power(self) -> bool:
        """Tell whether its Linode may be rebooted or booted."""
        return self.server.may_reboot or self.server.may_boot


@dataclass(frozen=True)
class Plan:
    """All servers by name, and the sites that the exporter must know."""

    servers: Mapping[str, ServerPlan]
    sites: frozenset[str]

    @property
    def linode(self) -> int | None:
        """Return some Linode of ours, to ask the API about."""
        return min(
            (one.server.linode for one in self.servers.values() if one.server.linode is not None),
            default=None,
        )

    @property
    def power(self) -> bool:
        """Tell whether any Linode may be rebooted or booted."""
        return any(one.power for one in self.servers.values())


def plan_of(document: Document) -> Plan:
    """Read what must work out of a valid sites.yml; the keys' files are looked at."""
    found = targets(document)
    healed_by = playbooks(document)
    faults = file_faults(document)
    options = document.top(ServersTop).servers
    plans = {}
    for name, server in servers(document).items():
        here = [target for target in found.values() if target.server.name == name]
        distinct = {target.label: target for target in reversed(here)}
        hooks = {hook for target in here for hook in _hooks(healed_by[target.site])}
        path = f"servers.{name}.ssh."
        plans[name] = ServerPlan(
            server=server,
            targets=tuple(distinct[label] for label in sorted(distinct)),
            hooks=tuple(sorted(hooks)),
            watched=watch_lines(options[name].containers or ()),
            file_faults=tuple((str(one.path), one.message) for one in faults if one.path.startswith(path)),
        )
    return Plan(plans, frozenset(site.name for site in document.sites))


def _hooks(playbook: Playbook) -> set[str]:
    steps = (*playbook.answers_wrongly, *playbook.does_not_answer)
    return {step.hook for step in steps if step.hook is not None}
