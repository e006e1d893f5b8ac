"""Where a stack lives: its folder, its state, and the word on who runs it."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from core.files import told, unwritable, write_whole
from stack.errors import StackError

_STATE = ("remediator.db", "prometheus", "alertmanager")


@dataclass(frozen=True)
class Home:
    """A stack's folder. `data` holds everything that it writes; the demo's lies below `data/demo`."""

    root: Path
    demo: bool

    @property
    def data(self) -> Path:
        """Return the folder that this stack writes to."""
        return self.root / "data" / "demo" if self.demo else self.root / "data"

    @property
    def sites_file(self) -> Path:
        """Return its sites.yml; the demo writes its own."""
        return (self.data if self.demo else self.root) / "sites.yml"

    @property
    def rendered(self) -> Path:
        """Return the folder with Prometheus's and Alertmanager's configuration."""
        return self.data / "rendered"

    @property
    def run_file(self) -> Path:
        """Return the file that tells what runs, while it does."""
        return self.data / "run.json"

    def log(self, service: str) -> Path:
        """Return the file that a service's output goes to."""
        return self.data / "logs" / f"{service}.log"


@dataclass(frozen=True)
class Running:
    """What `up` tells of a stack that is up, in run.json. Times in unix seconds."""

    demo: bool
    pid: int
    started: float
    urls: Mapping[str, str]  # by service; the demo's: site, control, linode, mailbox too
    pids: Mapping[str, int] = field(default_factory=dict)
    control_token_file: str | None = None  # the demo's server takes its faults with this token


def locate(root: Path) -> Home:
    """Return the stack of a folder: the demo where there is neither a sites.yml nor any state.

    Raises StackError when there is state and no sites.yml.
    """
    if (root / "sites.yml").exists():
        return Home(root, demo=False)
    state = [name for name in _STATE if (root / "data" / name).exists()]
    if state:
        raise StackError(
            f"{root} has state (data/{state[0]}) and no sites.yml. Bring the sites.yml back "
            "(sites.example.yml is a beginning), or remove data/ to run the demo here."
        )
    return Home(root, demo=True)


@contextmanager
def only_one(home: Home) -> Iterator[None]:
    """Hold the folder's stack, the demo's or the real one, for this process and its children.

    Raises StackError when another `up` holds it.
    """
    path = home.root / "data" / "up.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        home.data.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise StackError(f"cannot write to {path.parent}: {unwritable(error, path)}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            who = file.read().strip() or "unknown"
            raise StackError(
                f"a stack is already running in {home.root} (pid {who}): stop that one first (kill {who}), "
                "or start this one in another folder (--dir) with other ports in its .env"
            ) from None
        try:
            file.truncate(0)
            os.write(file.fileno(), f"{os.getpid()}\n".encode())
        except OSError as error:
            raise StackError(told(error, path)) from error
        yield


def write_running(home: Home, running: Running) -> None:
    """Write run.json, whole or not at all."""
    write_whole(home.run_file, json.dumps(asdict(running), indent=2) + "\n")


def following(
    home: Home, say: Callable[[str], None], pids: Callable[[], Mapping[str, int]], write: Callable[[], None]
) -> Callable[[], None]:
    """Return what calls `write`, for run.json, once `pids` have changed.

    A sick disk is told of once, and ends nothing; it is tried again.
    """
    noted, failing = pids(), False

    def follow() -> None:
        nonlocal noted, failing
        now = pids()
        if now == noted:
            return
        try:
            write()
        except OSError as error:
            if not failing:
                path = home.run_file
                say(f"{path} cannot be written: {unwritable(error, path)}. It is tried again; all runs on")
            failing = True
        else:
            noted, failing = now, False

    return follow


def read_running(home: Home) -> Running | None:
    """Return what runs there now, or None."""
    try:
        running = Running(**json.loads(home.run_file.read_text(encoding="utf-8")))
        os.kill(running.pid, 0)
    except (OSError, ValueError, TypeError):
        return None
    return running
