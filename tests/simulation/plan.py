"""What a simulated world is made of and what happens in it: plain values, so that a failure prints them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from remediator.model.incident import Mode
from remediator.model.playbooks import BUILT_IN, PlannedStep, Playbook


class What(StrEnum):
    """What can be the matter, for a while."""

    OUTAGE = "outage"
    FLAPPING = "flapping"
    SERVER_DEAD = "server_dead"
    SERVER_OFF = "server_off"
    NO_WAY_IN = "no_way_in"
    FOREIGN_EVENT = "foreign_event"
    CUT = "cut"
    STORM = "storm"
    NO_PROBES = "no_probes"
    NO_SITES = "no_sites"
    NO_CANARIES = "no_canaries"
    AGED = "aged"
    PAUSED = "paused"
    MAINTENANCE = "maintenance"
    SILENCED = "silenced"
    SILENCES_UNKNOWN = "silences_unknown"
    REMOVED = "removed"
    OBSERVED = "observed"
    ACT_FAILS = "act_fails"
    CRASH = "crash"
    FALSE_ALERT = "false_alert"
    CONTAINER_TOLD = "container_told"


class Cure(StrEnum):
    """What ends an outage before its time."""

    RESTART = "restart_container"
    SECOND_RESTART = "second_restart"
    HOOK = "run_hook"
    REBOOT = "reboot_linode"
    BOOT = "boot_linode"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Trouble:
    """Something is the matter with `where` from `at` on for `lasts` seconds, unless it is cured before.

    `where` is a site, a server or a pause's scope; `how` a reason, a way to fail, or what a container does
    that is told to be down; `much` an age, a period or a share.
    """

    what: What
    at: float
    lasts: float
    where: str = ""
    how: str = ""
    cure: Cure = Cure.NOTHING
    much: float = 0.0

    def on(self, time: float) -> bool:
        """Tell whether it would be the matter now."""
        return self.at <= time < self.at + self.lasts


@dataclass(frozen=True)
class ServerPlan:
    """A server: `ours` is the machine that the remediator runs on, whether it can tell or not."""

    name: str
    linode: int | None = None
    may_reboot: bool = False
    may_boot: bool = False
    local: bool = False
    ours: bool = False


@dataclass(frozen=True)
class SitePlan:
    """A site or an app below one; `containers` 0 or 2 make a target that is none."""

    name: str
    server: str | None = None
    container: str = "web"
    containers: int = 1
    mode: Mode = Mode.AUTO
    needs: tuple[str, ...] = ()
    playbook: str = "default"

    @property
    def root(self) -> str:
        """Return the site that this one is a part of."""
        return self.name.partition("/")[0]


@dataclass(frozen=True)
class Answering:
    """How people answer the next question: after `after` seconds, or not at all."""

    after: float
    approved: bool | None


@dataclass(frozen=True)
class Plan:
    """One world and its troubles."""

    servers: tuple[ServerPlan, ...]
    sites: tuple[SitePlan, ...]
    troubles: tuple[Trouble, ...]
    answers: tuple[Answering, ...] = ()
    canaries: int = 1
    max_unhealthy: float = 0.5
    attempts: int = 3
    per: float = 1800.0
    cooldown: float = 30.0
    approval_lasts: float = 300.0
    seconds: float = 2400.0
    hooks: frozenset[str] = field(default_factory=frozenset)


PLAYBOOKS: dict[str, Playbook] = {
    "default": BUILT_IN,
    "careful": Playbook(
        "careful",
        answers_wrongly=(
            PlannedStep("run_hook:cache", "run_hook", at_most=1, wait=20.0, hook="cache"),
            PlannedStep("restart_container", "restart_container", at_most=1, mode=Mode.APPROVE),
        ),
        does_not_answer=(
            PlannedStep("restart_container", "restart_container", at_most=1, mode=Mode.APPROVE),
            PlannedStep("reboot_linode", "reboot_linode", mode=Mode.APPROVE),
        ),
    ),
    "stubborn": Playbook(
        "stubborn",
        answers_wrongly=(PlannedStep("restart_container", "restart_container", at_most=5, wait=10.0),),
        does_not_answer=(
            PlannedStep("boot_linode", "boot_linode", at_most=2),
            PlannedStep("restart_container", "restart_container", at_most=5, wait=10.0),
            PlannedStep("reboot_linode", "reboot_linode", at_most=2),
        ),
    ),
    "watched": Playbook(
        "watched",
        answers_wrongly=(PlannedStep("restart_container", "restart_container", mode=Mode.OBSERVE),),
        does_not_answer=(PlannedStep("reboot_linode", "reboot_linode", mode=Mode.OBSERVE),),
    ),
}
