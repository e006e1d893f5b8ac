"""`python -m demo.stress PROFILE --url URL --seconds N`: put the demo application under load with Locust.

A process of its own, since Locust patches Python's sockets. One JSON object a line on standard output: one a
second while it runs (`Progress`), and at the end one for each kind of request (`Endpoint`). SIGTERM and
SIGINT end the load early, and the end is told all the same.
"""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

import argparse
import json
import random
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import gevent
from gevent.event import Event
from locust import FastHttpUser, User, between, events, task
from locust.env import Environment
from locust.stats import StatsEntry

from demo.stress.profiles import PROFILES, Crowd, Profile
from demo.stress.told import Endpoint, Progress

_SPAWN_SECONDS = 2.0  # until all visitors are there
_EVERY = 1.0
_PATIENCE = 20.0  # seconds for one answer: more than the longest that may be asked for
_TOO_MANY = 429


def main(arguments: Sequence[str]) -> int:
    """Read the command line and send the visitors."""
    parser = argparse.ArgumentParser(prog="python -m demo.stress")
    parser.add_argument("profile", choices=list(PROFILES))
    parser.add_argument("--url", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args(arguments)
    run(PROFILES[options.profile], options.url, options.seconds)
    return 0


def run(profile: Profile, url: str, seconds: float) -> None:
    """Keep the profile's visitors at it for so long, and tell."""
    refused = 0

    def count(response: Any = None, **_: Any) -> None:
        nonlocal refused
        refused += getattr(response, "status_code", 0) == _TOO_MANY

    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stop.set)
    visitors: list[type[User]] = [_visitor(number, crowd) for number, crowd in enumerate(profile.crowds)]
    environment = Environment(user_classes=visitors, host=url.rstrip("/"), events=events)
    environment.events.request.add_listener(count)  # type: ignore[no-untyped-call]
    runner = environment.create_local_runner()
    _tell(asdict(_progress(environment, 0, refused)))  # begins now: Locust itself has taken its time to start
    runner.start(profile.users, spawn_rate=profile.users / _SPAWN_SECONDS)
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and not stop.wait(min(_EVERY, left)):
        _tell(asdict(_progress(environment, runner.user_count, refused)))
    runner.quit()
    _tell(asdict(_progress(environment, 0, refused)))
    for entry in sorted(environment.stats.entries.values(), key=lambda one: str(one.name)):
        _tell(asdict(_endpoint(entry)))


def _visitor(number: int, crowd: Crowd) -> type[FastHttpUser]:
    def ask(self: FastHttpUser) -> None:
        with self.client.get(random.choice(crowd.paths), catch_response=True) as answer:
            if answer.status_code == _TOO_MANY:  # the shop's own bound: that it holds is no failure
                answer.success()

    return type(
        f"Crowd{number}",
        (FastHttpUser,),
        {
            "tasks": [task(ask)],
            "fixed_count": crowd.users,
            "wait_time": between(*crowd.pause),
            "connection_timeout": 5.0,
            "network_timeout": _PATIENCE,
        },
    )


def _progress(environment: Environment, users: int, refused: int) -> Progress:
    total = environment.stats.total
    return Progress(
        at=time.time(),
        users=users,
        requests=total.num_requests,
        failures=total.num_failures,
        refused=refused,
        per_second=round(total.current_rps, 2),
        p50_ms=total.get_current_response_time_percentile(0.5),
        p95_ms=total.get_current_response_time_percentile(0.95),
    )


def _endpoint(entry: StatsEntry) -> Endpoint:
    return Endpoint(
        name=str(entry.name),
        requests=entry.num_requests,
        failures=entry.num_failures,
        p50_ms=entry.get_response_time_percentile(0.5),
        p95_ms=entry.get_response_time_percentile(0.95),
        max_ms=round(entry.max_response_time),
    )


def _tell(words: dict[str, Any]) -> None:
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
