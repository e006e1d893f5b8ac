"""What the exporter last saw of containers and of the engines that run them. Pure values.

Times are unix seconds, sizes bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class EngineState:
    """One server's Docker engine; `up` False: it cannot be asked, for `reason`; None: not asked yet."""

    server: str
    up: bool | None
    reason: str | None = None
    message: str = ""
    last_success: float | None = None

    @property
    def silent(self) -> bool:
        """Tell whether it was asked in vain."""
        return self.up is False


@dataclass(frozen=True)
class ContainerState:
    """One container; `state` in Docker's words, or absent; `cpu` in cores."""

    server: str
    name: str
    state: str
    up: bool
    image: str = ""
    health: str | None = None
    since: float | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    restarts: int = 0
    cpu: float | None = None
    memory: int | None = None
    memory_limit: int | None = None
    sites: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        """Tell whether it runs and does not call itself unhealthy."""
        return self.up and self.health != "unhealthy"

    @property
    def word(self) -> str:
        """Return what it is in one word."""
        return "unhealthy" if self.up and not self.well else self.state


@dataclass(frozen=True)
class Containers:
    """All engines that are asked, and all containers that are watched."""

    engines: Mapping[str, EngineState] = field(default_factory=dict)
    containers: tuple[ContainerState, ...] = ()

    def of_site(self, site: str) -> tuple[ContainerState, ...]:
        """Return the containers that a site lives in, what is not well first; none: not known."""
        return self._by_site.get(site, ())

    def engine(self, server: str) -> EngineState | None:
        """Return a server's engine, None where nobody asks it."""
        return self.engines.get(server)

    @cached_property
    def _by_site(self) -> dict[str, tuple[ContainerState, ...]]:
        found: dict[str, tuple[ContainerState, ...]] = {}
        for one in sorted(self.containers, key=lambda one: (one.well, one.server, one.name)):
            for site in one.sites:
                found[site] = (*found.get(site, ()), one)
        return found


def containers_of(answer: Mapping[str, Any]) -> Containers:
    """Read the exporter's answer; raise ValueError where it is none."""
    engines, containers = answer.get("servers"), answer.get("containers")
    if not isinstance(engines, Mapping) or not isinstance(containers, list):
        raise ValueError("it must have servers and containers")
    return Containers(
        {name: _engine(name, one) for name, one in engines.items() if isinstance(one, Mapping)},
        tuple(_container(one) for one in containers if isinstance(one, Mapping) and one.get("name")),
    )


def _engine(server: str, one: Mapping[str, Any]) -> EngineState:
    return EngineState(
        server=server,
        up=None if one.get("up") is None else one.get("up") is True,
        reason=_text(one.get("reason")) or None,
        message=_text(one.get("message")),
        last_success=_number(one.get("last_success")),
    )


def _container(one: Mapping[str, Any]) -> ContainerState:
    sites = one.get("sites")
    return ContainerState(
        server=_text(one.get("server")),
        name=str(one["name"]),
        state=_text(one.get("state")) or "unknown",
        up=one.get("up") is True,
        image=_text(one.get("image")),
        health=_text(one.get("health")) or None,
        since=_number(one.get("since")),
        exit_code=_whole(one.get("exit_code")),
        oom_killed=one.get("oom_killed") is True,
        restarts=_whole(one.get("restarts")) or 0,
        cpu=_number(one.get("cpu")),
        memory=_whole(one.get("memory")),
        memory_limit=_whole(one.get("memory_limit")),
        sites=tuple(name for name in sites if isinstance(name, str)) if isinstance(sites, list) else (),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
