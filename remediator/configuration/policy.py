"""What sites.yml allows, as the decision reads it: one immutable value, swapped whole at a reload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from core.sites import Document
from remediator.configuration.maintenance import MaintenanceOptions
from remediator.configuration.options import RemediatorTop
from remediator.configuration.schema import mode, needs_of, playbooks, targets
from remediator.model.action import Target
from remediator.model.facts import Limits
from remediator.model.incident import Mode
from remediator.model.playbooks import BUILT_IN, Playbook
from remediator.timing import Timing


@dataclass(frozen=True)
class SitePolicy:
    """One site: `target` None where it has no `recover:` block."""

    site: str
    root: str
    target: Target | None = None
    mode: Mode = Mode.AUTO
    needs: tuple[str, ...] = ()
    playbook: Playbook = BUILT_IN


@dataclass(frozen=True)
class Policy:
    """All sites and the limits."""

    sites: Mapping[str, SitePolicy] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    windows: tuple[MaintenanceOptions, ...] = ()
    held_for: float = 600.0
    """Seconds that nothing is done for a site that is down before people are told."""

    @cached_property
    def servers(self) -> dict[str, str]:
        """Return the server of each site that has one."""
        return {name: one.target.server.name for name, one in self.sites.items() if one.target is not None}


def policy_of(document: Document, timing: Timing, own_containers: frozenset[str] = frozenset()) -> Policy:
    """Read the policy out of a valid sites.yml."""
    top = document.top(RemediatorTop)
    options = top.remediation
    limits = Limits(
        max_unhealthy=options.max_unhealthy,
        attempts=options.attempts,
        per=options.per,
        cooldown=options.cooldown,
        prove_within=options.prove_within,
        probe_max_age=timing.probe_max_age,
        look_max_age=timing.look_max_age,
        abandoned_cooldown=timing.abandoned_cooldown,
        passes=timing.passes,
        probe_spacing=timing.probe_spacing,
        recheck=timing.recheck,
        storm_cooldown=options.storm_cooldown,
        start_grace=timing.start_grace,
        foreign_event_age=timing.foreign_event_age,
        approval_lasts=options.approval_lasts,
        own_containers=own_containers,
    )
    found, healed_by = targets(document), playbooks(document)
    sites = {
        site.name: SitePolicy(
            site=site.name,
            root=site.root,
            target=found.get(site.name),
            mode=Mode(mode(document, site)),
            needs=needs_of(document, site),
            playbook=healed_by[site.name],
        )
        for site in document.sites
    }
    return Policy(sites, limits, top.maintenance, options.held_for)
