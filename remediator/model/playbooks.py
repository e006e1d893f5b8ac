"""Playbooks as values: the built-in one as data, and those of `sites.yml`. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from remediator.model.incident import Kind, Mode

DEFAULT = "default"


@dataclass(frozen=True)
class PlannedStep:
    """One step of a playbook: how often it may be tried in one incident, and what holds for it alone.

    `wait` None: `remediation.cooldown`. `mode` None: as the site says.
    """

    name: str
    action: str
    at_most: int = 1
    wait: float | None = None
    mode: Mode | None = None
    hook: str | None = None


@dataclass(frozen=True)
class Playbook:
    """The steps for each kind of outage, in order.

    A step's name is stored with its attempts: the same name in both lists is one step, tried as often in one
    incident as the list at hand says, however the outage looks by then.
    """

    name: str = DEFAULT
    answers_wrongly: tuple[PlannedStep, ...] = ()
    does_not_answer: tuple[PlannedStep, ...] = ()
    built_in: bool = False

    def steps(self, kind: Kind) -> tuple[PlannedStep, ...]:
        """Return the steps for a kind of outage; none for what is a human's."""
        lists = {Kind.ANSWERS_WRONGLY: self.answers_wrongly, Kind.DOES_NOT_ANSWER: self.does_not_answer}
        return lists.get(kind, ())

    def step(self, name: str) -> PlannedStep | None:
        """Return a step by its name, None where the playbook has it no more."""
        return next((one for one in self._all() if one.name == name), None)

    def wait_after(self, name: str) -> float | None:
        """Return the longest `wait` of the steps of a name, None where none of them has one."""
        return max(
            (one.wait for one in self._all() if one.name == name and one.wait is not None), default=None
        )

    def _all(self) -> tuple[PlannedStep, ...]:
        return (*self.answers_wrongly, *self.does_not_answer)


BUILT_IN = Playbook(
    answers_wrongly=(PlannedStep("restart_container", "restart_container", at_most=2),),
    does_not_answer=(
        PlannedStep("boot_linode", "boot_linode"),
        PlannedStep("restart_container", "restart_container", at_most=2),
        PlannedStep("reboot_linode", "reboot_linode"),
    ),
    built_in=True,
)
"""What is done where `sites.yml` says nothing else: the first step that can help, by what was found."""
