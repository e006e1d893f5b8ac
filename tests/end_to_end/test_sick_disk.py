"""`./sitemedic up` on a disk without an inode left: everything runs on, and what waited is done later."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from stack.home import Home, read_running
from tests.end_to_end.stack import up
from tests.waiting import until

pytestmark = [pytest.mark.full, pytest.mark.needs("mount", "prometheus", "prometheus-alertmanager")]

SITES = 'sites: [{name: NAME, url: "http://127.0.0.1:1/", interval: 2s}]\n'


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ("mount", "-t", "tmpfs", "-o", "nr_inodes=500,size=300m", "tmpfs", str(folder))
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(("umount", "-l", str(folder)), check=False)


def filled(folder: Path) -> list[Path]:
    made: list[Path] = []
    (folder / "fill").mkdir()
    while True:
        one = folder / "fill" / str(len(made))
        try:
            one.touch()
        except OSError:
            return made
        made.append(one)


def test_a_disk_without_an_inode_left_ends_nothing_and_what_waited_for_it_is_done_afterwards(disk: Path):
    (disk / "sites.yml").write_text(SITES.replace("NAME", "before"))
    with up(disk) as running:
        before = read_running(Home(disk, demo=False))
        assert before is not None
        taken = filled(disk)
        os.kill(before.pids["exporter"], signal.SIGKILL)
        until(lambda: "run.json cannot be written" in running.said, 60, "the sick disk to be told of")
        until(lambda: requests.get(f"{running.url('exporter')}/-/ready", timeout=2).ok, 60, "the exporter")
        (disk / "sites.yml").write_text(SITES.replace("NAME", "after"))
        until(lambda: "The changed configuration is not used yet" in running.said, 60, "the change to wait")
        assert "no inode left" in running.said
        assert running.process.poll() is None
        os.kill(before.pids["alertmanager"], 0)
        for one in taken:
            one.unlink()
        until(lambda: "The changed configuration is in use" in running.said, 60, "the change")

        def noted() -> bool:
            now = read_running(Home(disk, demo=False))
            return now is not None and now.pids["exporter"] != before.pids["exporter"]

        until(noted, 60, "run.json to be written anew")
        assert running.interrupt() == 0
