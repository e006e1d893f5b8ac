"""Make Sitemedic's Python environment from the lock files: the launcher's work on first use.

Run by whichever Python the launcher found, before any library is there: standard library only.
The environment is complete once it holds a copy of each lock file that it was made from. One that is
not (interrupted, or a lock file has changed) is completed where it stands: a stack may be running out
of it. Only one whose Python does not fit any more is made anew.
"""

import fcntl
import filecmp
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from stack.packages import PackageError, Plan, can_install, install

ROOT = Path(__file__).resolve().parent.parent
_NO_NETWORK = (
    "Failed to establish a new connection",
    "Temporary failure in name resolution",
    "Name or service not known",
    "Network is unreachable",
    "NewConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
)


class BootstrapError(Exception):
    """The environment cannot be made; says what to do."""


def main(locks: Sequence[str], root: Path = ROOT) -> int:
    """Make or complete `root`/.venv for the named lock files; return the exit status."""
    try:
        with _only_one(root / ".venv.lock"):
            make(root, locks)
    except (BootstrapError, PackageError) as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        _say("interrupted; the next start goes on from here")
        return 130
    return 0


def make(root: Path, locks: Sequence[str]) -> None:
    """Install every lock file that the environment does not hold yet; do nothing when it holds all.

    Raises BootstrapError or PackageError.
    """
    environment = root / ".venv"
    if not _python_fits(environment):
        _need_venv()
        _say("first use: making .venv (about a minute)" if not environment.exists() else "making .venv anew")
        try:
            venv.EnvBuilder(clear=True, with_pip=True, symlinks=True).create(environment)
        except (OSError, subprocess.CalledProcessError) as error:
            raise BootstrapError(f"cannot make {environment}: {error}") from error
    for name in locks:
        if not _complete(environment, root / name):
            _install(environment, root / name)


def _complete(environment: Path, lock: Path) -> bool:
    stamp = environment / lock.name
    return stamp.exists() and filecmp.cmp(lock, stamp, shallow=False)


def _python_fits(environment: Path) -> bool:
    """Say whether the environment's Python still runs and still finds what was installed for it."""
    try:
        probe = subprocess.run(
            [environment / "bin/python", "-c", "import pip"], check=False, capture_output=True
        )
    except OSError:
        return False
    return probe.returncode == 0


def _need_venv() -> None:
    if importlib.util.find_spec("ensurepip") is not None:
        return
    package = f"python3.{sys.version_info.minor}-venv"
    if sys.executable == "/usr/bin/python3":
        package = "python3-venv"
    if not can_install():
        raise BootstrapError(
            f"this Python ({sys.executable}) cannot make environments yet. Run: "
            f"sudo apt-get install {package} and start again"
        )
    if sys.stdin.isatty():
        answer = input(f"sitemedic: Debian's package {package} is needed. Install it now? [Y/n] ")
        if answer.strip().lower() not in ("", "y", "yes"):
            raise BootstrapError(f"then run: apt-get install {package} and start again")
    install(Plan(("ensurepip",), (package,)), _say)
    # What this Python saw of itself at its start has changed: begin again.
    os.execv(sys.executable, [sys.executable, "-m", "stack.bootstrap", *sys.argv[1:]])


def _install(environment: Path, lock: Path) -> None:
    wanted = sum("==" in line and not line.startswith((" ", "#")) for line in lock.open())
    command = [str(environment / "bin/python"), "-m", "pip", "install", "--require-hashes", "--no-input"]
    command += ["--disable-pip-version-check", "--retries", "2", "--requirement", str(lock)]
    # The launcher's own settings would break the building of a package.
    plain = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONSAFEPATH")
    }
    with subprocess.Popen(
        command,
        env=plain,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as pip:
        assert pip.stdout is not None
        last = deque(_with_progress(pip.stdout, lock.name, wanted), maxlen=200)
    if pip.returncode != 0:
        raise BootstrapError(_mend(lock.name, list(last)))
    stamp = environment / f"{lock.name}.new"
    shutil.copyfile(lock, stamp)
    stamp.replace(environment / lock.name)


def _with_progress(lines: Iterable[str], name: str, wanted: int) -> Iterator[str]:
    """Pass pip's lines on, telling how far it is: a running count on a terminal, else one line."""
    terminal = sys.stderr.isatty()
    if not terminal:
        _say(f"installing {wanted} packages of {name}")
    seen = 0
    for line in lines:
        if line.startswith(("Collecting ", "Requirement already satisfied")):
            seen += 1
        if terminal:
            step = "installing" if line.startswith("Installing") else f"fetching {seen}/{wanted}"
            print(f"\r\033[Ksitemedic: {name}: {step}", end="", file=sys.stderr, flush=True)
        yield line
    if terminal:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _mend(name: str, lines: list[str]) -> str:
    text = "".join(lines)
    if any(sign in text for sign in _NO_NETWORK):
        return (
            "the Python packages could not be fetched: the package index does not answer.\n"
            "  Look whether the network is up and whether a proxy is needed (HTTPS_PROXY), or name a mirror\n"
            "  (PIP_INDEX_URL), then start again."
        )
    if "DO NOT MATCH THE HASHES" in text:
        return f"a fetched package is not the one that {name} names. Nothing was installed.\n{_tail(lines)}"
    if "No space left on device" in text:
        return "no space left on the disk (about 300 MB are needed). Make room, then start again."
    return f"installing {name} failed:\n{_tail(lines)}"


def _tail(lines: list[str]) -> str:
    return "\n".join(f"  {line.rstrip()}" for line in lines[-12:])


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold the lock file, waiting for another first use to end."""
    try:
        file = path.open("w")
    except OSError as error:
        raise BootstrapError(f"cannot write to {path.parent}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another start is making the environment; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _say(text: str) -> None:
    with suppress(OSError):
        print(f"sitemedic: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
