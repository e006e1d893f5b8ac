"""An exporter whose disk has no inode left or is read-only: it probes, listens and says what to mend."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exporter.running import Exporter, exporter
from tests.waiting import until

pytestmark = [pytest.mark.full, pytest.mark.needs("mount")]

TOKEN = "a-token-of-its-own-0123"
SITES = {
    "sites": [
        {"name": "down", "url": "tcp://127.0.0.1:1", "interval": "1s"},
        {"name": "job", "url": "heartbeat://job", "every": "1h", "token_file": "token"},
    ]
}
KEPT_AGAIN = "heartbeats are kept again"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "token").write_text(TOKEN)
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ("mount", "-t", "tmpfs", "-o", "nr_inodes=20,size=20m", "tmpfs", str(folder))
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(("umount", "-l", str(folder)), check=False)


def filled(disk: Path) -> list[Path]:
    """Take every inode; return the files that did."""
    made: list[Path] = []
    while True:
        one = disk / f"fill-{len(made)}"
        try:
            one.touch()
        except OSError:
            return made
        made.append(one)


def remount(disk: Path, how: str) -> None:
    subprocess.run(("mount", "-o", f"remount,{how}", str(disk)), check=True)


def waits_for(running: Exporter, words: str) -> None:
    until(lambda: words in running.said(), 30, words)


def test_without_an_inode_it_says_so_and_keeps_again_what_it_can_once_there_is_one(disk: Path) -> None:
    results, folder = disk / "results", disk / "state"
    flags = (f"--results.file={results}", f"--storage.path={folder}")
    with exporter(disk.parent, SITES, *flags) as running:
        until(results.exists, 30, "the first line")
        folder.mkdir(exist_ok=True)
        taken = filled(disk)
        assert running.get(f"/heartbeat/{TOKEN}").status_code == 200
        results.rename(disk / "results.1")
        waits_for(running, "results file cannot be written; probing goes on")
        waits_for(running, "heartbeats cannot be kept; a restart would forget them")
        assert running.said().count("no inode left for another file (df -i)") == 2
        for one in taken:
            one.unlink()
        waits_for(running, "results file takes lines again")
        running.get(f"/heartbeat/{TOKEN}")
        waits_for(running, KEPT_AGAIN)
    assert results.stat().st_size > 0
    assert (folder / "heartbeats.json").stat().st_size > 0


def test_read_only_at_its_start_or_later_it_listens_on_and_keeps_again_what_it_can(disk: Path) -> None:
    remount(disk, "ro")
    with exporter(disk.parent, SITES, f"--storage.path={disk}/state") as running:
        assert running.get(f"/heartbeat/{TOKEN}").status_code == 200
        waits_for(running, "Read-only file system")
        remount(disk, "rw")
        running.get(f"/heartbeat/{TOKEN}")
        waits_for(running, KEPT_AGAIN)
        remount(disk, "ro")
        running.get(f"/heartbeat/{TOKEN}")
        until(lambda: running.said().count("heartbeats cannot be kept") == 2, 30, "it to be told anew")
        assert running.site("job")["success"] is True
        remount(disk, "rw")
