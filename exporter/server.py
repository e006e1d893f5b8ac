"""The life of the exporter's process: configuration, port, schedule, signals, and a quick end."""

import asyncio
import gc
import logging
import os
import resource
import signal
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop
from aiohttp import web

from core.faults import ConfigError
from core.logs import fields
from core.secrets import from_environment
from core.sites import Part
from exporter import wall_clock
from exporter.configuration import Configuration, read
from exporter.health import Health
from exporter.heartbeats.book import Heartbeats
from exporter.heartbeats.file import KEY_VARIABLE, HeartbeatFile, usual_folder
from exporter.history import DEFAULT_LIMIT, History
from exporter.listening import Address, listen, listen_on_handed, shown
from exporter.probe import Probers
from exporter.reload import POLL_EVERY, Reloader
from exporter.results_file import ResultsFile
from exporter.service import Exporter
from exporter.web import Handlers
from exporter.web.places import AT_THE_ROOT, Places
from exporter.web.quick import QuickRunner
from exporter.web.security import Security

_log = logging.getLogger(__name__)

END_WITHIN = 1.0
"""Seconds that open connections get at the end."""

USUAL: Address = ("127.0.0.1", 9115)
USUAL_WITH_MODULES: Address = ("", 9115)
"""Where to listen with a blackbox.yml: everywhere, as blackbox_exporter does."""


@dataclass(frozen=True)
class Settings:
    """How one exporter runs."""

    config_file: Path
    addresses: tuple[Address, ...] = ()
    """Where to listen; none: where it is usual for this kind of configuration."""
    systemd_socket: bool = False
    web_config_file: Path | None = None
    places: Places = AT_THE_ROOT
    timeout_offset: float = 0.5
    history_limit: int = DEFAULT_LIMIT
    probe_log_level: int = logging.DEBUG
    results_file: Path | None = None
    storage_path: Path | None = None
    """What survives a restart is kept there; None: in data/exporter beside the configuration."""
    follow: bool = True
    """Whether a change of a file is a reload."""
    poll_every: float = POLL_EVERY


def run(settings: Settings, parts: Sequence[Part]) -> None:
    """Run an exporter until SIGTERM or SIGINT. Raises ConfigError and StartError."""
    _allow_many_descriptors()
    # A reload reads in a thread: let the loop have its turn sooner than after Python's 5 ms.
    sys.setswitchinterval(0.001)
    # A probe leaves nothing that only a collection finds: looking every 700 objects is a tenth of its cost.
    gc.set_threshold(20_000, 20, 20)
    configuration = read(settings.config_file, parts)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, parts, configuration))


async def _serve(settings: Settings, parts: Sequence[Part], configuration: Configuration) -> None:
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    health = Health()
    health.reloaded(successful=True)
    security = Security(settings.web_config_file, health)
    results = ResultsFile(settings.results_file, health) if settings.results_file else None
    history = History(settings.history_limit)
    heartbeats = _heartbeats(settings, health)
    heartbeats.tokens(configuration.sites)  # a key that cannot be kept is told before anything is probed
    exporter = Exporter(configuration, Probers.start(health.broken.inc), health, results, history, heartbeats)
    reloader = Reloader(exporter, settings.config_file, parts, settings.poll_every)
    loop.add_signal_handler(signal.SIGHUP, lambda: _on_hangup(reloader, results))
    handlers = Handlers(
        exporter, reloader, settings.timeout_offset, settings.places, settings.probe_log_level
    )
    # Passing the guard takes a tenth of a probe on demand: nobody stands there without a file.
    app = handlers.application(*([security.guard] if settings.web_config_file else []))
    if settings.web_config_file:
        app.on_response_prepare.append(security.add_headers)
    runner = _runner(app, handlers, settings)
    try:
        addresses = await _listen(runner, settings, configuration, security.tls)
        exporter.start()
        following = [
            asyncio.create_task(security.follow_files(settings.poll_every)),
            asyncio.create_task(heartbeats.listen()),
            asyncio.create_task(wall_clock.follow(exporter.clock_was_set)),
        ]
        if settings.follow:
            following.append(asyncio.create_task(reloader.follow_files()))
        _log.info("exporter runs", extra=fields(address=shown(addresses), sites=len(configuration.sites)))
        await ended.wait()
        for task in following:
            task.cancel()
    finally:
        await exporter.stop()
        await runner.cleanup()
        if results is not None:
            await asyncio.to_thread(results.close)


def _runner(app: web.Application, handlers: Handlers, settings: Settings) -> web.AppRunner:
    """Return what serves: probes on demand by the short way where nobody stands before them."""
    if settings.web_config_file:
        return web.AppRunner(app, access_log=None, shutdown_timeout=END_WITHIN)
    return QuickRunner(app, f"{settings.places.prefix}/probe", handlers.probe_of_target, END_WITHIN)


def _heartbeats(settings: Settings, health: Health) -> Heartbeats:
    """Return the book of heartbeats. Raises ConfigError."""
    folder = settings.storage_path or usual_folder(settings.config_file)
    return Heartbeats(HeartbeatFile(folder, from_environment(KEY_VARIABLE, os.environ)), health)


def _on_hangup(reloader: Reloader, results: ResultsFile | None) -> None:
    if results is not None:
        results.reopen()
    task = asyncio.get_running_loop().create_task(_reload_quietly(reloader))
    _reloads.add(task)
    task.add_done_callback(_reloads.discard)


_reloads: set[asyncio.Task[None]] = set()
"""Reloads that a signal began: a task that nobody holds may be collected."""


async def _reload_quietly(reloader: Reloader) -> None:
    try:
        await reloader.reload()
    except ConfigError:
        return  # told by the reloader


async def _listen(
    runner: web.AppRunner, settings: Settings, configuration: Configuration, tls: ssl.SSLContext | None
) -> Sequence[Address]:
    """Serve where the settings say it. Raises StartError."""
    await runner.setup()
    if settings.systemd_socket:
        return await listen_on_handed(runner, tls)
    # Who only replaces blackbox_exporter's program is asked from other machines, as that is.
    usual = USUAL_WITH_MODULES if configuration.allowed is None else USUAL
    addresses = settings.addresses or (usual,)
    await listen(runner, addresses, tls)
    return addresses


def _allow_many_descriptors() -> None:
    """Raise the soft limit of open files to the hard one: each probe in flight needs a descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
