"""The keys `servers:` and `defaults.ssh` of sites.yml: what machines there are, and the ways in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from core.faults import quoted
from core.matching import matching
from core.servers.containers import Choices, DockerApiOptions
from core.sites import Options

CONTAINER_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
"""Docker's own rule for names (names.RestrictedNamePattern); compose's are within it."""
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+(%\w+)?")
USER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\$?")
_SERVER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class SshDefaults(Options):
    """How servers are reached that don't say it themselves; paths start from this file's folder."""

    user: Annotated[str, matching(USER_NAME, "a user's name")] | None = Field(
        None, description="The user to log in as; root where nothing is said."
    )
    port: int | None = Field(None, ge=1, le=65535)
    key_file: Path | None = Field(None, description="The private key, without a passphrase.")
    known_hosts_file: Path | None = Field(None, description="Pinned host keys; default: known_hosts here.")


class SshOptions(SshDefaults):
    """How one server is reached."""

    host: Annotated[str, matching(_HOST, "a host's name or address")]


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
        raise ValueError(f"must be written user@host:port (got {quoted(value)})")
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
    containers: Choices = Field(None, description="Watched beside those of recover:; off: none of them.")
    docker_api: DockerApiOptions | None = Field(None, description="Another way to watch its containers.")

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
        if self.ssh is not None and self.docker_api is not None and self.docker_api.url.startswith("unix:"):
            raise ValueError(
                "docker_api: a socket is this machine's: write tcp://host:2376, or docker: local"
            )
        return self


class ServersTop(Options):
    """The machines, at the top of the file."""

    servers: dict[str, ServerOptions] = Field(default_factory=dict)

    @field_validator("servers")
    @classmethod
    def _check_names(cls, value: dict[str, ServerOptions]) -> dict[str, ServerOptions]:
        for name in value:
            if not _SERVER_NAME.fullmatch(name):
                raise ValueError(f"a server's name is letters, digits, dots and dashes (got {quoted(name)})")
        return value


class ServersDefaults(Options):
    """What holds for every machine, under `defaults:`."""

    ssh: SshDefaults = SshDefaults()
