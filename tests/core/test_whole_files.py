import errno
import subprocess
import sys
from pathlib import Path

import pytest

from core.files import told, write_first, write_whole

ROOT = Path(__file__).resolve().parents[2]


def test_a_file_is_written_anew_with_its_mode(tmp_path: Path):
    path = tmp_path / "state"
    path.write_text("of before, and longer")
    path.chmod(0o644)
    assert write_whole(path, "günstig\n", 0o600) == path
    assert (path.read_text("utf-8"), path.stat().st_mode & 0o777) == ("günstig\n", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_whoever_reads_meanwhile_keeps_the_whole_old_one(tmp_path: Path):
    path = tmp_path / "state"
    write_whole(path, "old")
    with path.open() as reader:
        write_whole(path, "new")
        assert (reader.read(), path.read_text()) == ("old", "new")


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    path = tmp_path / "state"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half of it, then what no file can hold: \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_of_two_that_write_first_the_first_ones_stays(tmp_path: Path):
    path = tmp_path / "key"
    write_first(path, "first\n")
    write_first(path, "second\n")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("first\n", 0o600)
    assert list(tmp_path.iterdir()) == [path]


OUT_OF_INODES = """
import errno
from pathlib import Path
from core.files import unwritable, write_whole
try:
    write_whole(Path("full/one"), "x")
except OSError as error:
    print(unwritable(error, Path("full/one")))
print(unwritable(OSError(errno.ENOSPC, "full"), Path("one")))
"""


@pytest.mark.needs("unshare", "mount")
def test_a_file_system_out_of_inodes_is_not_called_full(tmp_path: Path):
    if subprocess.run(("unshare", "-rm", "true"), capture_output=True, check=False).returncode:
        pytest.skip("no namespaces for mounts here")
    (tmp_path / "full").mkdir()
    steps = f'mount -t tmpfs -o nr_inodes=1 none full && PYTHONPATH={ROOT} {sys.executable} -c "$1"'
    command = ("unshare", "-rm", "sh", "-c", steps, "sh", OUT_OF_INODES)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.splitlines() == [
        "its file system has no inode left for another file (df -i): too many files, not too much in them",
        "full",
    ], done.stderr


def test_the_file_of_an_error_is_told_and_why():
    error = OSError(errno.EROFS, "Read-only file system", "/etc/one")
    assert told(error, Path("/etc")) == "/etc/one cannot be written: Read-only file system"
    assert told(OSError(errno.EROFS, "Read-only"), Path("/etc")) == "/etc cannot be written: Read-only"


def test_what_is_no_disks_fault_is_told_in_its_own_words(tmp_path: Path) -> None:
    program = "/usr/bin/promtool"
    gone = FileNotFoundError(errno.ENOENT, "No such file or directory", program)
    assert told(gone, tmp_path) == f"[Errno 2] No such file or directory: '{program}'"
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    assert told(refused, tmp_path) == "[Errno 111] Connection refused"
    assert told(TimeoutError("timed out"), tmp_path) == "timed out"


def test_every_fault_of_a_disk_names_the_file_that_cannot_be_written(tmp_path: Path) -> None:
    for number in ("ENOSPC", "EDQUOT", "EROFS", "EIO", "EACCES", "EPERM", "EEXIST", "ENOTDIR", "EISDIR"):
        error = OSError(getattr(errno, number), "why")
        assert told(error, tmp_path) == f"{tmp_path} cannot be written: why", number
