"""Everything a decision is taken on: gathered at the edge, then only read. Times are unix seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from remediator.model.action import Target
from remediator.model.holds import Approval, Maintenance, Pause, Storm
from remediator.model.incident import Attempt, Incident, Lease, Mode
from remediator.model.playbooks import BUILT_IN, Playbook
from remediator.model.seen import Canary, Probe, SiteState


@dataclass(frozen=True)
class Limits:
    """What the configuration allows; durations in seconds, `max_unhealthy` a ratio."""

    max_unhealthy: float = 0.5
    attempts: int = 3
    per: float = 3600.0
    cooldown: float = 60.0
    prove_within: float = 60.0
    probe_max_age: float = 10.0
    look_max_age: float = 120.0
    early_look_max_age: float = 10.0
    abandoned_cooldown: float = 10.0
    passes: int = 2
    probe_spacing: float = 2.0
    recheck: float = 5.0
    storm_cooldown: float = 120.0
    start_grace: float = 15.0
    foreign_event_age: float = 600.0
    approval_lasts: float = 900.0
    own_containers: frozenset[str] = frozenset()


class Sites(dict[str, SiteState]):
    """What the exporter's schedule last saw, by site; not changed once it is made."""

    @cached_property
    def failing(self) -> frozenset[str]:
        """Return the sites whose last scheduled probe failed."""
        return frozenset(name for name, state in self.items() if state.success is False)


@dataclass(frozen=True)
class Untold:
    """What could not be found out; `permanent` says that asking again cannot help."""

    detail: str
    permanent: bool = False


@dataclass(frozen=True)
class Facts:
    """What is known about one incident now.

    `sites`, `canaries` None: the exporter could not be asked. `history`: attempts of any incident inside the
    rolling window on this site, on its container or on its server. `neighbours`: fresh probes of the other
    sites of a server that may have to be rebooted; None: not asked, or not all of them answered.
    `own_server`: whether the target's server is the machine that we run on. `in_flight`: the other sites
    with an attempt under way. `silenced`: whether a silence of Alertmanager covers the site; None: unknown.
    `started_at`: when the remediator began to look. `approvals`: this incident's questions, oldest first.
    `epoch`: what a claim must still find.
    """

    incident: Incident
    known: bool = True
    has_recover: bool = True
    target: Target | None = None
    target_key: str = ""
    mode: Mode = Mode.AUTO
    needs: tuple[str, ...] = ()
    probe: Probe | None = None
    sites: Sites | None = None
    canaries: tuple[Canary, ...] | None = None
    neighbours: tuple[Probe, ...] | None = None
    own_server: bool | Untold = False
    servers: Mapping[str, str] = field(default_factory=dict)
    in_flight: frozenset[str] = frozenset()
    pauses: tuple[Pause, ...] = ()
    maintenance: Maintenance | None = None
    silenced: bool | None = False
    storm: Storm | None = None
    started_at: float = 0.0
    approvals: tuple[Approval, ...] = ()
    lease: Lease | None = None
    history: tuple[Attempt, ...] = ()
    playbook: Playbook = BUILT_IN
    limits: Limits = field(default_factory=Limits)
    epoch: int = 0

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Return this incident's own attempts, oldest first."""
        return tuple(one for one in self.history if one.incident_id == self.incident.id)


@dataclass(frozen=True)
class Step:
    """What the playbook would do next: an action, or to look first (`action` None).

    `mode` None: as the site says. `hook`: what `run_hook` runs. `why`: what was found, and what it leads to.
    """

    name: str
    action: str | None
    mode: Mode | None = None
    hook: str | None = None
    why: str = ""

    @property
    def reboots(self) -> bool:
        """Tell whether the step takes a whole server down."""
        return self.action == "reboot_linode"

    @property
    def powers(self) -> bool:
        """Tell whether the step uses the power of a whole server."""
        return self.action in ("reboot_linode", "boot_linode")
