"""A container's and a server's lines of the exposition: one string per family, a container's kept ready."""

from collections.abc import Sequence

from exporter.containers.families import CONTAINER, NETWORK, SERVER, STATE, USAGE
from exporter.containers.model import Container, Machine, Network, State, Usage
from exporter.containers.selection import PROJECT, SERVICE
from exporter.containers.state import ContainerState
from exporter.containers.watch import ServerWatch
from exporter.families import Family
from exporter.labels import Labels, escaped

PERIOD = 100_000
"""Microseconds of a CPU limit's period, in which quotas are told."""
_NOTHING_USED = ("",) * len(USAGE)
_SECONDS = SERVER[4].name

Value = float | str | list[str] | None
"""Of one family: a number; a line from its labels on, or several; or nothing to say."""


def ready_lines(state: ContainerState, machine: Machine | None) -> tuple[str, ...]:
    """Return a container's lines in the order of `families.CONTAINER`, rendering what has changed."""
    if state.lines is None:
        names = {"server": state.server, "name": state.wanted.name, "instance": state.server}
        told = state.told if state.state is not State.ABSENT else None
        used = _NOTHING_USED
        if told is not None and state.usage is not None:
            used = _usage_lines(state.usage, told, Labels(**names, image=told.image))
        state.lines = (*_state_lines(state, told, machine, Labels(**names)), *used)
        assert len(state.lines) == len(CONTAINER)
    return state.lines


def limits_of(told: Container | None, machine: Machine | None) -> tuple[float | None, int | None]:
    """Return the cores and bytes that a container may use: its limits, else what the machine has."""
    if told is None:
        return None, None
    cores = told.cpu_limit or (machine.cores if machine is not None else None)
    return cores, told.memory_limit or (machine.memory if machine is not None else None)


def _state_lines(
    state: ContainerState, told: Container | None, machine: Machine | None, labels: Labels
) -> tuple[str, ...]:
    head, limits = labels.head, state.wanted.thresholds
    cores, memory = limits_of(told, machine)
    sites = state.wanted.sites
    values: tuple[Value, ...] = (
        int(state.up),
        f'{head}state="{state.state}"}} 1\n',
        state.down_since,
        f'{head}health="{state.health}"}} 1\n' if state.health is not None else None,
        state.unhealthy_since,
        state.exit_code,
        state.starts.count,
        state.oom_kills.count,
        told.started_at if told is not None else None,
        f"{head}{_described(told)}}} 1\n" if told is not None else None,
        [f'{head}site="{escaped(site)}"}} 1\n' for site in sites] or None,
        limits.cpu,
        limits.memory,
        limits.restarts,
        cores,
        memory,
    )
    return _written(STATE, values, labels)


def _usage_lines(usage: Usage, told: Container, labels: Labels) -> tuple[str, ...]:
    limit, head = told.cpu_limit, labels.head
    values: tuple[Value, ...] = (
        f'{head}cpu="total"}} {usage.cpu!r}\n',
        usage.cpu_user,
        usage.cpu_system,
        usage.cpu_periods,
        usage.cpu_throttled_periods,
        usage.cpu_throttled,
        usage.memory,
        usage.memory_working_set,
        usage.memory_rss,
        usage.memory_cache,
        told.memory_limit or 0,
        round(limit * PERIOD) if limit is not None else None,
        PERIOD,
        *_network_lines(usage.networks, head),
        usage.read_bytes,
        usage.written_bytes,
        usage.processes,
        usage.oom_kills,
        usage.time,
    )
    return _written(USAGE, values, labels)


def _network_lines(networks: tuple[Network, ...], head: str) -> list[list[str] | None]:
    rows = [(f'{head}interface="{escaped(one.interface)}"}} ', *_counted(one)) for one in networks]
    return [[f"{row[0]}{row[place]}\n" for row in rows] or None for place in range(1, len(NETWORK) + 1)]


def _counted(one: Network) -> tuple[int, ...]:
    received = (one.received_bytes, one.received_packets, one.received_errors, one.received_dropped)
    return (*received, one.sent_bytes, one.sent_packets, one.sent_errors, one.sent_dropped)


def _described(told: Container) -> str:
    labels = (
        ("image", told.image),
        ("compose_project", told.labels.get(PROJECT, "")),
        ("compose_service", told.labels.get(SERVICE, "")),
    )
    return ",".join(f'{name}="{escaped(value)}"' for name, value in labels)


def server_lines(watch: ServerWatch) -> tuple[str, ...]:
    """Return a server's lines in the order of `families.SERVER`."""
    asking, labels = watch.asking, Labels(server=watch.name, instance=watch.name)
    head = labels.head
    calls = [(f'{head}call="{name}"}}', calls) for name, calls in asking.calls.items()]
    timed = [(of, one) for of, one in calls if one.seconds]
    there = sum(state.state is not State.ABSENT for state in watch.states())
    values: tuple[Value, ...] = (
        None if asking.up is None else int(asking.up),
        f'{head}reason="{asking.reason}"}} 1\n' if asking.reason is not None else None,
        asking.last_success,
        [f"{of} {one.count}\n" for of, one in calls] or None,
        None,
        there,
    )
    lines = list(_written(SERVER, values, labels))
    lines[4] = "".join(
        f"{_SECONDS}_sum{of} {one.seconds!r}\n{_SECONDS}_count{of} {one.count}\n" for of, one in timed
    )
    return tuple(lines)


def _written(families: Sequence[Family], values: Sequence[Value], labels: Labels) -> tuple[str, ...]:
    """Write out each family's value; text stands for itself, with the labels that it has more."""
    return tuple(_line(family.name, value, labels) for family, value in zip(families, values, strict=True))


def _line(name: str, value: Value, labels: Labels) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return name + value
    if isinstance(value, list):
        return "".join(name + one for one in value)
    return f"{name}{labels.plain} {value!r}\n"
