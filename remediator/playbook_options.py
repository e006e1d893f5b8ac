"""Playbooks in `sites.yml`: the ordered steps for each kind of outage."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from core.durations import Duration
from core.sites import Options
from remediator.incident import Mode

HOOK_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class StepOptions(Options):
    """One step: an action, how often it may be tried in one incident, and how long it gets to help."""

    action: Literal["restart_container", "boot_linode", "reboot_linode", "run_hook"]
    attempts: int = Field(1, ge=1, le=10, description="Times in one incident.")
    wait: Duration | None = Field(None, description="After an attempt; default: remediation.cooldown.")
    mode: Mode | None = Field(None, description="observe or approve, for this step alone.")
    hook: str | None = Field(None, description="For run_hook: which of the server's hooks.")

    @field_validator("hook")
    @classmethod
    def _check_hook(cls, value: str | None) -> str | None:
        if value is not None and not HOOK_NAME.fullmatch(value):
            raise ValueError(f"must be a hook's name: small letters, digits, dashes (got {value!r})")
        return value

    @model_validator(mode="after")
    def _hook_where_needed(self) -> StepOptions:
        if (self.action == "run_hook") != (self.hook is not None):
            raise ValueError("hook belongs to run_hook, and run_hook needs one")
        return self


def _step(value: Any) -> Any:
    """Read a step that is written as its action's name alone."""
    return {"action": value} if isinstance(value, str) else value


Steps = tuple[Annotated[StepOptions, BeforeValidator(_step, json_schema_input_type=str | StepOptions)], ...]


class PlaybookOptions(Options):
    """What is tried, in this order, before a human is asked."""

    answers_wrongly: Steps = Field((), description="It answers with a wrong status, body or header.")
    does_not_answer: Steps = Field((), description="It refuses, resets, or does not answer in time.")
