"""`./sitemedic up`: check, start everything in order, keep it running, stop it in order."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Thread

from core.environment import load_environment
from core.files import told
from remediator.configuration.schema import targets
from stack import demo_parts, healing, packages, ports, services
from stack.deliveries import DeliveryWatch, fault
from stack.demo_parts import DemoPorts
from stack.errors import StackError
from stack.home import Home, Running, following, only_one, write_running
from stack.loopback import get_json
from stack.processes import guarded, handle_stops, unblock_signals
from stack.reload import Configuration, Reloader, read, write
from stack.settings import Settings, console_password_file, load_settings
from stack.supervise import Say, Service, Supervisor

_CONFIGURATION_EVERY = 2.0  # seconds
_DELIVERIES_EVERY = 5.0
_KILLED = 128 + signal.SIGKILL


@dataclass(frozen=True)
class Stack:
    """What `up` is about to run: where, on which ports of the demo if it is one, and who is told."""

    home: Home
    say: Say
    demo: DemoPorts | None
    begun: float  # unix seconds

    def adapt(self, environ: Mapping[str, str]) -> Mapping[str, str]:
        """Return the environment that this stack runs in."""
        return environ if self.demo is None else demo_parts.adapted(self.home, self.demo, environ)


def up(home: Home, say: Say, yes: bool = False) -> int:
    """Run the stack of `home` until it is told to stop; return the exit status.

    Raises ConfigError or StackError before anything is started.
    """
    environ = load_environment(home.root)
    stack = Stack(home, say, DemoPorts.of(environ) if home.demo else None, time.time())
    with only_one(home):
        _announce(stack)
        if stack.demo is not None:
            demo_parts.begin_afresh(home)
        else:
            read(home, stack.adapt)  # every fault of the configuration, before anything else
        _need_ports(stack, environ)
        packages.ensure(services.PROGRAMS + (demo_parts.PROGRAMS if stack.demo else ()), yes=yes, say=say)
        os.environ.pop("NOTIFY_SOCKET", None)
        owner = os.getpid()
        status = guarded(lambda: _run(stack, owner))
    if status == _KILLED:
        say(
            "sitemedic: killed from outside (out of memory? dmesg tells), and all that it had started with it"
        )
        say("Start it again: ./sitemedic up")
    return status


def _announce(stack: Stack) -> None:
    if stack.demo is None:
        stack.say(f"Sitemedic in {stack.home.root}")
        return
    stack.say("DEMO: there is no sites.yml here, so this watches a site of its own, made to be broken.")
    stack.say(f"DEMO: it keeps to {stack.home.data}. To watch your own: ./sitemedic init")


def _need_ports(stack: Stack, environ: Mapping[str, str]) -> None:
    settings = load_settings(stack.adapt(environ), stack.home.data)
    wanted = services.ports(settings) + (stack.demo.ports() if stack.demo else ())
    if taken := ports.faults(wanted):
        raise StackError("\n  ".join(["nothing was started:", *taken]) if len(taken) > 1 else taken[0])


def _run(stack: Stack, owner: int) -> int:
    """Start, tend and stop everything: the inner process's whole life."""
    stopping = Event()
    supervisor = Supervisor(stack.say, stopping)
    _stop_on_signals(supervisor, stopping)
    failed = False
    try:
        reloader = _start(stack, supervisor, stopping)
        if reloader is not None:
            _tell(stack, supervisor, reloader.configuration, owner, stopping)
            _tend(stack, supervisor, reloader, owner, stopping)
    except StackError as error:
        stack.say(f"sitemedic: {error}")
        failed = True
    except OSError as error:
        stack.say(f"sitemedic: {told(error, stack.home.data)}")
        failed = True
    finally:
        stack.say("Stopping")
        supervisor.stop()
        with suppress(OSError):  # a disk that is read-only by now
            stack.home.run_file.unlink(missing_ok=True)
    stack.say("Stopped")
    return 1 if failed else 0


def _stop_on_signals(supervisor: Supervisor, stopping: Event) -> None:
    def stop(_number: int, _frame: object) -> None:
        if stopping.is_set():
            supervisor.kill()
        stopping.set()

    handle_stops(stop)
    unblock_signals()


def _start(stack: Stack, supervisor: Supervisor, stopping: Event) -> Reloader | None:
    """Start every service, each once the one before it is healthy; None when told to stop meanwhile."""
    home = stack.home
    if stack.demo is not None:
        parts = demo_parts.demo_parts(home, stack.demo)
        _start_each(stack, supervisor, parts, stopping)
        if stopping.is_set():
            return None
        demo_parts.write_sites(home, stack.demo)
    configuration = read(home, stack.adapt)
    for note in write(home, configuration):
        stack.say(f"Note: {note}")
    wanted = services.services(home, configuration.settings, configuration.environ)
    _start_each(stack, supervisor, wanted, stopping)
    if stopping.is_set():
        return None
    return Reloader(home, configuration, stack.adapt, supervisor, stack.say)


def _start_each(stack: Stack, supervisor: Supervisor, wanted: tuple[Service, ...], stopping: Event) -> None:
    for service in wanted:
        if stopping.is_set():
            return
        begun = time.monotonic()
        supervisor.start(service)
        if not stopping.is_set():
            stack.say(
                f"  {service.name:<13}healthy after {time.monotonic() - begun:4.1f} s  {service.address}"
            )


