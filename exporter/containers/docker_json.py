"""Read what Docker says of a container, by whichever way it came: inspect, events, stats.

Every function raises one of `NOT_DOCKERS` on what is not Docker's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from core.servers import output
from exporter.containers.model import Container, Event, Health, Network, State, Usage

NOT_DOCKERS = (LookupError, TypeError, ValueError, AttributeError)
ACTIONS = (
    "create", "start", "restart", "die", "oom", "health_status", "pause", "unpause", "destroy", "rename",
    "update",
)  # fmt: skip
"""The events that say something of a container's state; checks of health make three others each time."""
_ENDED = frozenset({State.RESTARTING, State.REMOVING, State.EXITED, State.DEAD})
_MOST_CHARACTERS = 500
_NANO = 1e-9


def container_of(record: Mapping[str, Any]) -> Container:
    """Read `docker inspect`, or the part of it that the wrapper gives."""
    state, config, host = record["State"], record["Config"], record.get("HostConfig") or {}
    finished_at = unix_time(state.get("FinishedAt"))
    status = State(state["Status"])
    ended = status in _ENDED and finished_at is not None
    labels = config.get("Labels") or {}
    return Container(
        id=str(record["Id"]),
        name=str(record["Name"]).removeprefix("/"),
        image=str(config.get("Image") or ""),
        state=status,
        labels={str(name): str(value) for name, value in labels.items() if name},
        health=health_of((state.get("Health") or {}).get("Status")),
        exit_code=int(state.get("ExitCode") or 0) if ended else None,
        oom_killed=bool(state.get("OOMKilled")),
        error=printable(str(state.get("Error") or "")),
        started_at=unix_time(state.get("StartedAt")),
        finished_at=finished_at,
        restart_count=int(record.get("RestartCount") or 0),
        cpu_limit=_cores(host),
        memory_limit=int(host.get("Memory") or 0) or None,
    )


def event_of(record: Mapping[str, Any]) -> Event:
    """Read one event of a container; the action is without its argument (`health_status: healthy`)."""
    actor = record["Actor"]
    attributes = actor.get("Attributes") or {}
    action, _, argument = str(record["Action"]).partition(": ")
    code = attributes.get("exitCode") if action == "die" else None
    return Event(
        time=int(record["timeNano"]) * _NANO,
        action=action,
        id=str(actor["ID"]),
        name=str(attributes.get("name") or ""),
        exit_code=int(code) if code not in (None, "") else None,
        health=health_of(argument) if action == "health_status" else None,
    )


def usage_of(record: Mapping[str, Any]) -> Usage | None:
    """Read the engine's own statistics of one container; None where it does not run."""
    time = unix_time(record["read"])
    memory = record.get("memory_stats") or {}
    if time is None or "usage" not in memory:
        return None
    cpu = record["cpu_stats"]
    used, throttling = cpu["cpu_usage"], cpu.get("throttling_data") or {}
    stats, whole = memory.get("stats") or {}, int(memory["usage"])
    blocks = (record.get("blkio_stats") or {}).get("io_service_bytes_recursive") or []
    networks = record.get("networks") or {}
    return Usage(
        time=time,
        cpu=int(used["total_usage"]) * _NANO,
        cpu_user=int(used.get("usage_in_usermode", 0)) * _NANO,
        cpu_system=int(used.get("usage_in_kernelmode", 0)) * _NANO,
        cpu_periods=int(throttling.get("periods", 0)),
        cpu_throttled_periods=int(throttling.get("throttled_periods", 0)),
        cpu_throttled=int(throttling.get("throttled_time", 0)) * _NANO,
        memory=whole,
        memory_working_set=max(0, whole - _first(stats, "total_inactive_file", "inactive_file")),
        memory_rss=_first(stats, "total_rss", "rss", "anon"),
        memory_cache=_first(stats, "total_cache", "cache", "file"),
        read_bytes=_blocks(blocks, "read"),
        written_bytes=_blocks(blocks, "write"),
        processes=int((record.get("pids_stats") or {}).get("current", 0)),
        networks=tuple(_network(name, counters) for name, counters in sorted(networks.items())),
    )


def unix_time(text: object) -> float | None:
    """Return a time of Docker's in unix seconds; None for the year 1, which is its word for never."""
    if not isinstance(text, str) or not text or text.startswith("0001-"):
        return None
    return datetime.fromisoformat(text).timestamp()


def health_of(text: object) -> Health | None:
    """Return what a health check says, None where there is none."""
    return None if text in (None, "", "none") else Health(str(text))


def printable(text: str) -> str:
    """Return a text that came from a server without what a terminal or a page would obey, cut short."""
    return output.printable(text).strip()[:_MOST_CHARACTERS]


def _cores(host: Mapping[str, Any]) -> float | None:
    """Return the CPU limit: `--cpus`, or a quota for each period (of 0.1 s where nothing is said)."""
    nano = int(host.get("NanoCpus") or 0)
    if nano > 0:
        return nano * _NANO
    quota = int(host.get("CpuQuota") or 0)
    return quota / (int(host.get("CpuPeriod") or 0) or 100_000) if quota > 0 else None


def _first(stats: Mapping[str, Any], *names: str) -> int:
    """Return the first of these that there is: version 1 of cgroups has other names than version 2."""
    return next((int(stats[name]) for name in names if name in stats), 0)


def _blocks(entries: list[Mapping[str, Any]], operation: str) -> int:
    return sum(int(entry["value"]) for entry in entries if str(entry["op"]).lower() == operation)


def _network(name: str, counters: Mapping[str, Any]) -> Network:
    def count(key: str) -> int:
        return int(counters.get(key, 0))

    return Network(
        interface=str(name),
        received_bytes=count("rx_bytes"),
        sent_bytes=count("tx_bytes"),
        received_packets=count("rx_packets"),
        sent_packets=count("tx_packets"),
        received_errors=count("rx_errors"),
        sent_errors=count("tx_errors"),
        received_dropped=count("rx_dropped"),
        sent_dropped=count("tx_dropped"),
    )
