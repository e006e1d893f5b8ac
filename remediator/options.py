"""The remediator's keys in `sites.yml`, as pydantic models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from core.durations import Duration
from core.shares import parse_share
from core.sites import Options
from remediator.docker import CONTAINER_NAME
from remediator.incident import Mode
from remediator.maintenance import MaintenanceOptions
from remediator.playbook_options import PlaybookOptions
from remediator.status_options import StatusPageOptions

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+(%\w+)?")
USER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\$?")
_SERVER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class SshDefaults(Options):
    """How servers are reached that don't say it themselves; paths start from this file's folder."""

    user: str | None = Field(None, description="The user to log in as; root where nothing is said.")
    port: int | None = Field(None, ge=1, le=65535)
    key_file: Path | None = Field(None, description="The private key, without a passphrase.")
    known_hosts_file: Path | None = Field(None, description="Pinned host keys; default: known_hosts here.")

    @field_validator("user")
    @classmethod
    def _check_user(cls, value: str | None) -> str | None:
        if value is not None and not USER_NAME.fullmatch(value):
            raise ValueError(f"must be a user's name (got {value!r})")
        return value


class SshOptions(SshDefaults):
    """How one server is reached."""

    host: str

    @field_validator("host")
    @classmethod
    def _check_host(cls, value: str) -> str:
        if not _HOST.fullmatch(value):
            raise ValueError(f"must be a host's name or address (got {value!r})")
        return value


def _from_text(value: Any) -> Any:
    """Read `user@host:port`, `user@host`, `host:port`, `[ipv6]:port` or a bare host."""
    if not isinstance(value, str):
        return value
    user, at, place = value.rpartition("@")
    if place.startswith("["):
        host, _, rest = place[1:].partition("]")
        port = rest.removeprefix(":")
        sound = not rest or rest.startswith(":")
    elif place.count(":") > 1:
        host, port, sound = place, "", True
    else:
        host, colon, port = place.partition(":")
        sound = not colon or bool(port)
    if not host or not sound or (port and not port.isdecimal()) or (at and not user):
        raise ValueError(f"must be written user@host:port (got {value!r})")
    return {"host": host} | ({"user": user} if user else {}) | ({"port": int(port)} if port else {})


class ServerOptions(Options):
    """A machine that holds sites: reached by SSH, or this very one."""

    ssh: Annotated[
        SshOptions | None,
        BeforeValidator(_from_text, json_schema_input_type=str | SshOptions | None),
    ] = Field(None, description="user@host:port, or a mapping.")
    docker: Literal["local"] | None = Field(None, description="local: the containers of this machine.")
    linode: int | None = Field(None, gt=0, description="Its Linode's id: identifies, allows nothing.")
    may_reboot: bool = Field(False, description="Allows reboots of its Linode.")
    may_boot: bool = Field(False, description="Allows to boot its Linode when it is switched off.")

    @model_validator(mode="after")
    def _one_way_in(self) -> ServerOptions:
        if (self.ssh is None) == (self.docker is None):
            raise ValueError("needs exactly one of ssh and docker: local")
        if self.may_reboot and self.docker is not None:
            raise ValueError("may_reboot: this machine runs Sitemedic itself and is never rebooted by it")
        if self.may_reboot and self.linode is None:
            raise ValueError("may_reboot needs linode: the id of the Linode to reboot")
        if self.may_boot and self.linode is None:
            raise ValueError("may_boot needs linode: the id of the Linode to boot")
        return self


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

    servers: dict[str, ServerOptions] = Field(default_factory=dict)
    remediation: RemediationOptions = RemediationOptions()
    playbooks: dict[str, PlaybookOptions] = Field(default_factory=dict)
    maintenance: tuple[MaintenanceOptions, ...] = Field((), description="Windows in which nothing is healed.")
    status_page: StatusPageOptions | None = Field(
        None, description="A public page at /status; off without it."
    )

    @field_validator("servers")
    @classmethod
    def _check_names(cls, value: dict[str, ServerOptions]) -> dict[str, ServerOptions]:
        for name in value:
            if not _SERVER_NAME.fullmatch(name):
                raise ValueError(f"a server's name is letters, digits, dots and dashes (got {name!r})")
        return value


class RecoverOptions(Options):
    """What heals a site: one container on one server."""

    server: str = Field(description="A name from servers:.")
    container: str | None = Field(None, description="The container's name.")
    compose: str | None = Field(None, description="project/service, as docker compose labels it.")
    mode: Mode | None = Field(None, description="observe, approve or auto, for this site alone.")
    playbook: str | None = Field(None, description="A name from playbooks:; default: the one named default.")

    @field_validator("container")
    @classmethod
    def _check_container(cls, value: str | None) -> str | None:
        if value is not None and not CONTAINER_NAME.fullmatch(value):
            raise ValueError(f"must be a container's name (got {value!r})")
        return value

    @field_validator("compose")
    @classmethod
    def _check_compose(cls, value: str | None) -> str | None:
        pieces = (value or "a/b").split("/")
        if len(pieces) != 2 or not all(CONTAINER_NAME.fullmatch(piece) for piece in pieces):
            raise ValueError(f"must be written project/service (got {value!r})")
        return value

    @model_validator(mode="after")
    def _one_container(self) -> RecoverOptions:
        if (self.container is None) == (self.compose is None):
            raise ValueError("needs exactly one of container and compose")
        return self


class RemediatorSite(Options):
    """The remediator's keys of a site; none of them is inherited: permission is given site by site."""

    recover: RecoverOptions | None = Field(None, description="Without it the site is only watched.")
    needs: tuple[str, ...] = Field((), description="Sites that must be healthy before this one is healed.")


class RemediatorDefaults(Options):
    """The remediator's keys under `defaults:`."""

    ssh: SshDefaults = SshDefaults()
