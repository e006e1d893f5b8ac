"""Playbooks as values: the built-in one as data, and those of `sites.yml`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from remediator.incident import Kind, Mode
from remediator.playbook_options import PlaybookOptions, StepOptions

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


def playbooks_of(options: Mapping[str, PlaybookOptions]) -> dict[str, Playbook]:
    """Return every playbook by its name; one that is called `default` replaces the built-in one."""
    own = {
        name: Playbook(name, tuple(_planned(one.answers_wrongly)), tuple(_planned(one.does_not_answer)))
        for name, one in options.items()
    }
    return {DEFAULT: BUILT_IN, **own}


def _planned(steps: Iterable[StepOptions]) -> Iterator[PlannedStep]:
    """Yield the steps with their names: `restart_container`, `restart_container-2`, `run_hook:NAME`."""
    seen: dict[tuple[str, str | None], int] = {}
    for one in steps:
        number = seen[one.action, one.hook] = seen.get((one.action, one.hook), 0) + 1
        name = one.action + (f"-{number}" if number > 1 else "") + (f":{one.hook}" if one.hook else "")
        yield PlannedStep(name, one.action, one.attempts, one.wait, one.mode, one.hook)
