"""Files that nobody writes on purpose: they are told, and end or halt nothing."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from select import select
from tempfile import TemporaryDirectory

import pytest

from core.environment import env_file
from core.faults import ConfigError
from core.files_watch import FileWatcher
from core.sites.yaml_file import read_yaml

_SECONDS = 30
_READ = """
import sys
from pathlib import Path
from core.faults import ConfigError
from core.sites.yaml_file import read_yaml
try:
    read_yaml(Path(sys.argv[1]), "sites.yml")
except ConfigError as error:
    print(error)
"""


def told(file: Path) -> str:
    """Return what a process of its own says of a file: it might end it, or hold it for good."""
    read = [sys.executable, "-c", _READ, str(file)]
    done = subprocess.run(read, capture_output=True, text=True, timeout=_SECONDS, check=True)
    return done.stdout.strip()


def grown(first: str, rest: str, levels: int = 9) -> str:
    """Return lines of which each holds ten of the one before it."""
    tens = (", ".join([f"*a{level - 1}"] * 10) for level in range(1, levels))
    lines = (rest.format(level=level, ten=ten) for level, ten in enumerate(tens, 1))
    return "\n".join([first, *lines]) + "\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (grown("a0: &a0 {x: 1}", "a{level}: &a{level} {{<<: [{ten}]}}", 14), "come to more than 1,000,000"),
        (
            grown("sites:\n- &a0 {name: a}", "- &a{level} {{name: b, apps: [{ten}]}}"),
            "come to more than 1,000,000",
        ),
        ("sites: &all [{name: a, apps: *all}]\n", "*all stands within what it stands for"),
        ("[" * 200_000, "nested deeper than 500 levels"),
        ("- " * 200_000, "nested deeper than 500 levels"),
    ],
    ids=["merges", "apps", "itself", "brackets", "dashes"],
)
def test_a_text_without_bounds_is_refused_with_its_place(tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "sites.yml"
    file.write_text(text)
    found = told(file)
    assert found.startswith("sites.yml: line ")
    assert "cannot be used: " in found
    assert fault in found


def test_what_many_sites_share_by_an_alias_is_no_fault(tmp_path: Path) -> None:
    shared = ", ".join(f"k{number}: v" for number in range(30))
    sites = "".join(f"- {{name: s{number}, labels: *l}}\n" for number in range(5000))
    file = tmp_path / "sites.yml"
    file.write_text(f"- {{name: s, labels: &l {{{shared}}}}}\n{sites}")
    assert len(read_yaml(file, "sites.yml")) == 5001


def test_a_pipe_is_told_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "sites.yml"
    os.mkfifo(pipe)
    expected = "sites.yml: cannot be read: a pipe that nobody writes into (put a file in its place)"
    assert told(pipe) == expected


def test_a_pipe_of_the_shell_is_read_to_its_end() -> None:
    """`--config.file <(make-sites)` in bash."""
    out, into = os.pipe()
    os.write(into, b"sites: []\n")
    os.close(into)
    try:
        assert read_yaml(Path(f"/proc/self/fd/{out}"), "sites.yml") == {"sites": []}
    finally:
        os.close(out)


@pytest.mark.parametrize("kind", ["folder", "loop", "pipe"])
def test_what_is_no_file_is_told_with_its_mend(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "sites.yml"
    match kind:
        case "folder":
            place.mkdir()
        case "loop":
            place.symlink_to(place)
        case _:
            os.mkfifo(place)
    said = told(place)
    mend = "(look at its name and folder)" if kind == "loop" else "(put a file in its place)"
    assert said.startswith("sites.yml: cannot be read: ")
    assert said.endswith(mend)


def test_a_dotenv_file_that_is_a_pipe_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".env")
    script = "from core.environment import env_file; env_file(Path(sys.argv[1]))"
    run = [sys.executable, "-c", f"import sys; from pathlib import Path; {script}", str(tmp_path / ".env")]
    done = subprocess.run(run, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert "cannot read this file: a pipe that nobody writes into" in done.stderr


def test_a_dotenv_file_of_windows_is_read(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"\xef\xbb\xbfA=one\r\nB='two'\r\n")
    assert env_file(file) == {"A": "one", "B": "two"}


def test_a_file_that_becomes_a_folder_or_a_pipe_or_nothing_has_changed_each_time(tmp_path: Path) -> None:
    file = tmp_path / "sites.yml"
    file.write_text("one")
    watch = (
        "import sys\nfrom pathlib import Path\nfrom core.files_watch import FileWatcher\n"
        "watcher = FileWatcher([Path(sys.argv[1])])\n"
        "for _ in sys.stdin:\n    print(watcher.changed(), flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", watch, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    into, out = process.stdin, process.stdout
    assert into is not None
    assert out is not None

    def changed() -> bool:
        into.write(b"\n")
        into.flush()
        ready, _, _ = select([out], [], [], _SECONDS)
        assert ready, "it waits for somebody to write into the pipe"
        return out.readline() == b"True\n"

    try:
        assert not changed()
        for become in (file.mkdir, lambda: None, partial(os.mkfifo, file), partial(file.write_text, "two")):
            file.rmdir() if file.is_dir() else file.unlink(missing_ok=True)
            become()
            assert changed()
        assert not changed()
    finally:
        process.kill()
        process.communicate()


def test_a_file_that_could_not_be_read_has_changed_once_it_can_be() -> None:
    """Written as root, for example: its owner mends the mode, and neither time nor size move."""
    with TemporaryDirectory() as folder, _nobody(Path(folder)):
        file = Path(folder) / "sites.yml"
        file.write_text("one")
        file.chmod(0)
        watcher = FileWatcher([file])
        assert not watcher.changed()
        file.chmod(0o600)
        assert watcher.changed()
        assert not watcher.changed()


def test_a_file_that_cannot_be_read_says_so() -> None:
    with TemporaryDirectory() as folder, _nobody(Path(folder)):
        file = Path(folder) / "sites.yml"
        file.write_text("sites: []")
        file.chmod(0)
        with pytest.raises(ConfigError, match=r"Permission denied \(check its permissions\)"):
            read_yaml(file, "sites.yml")


@contextmanager
def _nobody(folder: Path) -> Iterator[None]:
    """Be a user who may not read everything, and owns the folder."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(folder, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
