"""Read the kernel's counters of containers out of what `sitemedic-wrapper usage` answers.

A line `now UNIX_TIME SECONDS_SINCE_BOOT`, then for each container `= ID SECONDS_SINCE_BOOT` and its counters,
each the name of a file and one line of it: of cgroups version 1 (docs.kernel.org, admin-guide/cgroup-v1), of
version 2 (admin-guide/cgroup-v2), and of /proc/PID/net/dev. What cAdvisor makes of them is made of them here.
"""

from __future__ import annotations

from collections.abc import Mapping

from exporter.containers.model import Network, Usage

_TICKS = 100
"""USER_HZ: what cpuacct.stat counts in, on every Linux."""
_MICRO, _NANO = 1e-6, 1e-9
_LOOPBACK = "lo"
_STEPPED = 2.0


class Clock:
    """A server's unix time to a hundredth of a second, though its `date` knows only whole ones.

    The difference to the seconds since its boot is kept, so that the time between two readings is exact.
    """

    def __init__(self) -> None:
        self._booted: float | None = None

    def set(self, now: float, uptime: float) -> None:
        """Take a reading of both; a clock that was put right since is believed."""
        booted = now - uptime
        if self._booted is None or abs(booted - self._booted) > _STEPPED:
            self._booted = booted

    def at(self, uptime: float) -> float:
        """Return the unix time at so many seconds since boot."""
        if self._booted is None:
            raise ValueError("no time was told")
        return self._booted + uptime


class Counters:
    """One container's lines: numbers by file and key, devices' and networks' by themselves."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.read = self.written = 0
        self.networks: list[Network] = []

    def take(self, file: str, line: str) -> None:
        """Take one line of a file; raise ValueError or LookupError on one that is none of the kernel's."""
        if file == "net":
            self._network(line)
        elif file in ("io.stat", "blkio"):
            self._device(line.split())
        else:
            key, _, value = line.rpartition(" ")
            self.numbers[f"{file} {key}".rstrip()] = int(value)

    @property
    def whole(self) -> bool:
        """Tell whether it was there to its end: a cgroup that vanishes leaves files out."""
        numbers = self.numbers
        return ("cpuacct.usage" in numbers and "memory.usage_in_bytes" in numbers) or (
            "cpu.stat usage_usec" in numbers and "memory.current" in numbers
        )

    def usage(self, time: float) -> Usage:
        """Return what it has used, read at that unix time."""
        numbers = self.numbers
        cpu = _cpu_2(numbers) if "cpu.stat usage_usec" in numbers else _cpu_1(numbers)
        memory = _first(numbers, "memory.current", "memory.usage_in_bytes")
        inactive = _first(numbers, "memory.stat inactive_file", "memory.stat total_inactive_file")
        return Usage(
            time=time,
            cpu=cpu[0],
            cpu_user=cpu[1],
            cpu_system=cpu[2],
            cpu_periods=numbers.get("cpu.stat nr_periods", 0),
            cpu_throttled_periods=numbers.get("cpu.stat nr_throttled", 0),
            cpu_throttled=cpu[3],
            memory=memory,
            memory_working_set=max(0, memory - inactive),
            memory_rss=_first(numbers, "memory.stat anon", "memory.stat total_rss"),
            memory_cache=_first(numbers, "memory.stat file", "memory.stat total_cache"),
            read_bytes=self.read,
            written_bytes=self.written,
            processes=numbers.get("pids.current", 0),
            oom_kills=numbers.get("memory.events oom_kill", numbers.get("memory.oom_control oom_kill")),
            networks=tuple(sorted(self.networks, key=lambda one: one.interface)),
        )

    def _device(self, words: list[str]) -> None:
        """Read `8:0 rbytes=1 wbytes=2 …` of version 2, or `8:0 Read 1` of version 1 (not its `Total 1`)."""
        if len(words) == 3 and "=" not in words[1]:
            self.read += int(words[2]) if words[1] == "Read" else 0
            self.written += int(words[2]) if words[1] == "Write" else 0
            return
        values = dict(word.split("=", 1) for word in words[1:] if "=" in word)
        self.read += int(values.get("rbytes", 0))
        self.written += int(values.get("wbytes", 0))

    def _network(self, line: str) -> None:
        name, _, rest = line.partition(":")
        if name.strip() == _LOOPBACK:
            return
        n = [int(word) for word in rest.split()]
        self.networks.append(Network(name.strip(), n[0], n[8], n[1], n[9], n[2], n[10], n[3], n[11]))


def usages_of(text: str, clock: Clock) -> Mapping[str, Usage]:
    """Return what each container has used, by id; raise ValueError or LookupError on anything else."""
    found: dict[str, tuple[float, Counters]] = {}
    here: Counters | None = None
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "now":
            now, uptime = rest.split()
            clock.set(float(now), float(uptime))
        elif kind == "=":
            identity, uptime = rest.split()
            here = Counters()
            found[identity] = (float(uptime), here)
        elif here is None:
            raise ValueError("a counter of no container")
        else:
            here.take(kind, rest)
    return {
        identity: counters.usage(clock.at(uptime))
        for identity, (uptime, counters) in found.items()
        if counters.whole
    }


def _cpu_1(numbers: Mapping[str, int]) -> tuple[float, float, float, float]:
    return (
        numbers["cpuacct.usage"] * _NANO,
        numbers.get("cpuacct.stat user", 0) / _TICKS,
        numbers.get("cpuacct.stat system", 0) / _TICKS,
        numbers.get("cpu.stat throttled_time", 0) * _NANO,
    )


def _cpu_2(numbers: Mapping[str, int]) -> tuple[float, float, float, float]:
    return (
        numbers["cpu.stat usage_usec"] * _MICRO,
        numbers.get("cpu.stat user_usec", 0) * _MICRO,
        numbers.get("cpu.stat system_usec", 0) * _MICRO,
        numbers.get("cpu.stat throttled_usec", 0) * _MICRO,
    )


def _first(numbers: Mapping[str, int], *names: str) -> int:
    return next((numbers[name] for name in names if name in numbers), 0)
