"""The keys of sites.yml about a server's containers: which are watched, how, and when they are too much."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from core.faults import quoted
from core.matching import matching
from core.shares import format_share, parse_share
from core.sites import Options

_GLOB = r"[a-zA-Z0-9_.*?\[\]!-]+"
_NAME = matching(re.compile(_GLOB), "a container's name, or a pattern such as nginx*")
_COMPOSE = matching(re.compile(f"{_GLOB}/{_GLOB}"), "written project/service, or project/*")
_LABEL = matching(re.compile(r"[^\s=]+(=.*)?"), "a label's name, or name=value")
_API = re.compile(r"tcp://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}|unix:///.+")


def _share(value: object) -> float:
    share = parse_share(value, "80% or 0.8")
    if share == 0:
        raise ValueError("must be above 0%: every running container uses something")
    return share


Share = Annotated[
    float,
    BeforeValidator(_share, json_schema_input_type=str | float),
    PlainSerializer(format_share, return_type=str, when_used="json-unless-none"),
]


class ContainerThresholds(Options):
    """From when on a container uses too much; what is not set is taken from below, at last 90%, 90%, 3."""

    cpu: Share | None = Field(None, description="Share of its CPU limit, else of the machine's cores.")
    memory: Share | None = Field(None, description="Share of its memory limit, else of the machine's.")
    restarts: int | None = Field(None, ge=1, le=1000, description="Restarts within 10 minutes.")


class ContainerChoice(ContainerThresholds):
    """Containers of a server that are watched: exactly one of name, compose and label chooses them."""

    name: Annotated[str, _NAME] | None = Field(None, description="A name, or a pattern: nginx*.")
    compose: Annotated[str, _COMPOSE] | None = Field(
        None, description="project/service, or a pattern: shop/*."
    )
    label: Annotated[str, _LABEL] | None = Field(None, description="A label's name, or name=value: tier=db.")

    @model_validator(mode="after")
    def _one_way(self) -> ContainerChoice:
        if sum(one is not None for one in (self.name, self.compose, self.label)) != 1:
            raise ValueError("needs exactly one of name, compose and label")
        return self


class DockerApiOptions(Options):
    """Docker's API over TLS, for watching only; paths start from this file's folder."""

    url: str = Field(description="tcp://host:2376; unix:///path where the socket is not at its usual place.")
    ca_file: Path | None = Field(None, description="Who signs the engine's certificate.")
    cert_file: Path | None = Field(None, description="Our certificate.")
    key_file: Path | None = Field(None, description="Its key.")

    @model_validator(mode="after")
    def _fits(self) -> DockerApiOptions:
        if not _API.fullmatch(self.url):
            raise ValueError(f"url must be tcp://host:port or unix:///path (got {quoted(self.url)})")
        files = (self.ca_file, self.cert_file, self.key_file)
        if self.url.startswith("unix:") and any(files):
            raise ValueError("a socket has no TLS: leave ca_file, cert_file and key_file away")
        if any(files) and not all(files):
            raise ValueError("TLS needs all three of ca_file, cert_file and key_file")
        return self


def _off(value: Any) -> Any:
    """Take `off` for what YAML reads as no, and a single choice for a list of it."""
    if value is False or value == "off":
        return ()
    if isinstance(value, list | tuple | None):
        return value
    raise ValueError("must be off, or a list such as [{name: nginx*}]")


Choices = Annotated[
    tuple[ContainerChoice, ...] | None,
    BeforeValidator(_off, json_schema_input_type=Literal[False, "off"] | tuple[ContainerChoice, ...] | None),
]
"""None: nothing is said; empty: off."""
