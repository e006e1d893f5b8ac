import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stack.errors import StackError
from stack.supervise import Service, Supervisor, keep_small
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def said():
    return []


@pytest.fixture
def supervisor(said):
    supervisor = Supervisor(said.append, threading.Event())
    yield supervisor
    supervisor.kill()
    supervisor.stop()


def service(tmp_path, name, script, healthy=lambda: True, **more):
    log = tmp_path / "logs" / f"{name}.log"
    return Service(name, (sys.executable, "-c", script), os.environ, tmp_path, log, healthy, **more)


def sleeper(tmp_path, name, **more):
    return service(tmp_path, name, "import time; time.sleep(60)", **more)


def noting_stop(tmp_path, name):
    """Make a service that writes its name to `order` when it is told to stop."""
    script = (
        "import signal, sys, time\n"
        f"def stop(*_): open('order', 'a').write('{name} '); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        f"open('{name}.ready', 'w')\n"
        "time.sleep(60)"
    )
    return service(tmp_path, name, script, healthy=(tmp_path / f"{name}.ready").exists)


def running(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_waits_until_a_service_is_healthy(supervisor, tmp_path):
    script = "import time; time.sleep(0.3); open('up', 'w'); time.sleep(60)"
    supervisor.start(service(tmp_path, "web", script, healthy=(tmp_path / "up").exists))
    assert (tmp_path / "up").exists()


def test_a_service_that_ends_at_its_start_is_told_with_its_last_words(supervisor, tmp_path):
    broken = service(tmp_path, "web", "import sys; sys.exit('no such table')", healthy=lambda: False)
    with pytest.raises(StackError, match=r"web ended at its start \(exit status 1\):\n  no such table"):
        supervisor.start(broken)


def test_a_service_that_is_never_healthy_is_told_after_its_patience(supervisor, tmp_path):
    with pytest.raises(StackError, match=r"web is not healthy after 0.2 s"):
        supervisor.start(sleeper(tmp_path, "web", healthy=lambda: False, patience=0.2))


def test_a_program_that_is_not_there_is_told(supervisor, tmp_path):
    lost = Service("web", ("/nowhere/web",), {}, tmp_path, tmp_path / "web.log", lambda: True)
    with pytest.raises(StackError, match="web cannot be started"):
        supervisor.start(lost)


def test_a_service_that_dies_is_started_again(supervisor, tmp_path, said):
    supervisor.start(sleeper(tmp_path, "web"))
    first = supervisor.pids()["web"]
    os.kill(first, signal.SIGKILL)

    def again():
        supervisor.tend()
        return supervisor.pids()["web"] != first

    until(again, 5, "the second start")
    assert said[0].startswith("web died (signal 9); starting again in 1 s")
    assert said[-1] == "web started again"


def test_a_service_that_dies_is_started_again_without_a_log_that_a_sick_disk_refuses(
    supervisor, tmp_path, said
):
    one = sleeper(tmp_path, "exporter")
    supervisor.start(one)
    pid = supervisor.pids()["exporter"]
    one.log.unlink()
    one.log.mkdir()
    os.kill(pid, signal.SIGKILL)

    def back():
        supervisor.tend()
        now = supervisor.pids()["exporter"]
        return now != pid and running(now)

    until(back, 20, "the next start")
    assert f"{one.log} cannot be written: Is a directory. Without it exporter goes on, until it is" in said[1]


def test_a_log_that_finds_no_room_to_be_moved_stays(tmp_path):
    log = tmp_path / "one.log"
    log.write_text("0123456789")
    (tmp_path / "one.log.1").mkdir()
    keep_small(log, limit=5)
    assert log.read_text() == "0123456789"


def test_the_pause_before_a_start_grows_with_each_death(supervisor, tmp_path, said, monkeypatch):
    monkeypatch.setattr("stack.supervise._BACKOFF", (0.0, 0.1, 0.2))
    supervisor.start(service(tmp_path, "web", "import time; time.sleep(0.05)"))

    def three_deaths():
        supervisor.tend()
        return [line for line in said if "died" in line][2:]

    until(three_deaths, 10, "three deaths")
    assert [line.split(" in ")[1].split(".  ")[0].split(" s")[0] for line in said if "died" in line][:3] == [
        "0",
        "0.1",
        "0.2",
    ]


def test_services_stop_in_the_reverse_order_of_their_start(supervisor, tmp_path):
    for name in ("first", "second", "third"):
        supervisor.start(noting_stop(tmp_path, name))
    supervisor.stop()
    assert (tmp_path / "order").read_text() == "third second first "


def test_a_service_that_ignores_term_is_killed_after_its_time(supervisor, tmp_path, said):
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('up', 'w'); time.sleep(60)"
    )
    deaf = service(tmp_path, "deaf", script, healthy=(tmp_path / "up").exists, stops_within=0.2)
    supervisor.start(deaf)
    pid = supervisor.pids()["deaf"]
    supervisor.stop()
    assert not running(pid)
    assert said == ["deaf did not stop in time: killed"]


