"""The services of a running demo, as the story asks them."""

import fcntl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import requests

from core.secrets import Secret, read_secret_file
from stack.errors import StackError
from stack.home import Home, Running, read_running
from stack.story.seen import (
    IncidentSeen,
    Snapshot,
    firing_seen,
    incident_seen,
    machine_seen,
    mails_seen,
    site_seen,
)

NO_DEMO = "no demo is running here: start one with ./sitemedic up"
_HELD = "{} is just being started or stopped: wait until ./sitemedic up says ready"
_PATIENCE = 3.0  # seconds for one answer
_MENDING = 30.0
T = TypeVar("T")


@dataclass
class Services:
    """A stack that runs: ask its services."""

    home: Home
    running: Running
    site: str
    clock: Callable[[], float] = time.time
    _session: requests.Session = field(init=False, repr=False)
    api_token: Secret | None = field(init=False, repr=False)
    _closed: dict[int, IncidentSeen] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy stands between us and our own services
        token_file = self.home.data / "secrets" / "api_token"  # without it the log lines are not shown
        self.api_token = read_secret_file(token_file) if token_file.is_file() else None

    def still_runs(self) -> bool:
        """Tell whether it is still the same stack that runs."""
        running = read_running(self.home)
        return running is not None and running.pid == self.running.pid

    def log(self, service: str) -> Path:
        """Return where a service's log is."""
        return self.home.log(service)

    def ask(self, faults: list[str], service: str, path: str, read: Callable[[Any], T]) -> T | None:
        """Ask a service one thing; None, and a line in `faults`, where it does not answer that."""
        try:
            return read(self._get(service, path))
        except requests.RequestException as error:
            faults.append(f"{service} does not answer ({type(error).__name__})")
        except (ValueError, KeyError, TypeError, IndexError) as error:
            faults.append(f"{service} answers something else than expected at {path}: {error!r}")
        return None

    def incidents(self, answer: Any) -> tuple[IncidentSeen, ...]:
        """Read the remediator's list, and ask for each incident in it; one that is closed only once."""
        seen = []
        for listed in answer["incidents"]:
            number = listed["id"]
            if number not in self._closed:
                one = incident_seen(self._get("remediator", f"/api/v1/incidents/{number}"))
                if one.closed_at is None:
                    seen.append(one)
                    continue
                self._closed[number] = one
            seen.append(self._closed[number])
        return tuple(sorted(seen, key=lambda one: one.id))

    def _get(self, service: str, path: str) -> Any:
        answer = self._session.get(
            f"{self.running.urls[service]}{path}", headers=self._headers(service), timeout=_PATIENCE
        )
        answer.raise_for_status()
        return answer.json()

    def _headers(self, service: str) -> dict[str, str]:
        return _bearer(self.api_token) if service == "remediator" else {}


@dataclass
class Demo(Services):
    """A demo that runs: ask it, break it, mend it."""

    _token: Secret = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        assert self.running.control_token_file is not None
        self._token = read_secret_file(Path(self.running.control_token_file))

    def break_(self, kind: str) -> float:
        """Break the site; return when that was. Raises StackError."""
        return float(self._order("/break", {"kind": kind})["broken_at"])

    def mend(self) -> None:
        """Make everything as it was. Raises StackError."""
        self._order("/mend", {})

    def snapshot(self) -> Snapshot:
        """Ask every service once; what does not answer is None and told among the faults."""
        faults: list[str] = []
        ask = partial(self.ask, faults)
        found = Snapshot(
            time=self.clock(),
            machine=ask("control", "/state", machine_seen),
            site=ask("exporter", "/api/v1/sites", lambda answer: site_seen(answer, self.site)),
            mails=ask("mailbox", "/api/mails", mails_seen),
            incidents=ask("remediator", "/api/v1/incidents", self.incidents),
            firing=ask("prometheus", "/api/v1/alerts", firing_seen),  # last: the cause of the two before
        )
        return Snapshot(**{**vars(found), "faults": tuple(faults)})

    def _order(self, path: str, body: object) -> Any:
        url = f"{self.running.urls['control']}{path}"
        try:
            answer = self._session.post(url, json=body, headers=self._headers("control"), timeout=_MENDING)
            told = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise StackError(
                f"the demo's server does not answer ({type(error).__name__}): see {self.log('machine')}"
            ) from error
        if not answer.ok:
            raise StackError(f"the demo's server refuses: {told.get('error', answer.status_code)}")
        return told

    def _headers(self, service: str) -> dict[str, str]:
        return _bearer(self._token) if service == "control" else super()._headers(service)


def find_stack(root: Path) -> tuple[Home, Running]:
    """Return what runs in a folder, the demo or a real stack; raises StackError where nothing does."""
    for home in (Home(root, demo=True), Home(root, demo=False)):
        if (running := read_running(home)) is not None:
            return home, running
    if _is_held(root / "data" / "up.lock"):
        raise StackError(_HELD.format(root))
    raise StackError(f"no Sitemedic is running in {root}: start one with ./sitemedic up")


def find_demo(root: Path, site: str) -> Demo:
    """Return the demo that runs in a folder; raises StackError where there is none, or a real stack."""
    home = Home(root, demo=True)
    running = read_running(home)
    if running is None:
        if read_running(Home(root, demo=False)) is not None:
            raise StackError(
                f"what runs in {root} is no demo but watches real sites: nothing was touched. "
                "For a demo, run ./sitemedic up --dir in an empty folder, with other ports in its .env"
            )
        if _is_held(root / "data" / "up.lock"):
            raise StackError(_HELD.format(root))
        raise StackError(NO_DEMO)
    if not running.demo or running.control_token_file is None:
        raise StackError(f"{home.run_file} does not tell of a demo: nothing was touched")
    return Demo(home, running, site)


def _bearer(token: Secret | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token.reveal()}"}


def _is_held(lock: Path) -> bool:
    """Tell whether an `up` holds its folder, though it has not told what runs."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
