"""The remediator's keys in `sites.yml`, as pydantic models."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from core.durations import Duration
from core.matching import matching
from core.servers.options import CONTAINER_NAME
from core.shares import parse_share
from core.sites import Options
from remediator.configuration.maintenance import MaintenanceOptions
from remediator.configuration.playbook_options import PlaybookOptions
from remediator.configuration.status_options import StatusPageOptions
from remediator.model.incident import Mode

_IN_COMPOSE = re.compile(f"{CONTAINER_NAME.pattern}/{CONTAINER_NAME.pattern}")


class RemediationOptions(Options):
    """How far healing goes, for all sites."""

    mode: Mode = Mode.AUTO
    approval_lasts: Duration = Field(900.0, description="How long a person's approval holds.")
    storm_cooldown: Duration = Field(
        120.0, description="After too much was down at once, nothing is touched for this long."
    )
    max_unhealthy: Annotated[float, BeforeValidator(parse_share, json_schema_input_type=str | float)] = Field(
        0.5, description="Nothing is touched while more than this share of the sites is down."
    )
    attempts: int = Field(3, ge=1, le=100, description="Attempts for one site within `per`.")
    per: Duration = 3600.0
    cooldown: Duration = Field(60.0, description="Between two attempts for one site.")
    held_for: Duration = Field(
        600.0, description="Nothing done for a site that is down for this long: people are told, and why."
    )
    prove_within: Duration = Field(60.0, description="A healed site must pass its probes within this.")
    stop_timeout: Duration = Field(10.0, description="What a container has to stop before it is killed.")

    @model_validator(mode="after")
    def _within_reason(self) -> RemediationOptions:
        if self.stop_timeout > 300:
            raise ValueError("stop_timeout must be at most 5m")
        if self.prove_within < 5:
            raise ValueError("prove_within must be at least 5s: two fresh probes must fit in")
        return self


class RemediatorTop(Options):
    """The remediator's keys at the top of the file."""

    remediation: RemediationOptions = RemediationOptions()
    playbooks: dict[str, PlaybookOptions] = Field(default_factory=dict)
    maintenance: tuple[MaintenanceOptions, ...] = Field((), description="Windows in which nothing is healed.")
    status_page: StatusPageOptions | None = Field(
        None, description="A public page at /status; off without it."
    )


class RecoverOptions(Options):
    """What heals a site: one container on one server."""

    server: str = Field(description="A name from servers:.")
    container: Annotated[str, matching(CONTAINER_NAME, "a container's name")] | None = Field(
        None, description="The container's name."
    )
    compose: Annotated[str, matching(_IN_COMPOSE, "written project/service")] | None = Field(
        None, description="project/service, as docker compose labels it."
    )
    mode: Mode | None = Field(None, description="observe, approve or auto, for this site alone.")
    playbook: str | None = Field(None, description="A name from playbooks:; default: the one named default.")

    @model_validator(mode="after")
    def _one_container(self) -> RecoverOptions:
        if (self.container is None) == (self.compose is None):
            raise ValueError("needs exactly one of container and compose")
        return self


class RemediatorSite(Options):
    """The remediator's keys of a site; none of them is inherited: permission is given site by site."""

    recover: RecoverOptions | None = Field(None, description="Without it the site is only watched.")
    needs: tuple[str, ...] = Field((), description="Sites that must be healthy before this one is healed.")
