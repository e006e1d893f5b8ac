"""Follow sites.yml and .env while the stack runs: render anew and reload, all or nothing."""

import os
import re
import signal
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.environment import load_environment
from core.faults import ConfigError, Fault
from core.files import told
from core.files_watch import FileWatcher
from core.sites import Document, load
from stack import checked
from stack.console import CONSOLE_WEB
from stack.errors import StackError
from stack.home import Home
from stack.loopback import get
from stack.parts import PARTS
from stack.render import render
from stack.services import services
from stack.settings import Settings, load_settings
from stack.supervise import Service, Supervisor

_SERVICES = ("exporter", "prometheus", "alertmanager", "remediator", "grafana")
_RELOAD_SECONDS = 15.0
_AGAIN_AFTER, _AGAIN_AT_MOST = 2.0, 30.0  # seconds; each time promtool and amtool look at everything
# Each reads its own folder of what is rendered. A reload that it does not need does harm: Prometheus has
# no Alertmanager for some seconds after one, and what fires or ends meanwhile waits for the next send.
_RENDERED_FOR = ("prometheus", "alertmanager")

Say = Callable[[str], None]
Adapt = Callable[[Mapping[str, str]], Mapping[str, str]]  # the demo puts its own parts into the environment


@dataclass(frozen=True)
class Configuration:
    """What a stack runs on: the environment, what is read out of it, and the sites."""

    environ: Mapping[str, str]
    settings: Settings
    document: Document


def read(home: Home, adapt: Adapt) -> Configuration:
    """Read sites.yml and the environment, as `adapt` turns it. Raises ConfigError with all faults of both."""
    faults: list[Fault] = []
    try:
        environ = adapt(load_environment(home.root))
        settings = load_settings(environ, home.data)
    except ConfigError as error:
        faults.extend(error.faults)
    try:
        document = load(home.sites_file, PARTS)
    except ConfigError as error:
        faults.extend(error.faults)
    if faults:
        raise ConfigError(faults)
    return Configuration(environ, settings, document)


def write(home: Home, configuration: Configuration) -> tuple[str, ...]:
    """Render for Prometheus and Alertmanager; nothing changes unless their own tools accept it.

    Return what the user should know about it, a line each. Raises ConfigError or StackError.
    """
    with tempfile.TemporaryDirectory(prefix="sitemedic-") as folder:
        render(configuration.document, configuration.settings, Path(folder))
        if faults := checked.faults(Path(folder)):
            raise StackError("\n".join(faults))
    return render(configuration.document, configuration.settings, home.rendered).notes


class Reloader:
    """Looks for changes when it is asked to, and brings them into the running stack."""

    def __init__(
        self,
        home: Home,
        configuration: Configuration,
        adapt: Adapt,
        supervisor: Supervisor,
        say: Say,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home = home
        self._now = configuration
        self._adapt = adapt
        self._supervisor = supervisor
        self._say = say
        self._clock = now
        self._watcher = FileWatcher(self._files(configuration))
        self._loaded = self._rendered()
        """What was rendered when it was last loaded: a sick disk may hold half of a later change."""
        self._owed: set[str] = set()
        """Who did not take over what was rendered for it."""
        self._again_at: float | None = None
        """When to try again what the disk did not take, while there is something."""
        self._pause = _AGAIN_AFTER

    @property
    def configuration(self) -> Configuration:
        """Return what the stack runs on now."""
        return self._now

    def look(self) -> bool:
        """Bring a change in, if there is one; return whether the stack runs on something new now."""
        changed = self._watcher.changed()
        if not changed and (self._again_at is None or self._clock() < self._again_at):
            return False
        try:
            new = self._with_ports_kept(read(self._home, self._adapt))
            write(self._home, new)
        except (ConfigError, StackError) as error:
            self._again_at = None
            self._say(f"The changed configuration is not used; everything runs on as before:\n{error}")
            return False
        except OSError as error:
            self._put_off(error, changed)
            return False
        self._again_at = None
        self._watcher.follow(self._files(new))
        self._now = new
        stale = self._owed | {name for name, watcher in self._loaded.items() if watcher.changed()}
        self._owed = self._bring_in(services(self._home, new.settings, new.environ), stale)
        self._loaded = self._rendered()
        return True

    def _put_off(self, error: OSError, changed: bool) -> None:
        """Try it again later, ever more seldom; soon again after a change, whose fault is told."""
        if changed:
            self._say(
                f"The changed configuration is not used yet: {told(error, self._home.rendered)}. "
                "Everything runs on as before; it is tried again until it succeeds."
            )
        self._pause = _AGAIN_AFTER if changed else min(2 * self._pause, _AGAIN_AT_MOST)
        self._again_at = self._clock() + self._pause

    def _bring_in(self, wanted: Sequence[Service], stale: Collection[str]) -> set[str]:
        """Start again or reload who must know of it; return the names of those that do not take it over."""
        running = {service.name: service for service in self._supervisor.services()}
        changed = [service for service in wanted if running.get(service.name) != service]
        for service in changed:
            self._supervisor.replace(service)
            self._say(f"{service.name} started again, with its new settings")
        failed = [
            service.name
            for service in wanted
            if service.name in stale
            and service not in changed
            and not reload(service, self._supervisor.pids()[service.name])
        ]
        if failed:
            self._say(f"Not taken over by {' and '.join(failed)}: see data/logs. Restart ./sitemedic up.")
        else:
            self._say("The changed configuration is in use")
        return set(failed)

    def _with_ports_kept(self, new: Configuration) -> Configuration:
        """Return `new` on the ports that the stack listens on; they change with the next start only."""
        old = self._now.settings
        moved = [name for name in _SERVICES if getattr(new.settings, name) != getattr(old, name)]
        if not moved:
            return new
        secured = new.settings.remediator.tls != old.remediator.tls
        names = [
            f"{name.upper()}_PORT"
            for name in moved
            if getattr(new.settings, name).port != getattr(old, name).port
        ]
        said = ", ".join([*names, *([CONSOLE_WEB] if secured else [])])
        self._say(f"{said}: used from the next start of ./sitemedic up on")
        as_before = [*moved, *(["console"] if secured else [])]
        kept = replace(new.settings, **{name: getattr(old, name) for name in as_before})
        return replace(new, settings=kept)

    def _rendered(self) -> Mapping[str, FileWatcher]:
        """Return what there is now of each that reads what is rendered."""
        folders = {name: self._home.rendered / name for name in _RENDERED_FOR}
        return {name: FileWatcher([folder, *folder.rglob("*")]) for name, folder in folders.items()}

    def _files(self, configuration: Configuration) -> list[Path]:
        web = configuration.settings.console.web_config
        return [*configuration.document.files, self._home.root / ".env", *([web] if web else [])]


def reload(service: Service, pid: int) -> bool:
    """Have Prometheus or Alertmanager read its configuration anew; say whether it took it over."""
    before = _taken_over_at(service)
    os.kill(pid, signal.SIGHUP)
    deadline = time.monotonic() + _RELOAD_SECONDS
    while time.monotonic() < deadline:
        if _taken_over_at(service) > before:
            return True
        time.sleep(0.1)
    return False


def _taken_over_at(service: Service) -> float:
    """Return when the service last took its configuration over, in unix seconds; 0 when it does not say."""
    try:
        text = get(f"{service.address}/metrics")
    except OSError:
        return 0.0
    found = re.search(
        rf"^{service.name}_config_last_reload_success_timestamp_seconds (\S+)", text, re.MULTILINE
    )
    return float(found[1]) if found else 0.0
