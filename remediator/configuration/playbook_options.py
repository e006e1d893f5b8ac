"""Playbooks in `sites.yml`: the ordered steps for each kind of outage."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from core.durations import Duration
from core.matching import matching
from core.sites import Options
from core.sites.validate import nearest
from remediator.actions import ACTIONS
from remediator.model.incident import Mode
from remediator.model.playbooks import BUILT_IN, DEFAULT, PlannedStep, Playbook

POWER = frozenset({"boot_linode", "reboot_linode"})
HOOK_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


def _known_action(value: str) -> str:
    if value not in ACTIONS:
        hint = nearest(value, ACTIONS) or f" (known: {', '.join(sorted(ACTIONS))})"
        raise ValueError(f"there is no action {value!r}{hint}")
    return value


class StepOptions(Options):
    """One step: an action, how often it may be tried in one incident, and how long it gets to help."""

    action: Annotated[str, AfterValidator(_known_action)] = Field(json_schema_extra={"enum": [*ACTIONS]})
    attempts: int = Field(1, ge=1, le=10, description="Times in one incident.")
    wait: Duration | None = Field(None, description="After an attempt; default: remediation.cooldown.")
    mode: Mode | None = Field(None, description="observe or approve, for this step alone.")
    hook: Annotated[str, matching(HOOK_NAME, "a hook's name: small letters, digits, dashes")] | None = Field(
        None, description="For run_hook: which of the server's hooks."
    )

    @model_validator(mode="after")
    def _hook_where_needed(self) -> StepOptions:
        if self.action == "run_hook" and self.hook is None:
            raise ValueError("run_hook needs hook: the name of one of the server's hooks")
        if self.action != "run_hook" and self.hook is not None:
            raise ValueError(f"hook belongs to run_hook, not to {self.action}")
        if self.mode is Mode.AUTO:
            raise ValueError("mode: auto allows nothing that the site forbids; say observe or approve")
        return self


def _step(value: Any) -> Any:
    """Read a step that is written as its action's name alone."""
    return {"action": value} if isinstance(value, str) else value


Steps = tuple[Annotated[StepOptions, BeforeValidator(_step, json_schema_input_type=str | StepOptions)], ...]


class PlaybookOptions(Options):
    """What is tried, in this order, before a human is asked."""

    answers_wrongly: Steps = Field((), description="It answers with a wrong status, body or header.")
    does_not_answer: Steps = Field((), description="It refuses, resets, or does not answer in time.")

    @field_validator("answers_wrongly")
    @classmethod
    def _no_power(cls, value: Steps) -> Steps:
        for number, step in enumerate(value):
            if step.action in POWER:
                where = f"step {number + 1}, {step.action}"
                raise ValueError(f"{where}: never where the site answers, as then its server lives")
        return value


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
