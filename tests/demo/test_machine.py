"""The demo's server: a real sshd, a docker command, faults, power."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import paramiko
import pytest
import requests

from demo.keeper import descendants
from tests.demo.parts import ROOT, RunningMachine, running_machine
from tests.ports import free_port
from tests.waiting import until

pytestmark = pytest.mark.needs("sshd")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMachine]:
    with running_machine(tmp_path_factory.mktemp("demo") / "a machine") as machine:
        yield machine


@pytest.fixture
def machine(started: RunningMachine) -> RunningMachine:
    assert started.order("/mend").ok
    until(lambda: started.site().ok, 20, "the site")
    return started


def connect(machine: RunningMachine, patience: float = 5) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    client.load_host_keys(str(machine.folder / "keys" / "known_hosts"))
    user = machine.state()["ssh"]["user"]  # type: ignore[index]
    try:
        client.connect(
            "127.0.0.1",
            machine.ssh_port,
            user,
            key_filename=str(machine.folder / "keys" / "medic"),
            allow_agent=False,
            look_for_keys=False,
            timeout=patience,
            banner_timeout=patience,
            auth_timeout=patience,
        )
    except BaseException:
        client.close()
        raise
    return client


def run(machine: RunningMachine, command: str) -> tuple[int, str, str]:
    with closing(connect(machine)) as client:
        _, stdout, stderr = client.exec_command(command, timeout=10)
        out, err = stdout.read().decode(), stderr.read().decode()
        return stdout.channel.recv_exit_status(), out, err


def test_its_ssh_server_has_the_host_key_that_is_pinned_and_lets_the_medic_in(
    machine: RunningMachine,
) -> None:
    assert run(machine, "echo hello; exit 3") == (3, "hello\n", "")


def test_nobody_gets_in_with_another_key(machine: RunningMachine) -> None:
    stranger = paramiko.ECDSAKey.generate()
    client = paramiko.SSHClient()
    client.load_host_keys(str(machine.folder / "keys" / "known_hosts"))
    user = machine.state()["ssh"]["user"]  # type: ignore[index]
    with closing(client), pytest.raises(paramiko.AuthenticationException):
        client.connect(
            "127.0.0.1", machine.ssh_port, user, pkey=stranger, allow_agent=False, look_for_keys=False
        )


def test_docker_over_ssh_shows_the_container_in_dockers_shape(machine: RunningMachine) -> None:
    status, out, _ = run(machine, "docker inspect demo-shop")
    [record] = json.loads(out)
    assert status == 0
    assert record["Name"] == "/demo-shop"
    assert record["State"]["Status"] == "running"
    assert record["State"]["Pid"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", record["State"]["StartedAt"])


def test_docker_of_an_unknown_container_fails_as_docker_does(machine: RunningMachine) -> None:
    assert run(machine, "docker inspect nope") == (1, "[]\n", "Error: No such object: nope\n")
    status, _, error = run(machine, "docker restart nope")
    assert (status, error) == (1, "Error response from daemon: No such container: nope\n")


@pytest.mark.parametrize(("kind", "status"), [("bad-response", 500), ("wrong-content", 200)])
def test_a_docker_restart_heals_a_site_that_answers_wrongly(
    machine: RunningMachine, kind: str, status: int
) -> None:
    before = machine.state()["container"]["started_at"]  # type: ignore[index]
    assert machine.order("/break", {"kind": kind}).ok
    broken = until(lambda: [one] if "Welcome" not in (one := machine.site()).text else [], 5, "the fault")[0]
    assert broken.status_code == status
    assert machine.state()["fault"] == kind
    assert run(machine, "docker restart -t 3 demo-shop")[:2] == (0, "demo-shop\n")
    until(lambda: "Welcome to the demo shop" in machine.site().text, 20, "the shop")
    assert machine.state()["fault"] is None
    assert machine.state()["container"]["started_at"] > before  # type: ignore[index]


def test_a_slow_site_answers_rightly_and_late(machine: RunningMachine) -> None:
    assert machine.order("/break", {"kind": "slow"}).ok
    slow = until(lambda: [one] if (one := machine.site()).elapsed.total_seconds() > 0.35 else [], 5, "slow")[
        0
    ]
    assert slow.ok
    assert "Welcome" in slow.text


def test_a_dead_site_refuses_and_docker_start_brings_it_back(machine: RunningMachine) -> None:
    assert machine.order("/break", {"kind": "die"}).ok
    status, out, _ = until(
        lambda: (
            (seen := run(machine, "docker inspect --format '{{json .State}}' demo-shop"))
            and '"exited"' in seen[1]
            and seen
        ),
        5,
        "its death",
    )
    assert (status, json.loads(out)["ExitCode"]) == (0, 1)
    assert "out of memory" in run(machine, "docker logs --tail 5 demo-shop")[2]
    with pytest.raises(requests.ConnectionError):
        machine.site()
    assert run(machine, "docker start demo-shop")[0] == 0
    until(lambda: machine.site().ok, 20, "the shop")


def test_an_unreachable_server_answers_neither_http_nor_ssh_until_it_is_rebooted(
    machine: RunningMachine,
) -> None:
    assert machine.order("/break", {"kind": "unreachable"}).ok
    with pytest.raises(requests.Timeout):
        machine.site(timeout=0.3)
    with pytest.raises((paramiko.SSHException, OSError)):
        connect(machine, patience=0.3)
    assert machine.state()["power"] == "hung"
    answer = machine.order("/power", {"action": "reboot"})
    assert answer.json()["power"] == "booting"
    until(lambda: run(machine, "true")[0] == 0, 10, "SSH after the boot")
    assert "Exited (255)" in run(machine, "docker ps -a --filter name=demo-shop")[1]
    with pytest.raises(requests.ConnectionError):
        machine.site()
    assert run(machine, "docker start demo-shop")[0] == 0
    until(lambda: "Welcome" in machine.site().text, 20, "the shop")


def test_a_machine_that_was_shut_down_stays_off_until_it_is_booted(machine: RunningMachine) -> None:
    assert machine.order("/power", {"action": "shutdown"}).json()["power"] == "off"
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", machine.ssh_port), 1)
    assert machine.order("/power", {"action": "boot"}).ok
    until(lambda: machine.state()["power"] == "running", 10, "the boot")
    assert machine.state()["container"]["status"] == "exited"  # type: ignore[index]


def test_mending_brings_a_hung_server_and_its_site_back(machine: RunningMachine) -> None:
    assert machine.order("/break", {"kind": "unreachable"}).ok
    assert machine.order("/mend").ok
    until(lambda: machine.site().ok, 20, "the shop")
    assert run(machine, "true")[0] == 0


def test_what_is_broken_cannot_be_broken_again_while_it_hangs(machine: RunningMachine) -> None:
    assert machine.order("/break", {"kind": "unreachable"}).ok
    again = machine.order("/break", {"kind": "slow"})
    assert again.status_code == 409
    assert "mend it first" in again.json()["error"]


def test_its_control_wants_the_token(machine: RunningMachine) -> None:
    for path in ("/break", "/mend", "/power", "/docker"):
        assert requests.post(f"{machine.control}{path}", json={}, timeout=5).status_code == 401
    assert (machine.folder / "control.token").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("path", "body"),
    [("/break", {"kind": "x"}), ("/break", []), ("/power", {"action": "x"}), ("/docker", {"argv": "ps"})],
)
def test_an_order_that_makes_no_sense_is_refused(machine: RunningMachine, path: str, body: object) -> None:
    answer = machine.order(path, body)
    assert answer.status_code in (400, 409)
    assert answer.json()["error"]


def test_its_key_is_its_users_alone_unless_the_group_is_let_in(
    machine: RunningMachine, tmp_path: Path
) -> None:
    def modes(folder: Path) -> list[int]:
        names = ("", "keys", "keys/medic", "keys/known_hosts", "control.token", "ssh/host_ed25519_key")
        return [(folder / name).stat().st_mode & 0o777 for name in names]

    assert modes(machine.folder) == [0o700, 0o700, 0o600, 0o600, 0o600, 0o600]
    with running_machine(tmp_path / "shared", "--group-reads-key") as shared:
        assert modes(shared.folder) == [0o710, 0o710, 0o640, 0o640, 0o600, 0o600]
        assert run(shared, "echo hello")[1] == "hello\n"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_however_it_ends_nothing_of_it_is_left(tmp_path: Path, how: signal.Signals) -> None:
    with running_machine(tmp_path) as machine, closing(connect(machine)) as client:
        session = client.exec_command("sleep 300")  # kept: without it paramiko ends the command
        below = until(lambda: _with_sleep(machine.process.pid), 5, "the session's command")
        assert not session[1].channel.exit_status_ready()
        machine.process.send_signal(how)
        machine.process.wait(10)
        until(lambda: not [pid for pid in below if _alive(pid)], 5, "everything below to be gone")


def test_a_hung_machine_that_is_killed_leaves_nothing_either(tmp_path: Path) -> None:
    with running_machine(tmp_path) as machine:
        below = descendants(machine.process.pid)
        assert machine.order("/break", {"kind": "unreachable"}).ok
        machine.process.kill()
        machine.process.wait(10)
        until(lambda: not [pid for pid in below if _alive(pid)], 5, "everything below to be gone")


def test_a_taken_port_is_told_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        argv = ["--ssh-port", port, "--site-port", free_port(), "--control-port", free_port()]
        ended = subprocess.run(
            [sys.executable, "-m", "demo", "machine", "--dir", str(tmp_path), *map(str, argv)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert ended.returncode == 1
    assert f"port {port}" in ended.stderr
    assert "choose another port" in ended.stderr
    assert "Traceback" not in ended.stderr


def _with_sleep(pid: int) -> list[int]:
    below = descendants(pid)
    return below if any(_command(one) == "sleep 300" for one in below) else []


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").replace("\0", " ")
    except OSError:
        return ""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