def test_stopping_takes_a_services_children_along(supervisor, tmp_path):
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open('child', 'w').write(str(child.pid)); time.sleep(60)"
    )
    child = tmp_path / "child"
    supervisor.start(service(tmp_path, "web", script, healthy=lambda: child.exists() and child.read_text()))
    supervisor.stop()
    until(lambda: not running(int(child.read_text())), 5, "the child's end")


def test_replacing_a_service_starts_it_with_its_new_settings(supervisor, tmp_path):
    supervisor.start(sleeper(tmp_path, "web"))
    first = supervisor.pids()["web"]
    supervisor.replace(service(tmp_path, "web", "open('new', 'w'); import time; time.sleep(60)"))
    until((tmp_path / "new").exists, 5, "the new service")
    assert not running(first)


def test_a_log_past_its_limit_is_moved_while_its_writer_goes_on(tmp_path):
    log = tmp_path / "web.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old" * 10)
        keep_small(log, limit=10)
        writer.write(b"new")
    assert log.read_bytes() == b"new"
    assert (tmp_path / "web.log.1").read_bytes() == b"old" * 10


GUARDED = """
import os, subprocess, sys, time
from pathlib import Path
from stack.processes import guarded, start, unblock_signals
import signal
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
# a service that starts a child of its own in another session, as sshd does
SERVICE = [sys.executable, "-c", '''
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print("grandchild", child.pid, flush=True)
time.sleep(60)
''']
def work():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    unblock_signals()
    process = start(SERVICE, os.environ, Path("."), Path("service.log"))
    print(os.getpid(), process.pid, flush=True)
    time.sleep(60)
    return 0
sys.exit(guarded(work))
"""


@pytest.fixture
def stack(tmp_path):
    """Run GUARDED; give the outer process and the pids inside: inner, service, grandchild."""
    outer = subprocess.Popen(
        (sys.executable, "-c", GUARDED),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with outer:
        inner, process = map(int, outer.stdout.readline().split())
        log = tmp_path / "service.log"
        line = until(lambda: log.exists() and log.read_text().split("grandchild ")[1:], 10, "the grandchild")
        yield outer, (inner, process, int(line[0]))
        outer.kill()


@pytest.mark.parametrize("victim", ["outer", "inner"])
def test_a_kill_leaves_no_process_behind(stack, victim):
    outer, inside = stack
    os.kill(outer.pid if victim == "outer" else inside[0], signal.SIGKILL)
    until(lambda: not any(map(running, inside)), 5, f"the end of {inside}")


def test_a_term_is_passed_on_and_the_inner_status_comes_back(stack):
    outer, inside = stack
    outer.send_signal(signal.SIGTERM)
    assert outer.wait(10) == 7
    assert not any(map(running, inside))


EARLY = """
import os, signal, sys, time
from stack.processes import guarded, unblock_signals
def work():
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(0.3)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
    unblock_signals()
    time.sleep(60)
sys.exit(guarded(work))
"""


def test_signals_that_come_early_are_not_lost(tmp_path):
    begun = time.monotonic()
    done = subprocess.run(
        (sys.executable, "-c", EARLY), env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False, timeout=90
    )
    assert done.returncode == 9
    assert time.monotonic() - begun < 50


NOHUP = """
import os, signal, sys, time
from stack.processes import guarded, handle_stops, unblock_signals
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
def work():
    handle_stops(lambda *_: sys.exit(9))
    unblock_signals()
    os.kill(os.getppid(), signal.SIGHUP)
    time.sleep(0.3)
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(60)
sys.exit(guarded(work))
"""


def test_a_hangup_that_nohup_ignores_stays_ignored_and_an_interrupt_does_not():
    begun = time.monotonic()
    done = subprocess.run(
        (sys.executable, "-c", NOHUP), env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False, timeout=90
    )
    assert done.returncode == 9
    assert 0.3 < time.monotonic() - begun < 50