def _tell(
    stack: Stack, supervisor: Supervisor, configuration: Configuration, owner: int, stopping: Event
) -> None:
    """Tell that Prometheus reaches everything and that mail can be sent; write run.json."""
    settings = configuration.settings
    stack.say(_targets(settings.prometheus.url, supervisor, stopping))
    _tell_deliveries(stack, configuration)
    _tell_console(stack, configuration)
    _write_running(stack, supervisor, settings, owner)
    if not stopping.is_set():
        head = "DEMO: ready. Break the site: ./sitemedic demo bad-response" if stack.demo else "Ready"
        stack.say(f"{head}. Ctrl-C stops everything.")
        _tell_healing(stack, configuration)


def _write_running(stack: Stack, supervisor: Supervisor, settings: Settings, owner: int) -> None:
    endpoints = ("exporter", "remediator", "alertmanager", "prometheus")
    running = Running(
        demo=stack.demo is not None,
        pid=owner,
        started=stack.begun,
        urls={name: getattr(settings, name).url for name in endpoints}
        | (demo_parts.urls(stack.demo) if stack.demo else {}),
        pids=supervisor.pids(),
        control_token_file=str(demo_parts.control_token(stack.home)) if stack.demo else None,
    )
    write_running(stack.home, running)


def _tell_console(stack: Stack, configuration: Configuration) -> None:
    given = any(configuration.environ.get(name) for name in ("CONSOLE_PASSWORD", "CONSOLE_PASSWORD_FILE"))
    where = "CONSOLE_PASSWORD of .env" if given else str(console_password_file(stack.home.data))
    stack.say(f"Console: {configuration.settings.remediator.url}/ (password: {where})")


def _tell_deliveries(stack: Stack, configuration: Configuration) -> None:
    smtp = configuration.settings.smtp
    if smtp is None:
        stack.say("Mail: none is sent, since SMTP_HOST is not set in .env")
    elif message := fault(smtp):
        stack.say(f"Mail: NONE CAN BE SENT: {message}")
    else:
        stack.say(f"Mail: {smtp.server.address} takes it")
    if names := configuration.settings.receivers.names():
        stack.say(f"Told beside the mails: {', '.join(names)} (to try it: ./sitemedic {names[0]} test)")


def _tell_healing(stack: Stack, configuration: Configuration) -> None:
    """Look at every server once, beside everything else: a dead one takes its whole timeout."""

    def look() -> None:
        wrong = healing.faults(configuration.document, configuration.environ)
        for line in wrong:
            stack.say(f"Healing: WOULD NOT WORK: {line}")
        if wrong:
            stack.say("Healing: ./sitemedic doctor looks again")
        if not wrong and targets(configuration.document):
            stack.say("Healing: every server that may be healed lets us in")

    Thread(target=look, name="healing", daemon=True).start()


def _targets(prometheus: str, supervisor: Supervisor, stopping: Event, patience: float = 40.0) -> str:
    """Wait until Prometheus has reached each of its targets, and return the word on it."""
    deadline = time.monotonic() + patience
    while True:
        states = _target_states(prometheus)
        down = [name for name, state in states.items() if state != ""]
        if states and not down:
            return f"Prometheus reaches all of its {len(states)} targets"
        if stopping.is_set() or time.monotonic() > deadline:
            told = "; ".join(f"{name}: {states[name]}" for name in down)
            return f"Prometheus does not reach all of its targets: {told or 'it does not answer'}"
        supervisor.tend()
        stopping.wait(0.2)


def _target_states(prometheus: str) -> dict[str, str]:
    """Return "" for each target that is up, else what is wrong with it."""
    try:
        found = get_json(f"{prometheus}/api/v1/targets?state=active")["data"]["activeTargets"]
    except (OSError, ValueError, KeyError):
        return {}
    return {
        target["labels"]["job"]: "" if target["health"] == "up" else target["lastError"] or "not scraped yet"
        for target in found
    }


def _tend(stack: Stack, supervisor: Supervisor, reloader: Reloader, owner: int, stopping: Event) -> None:
    """Keep everything running and follow the configuration until told to stop."""
    settings = reloader.configuration.settings
    log = stack.home.log("alertmanager")
    deliveries = DeliveryWatch(settings.alertmanager.url, log, stack.say, settings.receivers)
    look_for_deliveries = _every(_DELIVERIES_EVERY, deliveries.look)
    look_for_changes = _every(_CONFIGURATION_EVERY, lambda: _follow(stack, reloader, deliveries))
    note_pids = following(
        stack.home, stack.say, supervisor.pids,
        lambda: _write_running(stack, supervisor, reloader.configuration.settings, owner),
    )  # fmt: skip
    while not stopping.wait(0.2):
        supervisor.tend()
        note_pids()
        look_for_changes()
        look_for_deliveries()


def _follow(stack: Stack, reloader: Reloader, deliveries: DeliveryWatch) -> None:
    before = reloader.configuration.settings
    if reloader.look():
        now = reloader.configuration.settings
        deliveries.forget(now.receivers)
        _tell_healing(stack, reloader.configuration)
        if now.smtp != before.smtp or now.receivers != before.receivers:
            _tell_deliveries(stack, reloader.configuration)


def _every(seconds: float, work: Callable[[], None]) -> Callable[[], None]:
    """Return a function that does `work` when `seconds` have passed since it last did."""
    last = time.monotonic()

    def when_due() -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            work()
            last = time.monotonic()

    return when_due
