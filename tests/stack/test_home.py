import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stack.errors import StackError
from stack.home import Home, Running, following, locate, only_one, read_running, write_running

ROOT = Path(__file__).resolve().parents[2]


def test_a_folder_with_a_sites_file_is_a_real_stack(tmp_path):
    (tmp_path / "sites.yml").touch()
    assert locate(tmp_path) == Home(tmp_path, demo=False)


def test_an_empty_folder_is_the_demo_and_keeps_below_data_demo(tmp_path):
    home = locate(tmp_path)
    assert home.demo
    assert home.data == tmp_path / "data" / "demo"
    assert home.sites_file == tmp_path / "data" / "demo" / "sites.yml"


def test_what_a_demo_left_is_no_state(tmp_path):
    (tmp_path / "data" / "demo" / "prometheus").mkdir(parents=True)
    assert locate(tmp_path).demo


def test_state_without_a_sites_file_never_starts_the_demo(tmp_path):
    (tmp_path / "data" / "prometheus").mkdir(parents=True)
    with pytest.raises(StackError, match=r"has state \(data/prometheus\) and no sites.yml"):
        locate(tmp_path)


def test_a_second_start_in_a_folder_is_refused_with_the_pid_of_the_first(tmp_path):
    script = (
        "import sys; from pathlib import Path; from stack.home import *\n"
        "with only_one(locate(Path(sys.argv[1]))): print('held', flush=True); sys.stdin.read()"
    )
    first = subprocess.Popen(
        (sys.executable, "-c", script, tmp_path),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with first:
        assert first.stdout.readline() == b"held\n"
        with (
            pytest.raises(StackError, match=rf"already running in .*\(pid {first.pid}\)"),
            only_one(locate(tmp_path)),
        ):
            pass
        first.stdin.close()
    with only_one(locate(tmp_path)):
        pass


def test_what_runs_is_read_back_and_forgotten_when_its_process_is_gone(tmp_path):
    home = locate(tmp_path)
    home.data.mkdir(parents=True)
    assert read_running(home) is None
    running = Running(demo=True, pid=os.getpid(), started=1.5, urls={"site": "http://127.0.0.1:1"})
    write_running(home, running)
    assert read_running(home) == running
    with subprocess.Popen((sys.executable, "-c", "")) as gone:
        pass
    write_running(home, Running(demo=True, pid=gone.pid, started=1.5, urls={}))
    assert read_running(home) is None


def test_what_runs_is_written_again_once_a_sick_disk_takes_it_and_told_of_once(tmp_path):
    home, said, pids, sick = Home(tmp_path, demo=False), [], {"exporter": 1}, True
    written = []

    def write():
        if sick:
            raise OSError(errno.EROFS, "Read-only file system")
        written.append(dict(pids))

    follow = following(home, said.append, lambda: dict(pids), write)
    follow()
    assert (said, written) == ([], [])
    pids["exporter"] = 2
    follow()
    follow()
    assert said == [
        f"{home.run_file} cannot be written: Read-only file system. It is tried again; all runs on"
    ]
    sick = False
    follow()
    follow()
    assert written == [{"exporter": 2}]
