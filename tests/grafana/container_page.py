"""A page of metrics about containers, in the exporter's names: what four of them on two servers would show.

The shop is well, the worker is busy and unhealthy, one loops and is killed, one has ended; the engine of
the second server cannot be asked. Counters grow with the time since the page was first there.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Shown:
    """One container of the page."""

    name: str
    state: str = "running"
    health: str | None = None
    cores: float = 0.05
    """Used; of two that it may use where it is throttled."""
    memory: int = 40
    """Mebibytes, of 100."""
    throttled: bool = False
    exit_code: int | None = None
    restarts_every: float | None = None
    """Seconds; each time for it was killed for want of memory."""
    site: str | None = None


CONTAINERS = (
    Shown("shop", health="healthy", site="shop"),
    Shown("worker", health="unhealthy", cores=1.95, memory=95, throttled=True),
    Shown("loop", state="restarting", exit_code=137, restarts_every=2),
    Shown("cron", state="exited", exit_code=1),
)


def page(age: float, now: float) -> str:
    """Return the text of the page `age` seconds after it was first there."""
    return (
        "\n".join([*_servers(age, now), *(line for one in CONTAINERS for line in _lines(one, age, now))])
        + "\n"
    )


def _servers(age: float, now: float) -> Iterator[str]:
    for server, up in (("web-1", 1), ("db-1", 0)):
        labels = f'{{server="{server}"}}'
        yield f"sitemedic_docker_up{labels} {up}"
        yield f"sitemedic_docker_last_success_timestamp_seconds{labels} {now if up else now - age - 60}"
        yield f"sitemedic_containers{labels} {len(CONTAINERS) if up else 0}"
        for call in ("list", "usage"):
            each = f'{{server="{server}", call="{call}"}}'
            yield f"sitemedic_docker_calls_total{each} {int(age)}"
            yield f"sitemedic_docker_call_duration_seconds_sum{each} {age / 50}"
            yield f"sitemedic_docker_call_duration_seconds_count{each} {int(age)}"
    yield 'sitemedic_docker_failure{server="db-1", reason="unreachable"} 1'


def _lines(one: Shown, age: float, now: float) -> Iterator[str]:
    labels = f'server="web-1", instance="web-1", name="{one.name}"'
    running = one.state == "running"
    values = {
        "sitemedic_container_up": running,
        "sitemedic_container_exit_code": one.exit_code,
        "sitemedic_container_restarts_total": int(age / (one.restarts_every or 1e9)),
        "sitemedic_container_oom_kills_total": int(age / (one.restarts_every or 1e9)),
        "sitemedic_container_down_since_timestamp_seconds": None if running else now - age,
        # of a mean over five minutes, most of which were before the page
        "sitemedic_container_cpu_threshold_ratio": 0.03 if one.throttled else 0.9,
        "sitemedic_container_memory_threshold_ratio": 0.85,
        "sitemedic_container_restarts_threshold": 3,
        "sitemedic_container_cpu_limit_cores": 2,
        "sitemedic_container_memory_limit_bytes": 100 * MEBIBYTE,
        "container_start_time_seconds": now - age - 1000,
    }
    yield from (f"{name}{{{labels}}} {float(value)}" for name, value in values.items() if value is not None)
    yield f'sitemedic_container_state_info{{{labels}, state="{one.state}"}} 1'
    yield f'sitemedic_container_info{{{labels}, image="acme/{one.name}:1", compose_project="acme"}} 1'
    if one.health:
        yield f'sitemedic_container_health_info{{{labels}, health="{one.health}"}} 1'
    if one.site:
        yield f'sitemedic_container_site_info{{{labels}, site="{one.site}"}} 1'
    if running:
        yield from _usage(one, f'{labels}, image="acme/{one.name}:1"', age, now)


def _usage(one: Shown, labels: str, age: float, now: float) -> Iterator[str]:
    used = one.memory * MEBIBYTE
    values = {
        "container_cpu_user_seconds_total": 0.7 * one.cores * age,
        "container_cpu_system_seconds_total": 0.3 * one.cores * age,
        "container_cpu_cfs_periods_total": 10 * age if one.throttled else 0,
        "container_cpu_cfs_throttled_periods_total": 4 * age if one.throttled else 0,
        "container_cpu_cfs_throttled_seconds_total": 0.2 * age if one.throttled else 0,
        "container_memory_usage_bytes": used + 8 * MEBIBYTE,
        "container_memory_working_set_bytes": used,
        "container_memory_rss": used - 4 * MEBIBYTE,
        "container_memory_cache": 12 * MEBIBYTE,
        "container_spec_memory_limit_bytes": 100 * MEBIBYTE,
        "container_spec_cpu_quota": 200_000,
        "container_spec_cpu_period": 100_000,
        "container_fs_reads_bytes_total": 1000 * age,
        "container_fs_writes_bytes_total": 4000 * age,
        "container_processes": 3,
        "container_oom_events_total": 0,
        "container_last_seen": now,
    }
    yield from (f"{name}{{{labels}}} {value}" for name, value in values.items())
    yield f'container_cpu_usage_seconds_total{{{labels}, cpu="total"}} {one.cores * age}'
    for way in ("receive", "transmit"):
        for what, each in (("bytes", 2000), ("packets", 20), ("errors", 0), ("packets_dropped", 1)):
            yield f'container_network_{way}_{what}_total{{{labels}, interface="eth0"}} {each * age}'


def names() -> set[str]:
    """Return the names of all metrics on the page."""
    return {line.partition("{")[0] for line in page(60, time.time()).splitlines()}


@contextmanager
def container_page() -> Iterator[str]:
    """Serve the page until the block ends; its address."""
    began = time.time()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            now = time.time()
            body = page(now - began, now).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
