"""All that is known of one server's watched containers, by name."""

import time
from collections.abc import Collection, Mapping, Sequence

from exporter.containers.model import Container, Event, State, Usage
from exporter.containers.plan import WatchedServer
from exporter.containers.selection import Selection, Wanted
from exporter.containers.state import ContainerState

_REMEMBERED = 3600.0
"""Seconds that the counters of one that has gone are kept: it may come back under its name."""
_BIRTHS = frozenset({"create", "start", "rename"})


class Known:
    """Takes up lists, events and usage; no clock but ours and the engine's own, no network."""

    def __init__(self, watched: WatchedServer) -> None:
        self._server = watched.server.name
        self._selection = Selection(watched)
        self.states: dict[str, ContainerState] = {}
        self._gone: dict[str, tuple[float, ContainerState]] = {}
        self._events: dict[str, float] = {}
        """When the last event of a name came, on the monotonic clock."""
        self._births: dict[str, list[Event]] = {}
        """Starts of names that no list has told of yet."""
        self._others: frozenset[str] = frozenset()
        """Ids of containers that nobody wants: their events are none of ours."""
        self._measured = 0.0

    def follow(self, watched: WatchedServer) -> None:
        """Choose as a reload says; the next list settles it."""
        self._selection = Selection(watched)
        self._others = frozenset()

    def listed(self, containers: Sequence[Container], began: float) -> bool:
        """Take up a list that was asked for at `began` (monotonic); say whether events overtook it."""
        now, wanted = time.time(), self._selection.of(containers)
        by_name = {container.name: container for container in containers if container.name in wanted}
        self._others = frozenset(one.id for one in containers if one.name not in wanted)
        overtaken = {name for name, at in self._events.items() if at >= began}
        self._events = {name: self._events[name] for name in overtaken}
        for name, one in wanted.items():
            state = self._state(one)
            if name in overtaken and state.seen:
                continue
            if name in by_name:
                state.listed(by_name[name], now, old=name in overtaken)
            else:
                state.missed(now)
        self._births = {name: events for name, events in self._births.items() if name in overtaken}
        self._drop_unwanted(wanted)
        return bool(overtaken)

    def happened(self, event: Event) -> bool:
        """Take up an event at once; say whether the engine should be asked for more."""
        if event.id in self._others and event.action != "rename":
            return False
        self._events[event.name] = time.monotonic()
        state = self.states.get(event.name)
        if state is None:
            if event.action == "start":
                self._births.setdefault(event.name, []).append(event)
            return event.action in _BIRTHS
        state.happened(event, time.time())
        return True

    def unmeasured(self) -> bool:
        """Say whether one runs of which no usage is known."""
        return any(state.up and state.usage is None for state in self.states.values())

    def running(self) -> Collection[str]:
        """Return the ids of those that use something."""
        return [
            state.told.id
            for state in self.states.values()
            if state.told is not None and state.state in (State.RUNNING, State.PAUSED)
        ]

    def used(self, usage: Mapping[str, Usage]) -> None:
        """Take up what they use, by id."""
        self._measured = time.monotonic()
        for state in self.states.values():
            one = usage.get(state.told.id) if state.told is not None else None
            if one is not None and state.state in (State.RUNNING, State.PAUSED):
                state.used(one)

    def drop_old_usage(self, seconds: float) -> None:
        """Forget usage of longer ago: a counter that stands still would say that nothing is used."""
        if time.monotonic() - self._measured > seconds:
            self.drop_usage()

    def drop_usage(self) -> None:
        """Forget what they used, but not what they are."""
        for state in self.states.values():
            state.forget_usage()

    def _state(self, wanted: Wanted) -> ContainerState:
        state = self.states.get(wanted.name)
        if state is None:
            _, state = self._gone.pop(wanted.name, (0.0, None))
            state = state or ContainerState(self._server, wanted)
            self.states[wanted.name] = state
            for event in self._births.pop(wanted.name, ()):
                state.starts.happened(event)
        state.want(wanted)
        return state

    def _drop_unwanted(self, wanted: Mapping[str, Wanted]) -> None:
        now = time.monotonic()
        self._gone = {name: kept for name, kept in self._gone.items() if now - kept[0] < _REMEMBERED}
        for name in [name for name in self.states if name not in wanted]:
            self._gone[name] = (now, self.states.pop(name))
