"""The actions against the demo's own server and Linode API: what `./sitemedic demo` relies on."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.secrets import Secret
from core.servers import connect
from core.servers.server import Server, SshSettings
from demo.linode_api import machine_power
from remediator.actions import ACTIONS
from remediator.model.action import Progress, Step, Target, World
from remediator.on_server import evidence
from tests.demo.parts import RunningMachine, running_machine
from tests.linode_fake import LINODE, running_linode_api
from tests.waiting import until

pytestmark = pytest.mark.needs("sshd")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMachine]:
    with running_machine(tmp_path_factory.mktemp("machine")) as machine:
        yield machine


@pytest.fixture
def target(machine: RunningMachine) -> Target:
    state: Any = machine.state()
    ssh = state["ssh"]
    settings = SshSettings(
        ssh["host"], ssh["port"], ssh["user"], Path(ssh["key_file"]), Path(ssh["known_hosts_file"])
    )
    server = Server("demo", settings, LINODE, may_reboot=True)
    return Target("shop", server, container=state["container"]["name"], stop_timeout=3)


def healed(name: str, target: Target, world: World) -> Step:
    action = ACTIONS[name]
    marks = action.act(target, action.prepare(target, world), world)
    step = until(
        lambda: (found := action.settle(target, marks, world)).progress is not Progress.WAIT and found,
        30,
        "the action to settle",
    )
    assert isinstance(step, Step)
    return step


def test_a_restart_mends_a_bad_response(machine: RunningMachine, target: Target) -> None:
    world = World(connect, None, time.time)
    assert machine.order("/break", {"kind": "bad-response"}).ok
    found = evidence.gather(target, world)
    assert (found.ssh, found.container is not None, found.problems) == ("ok", True, ())
    assert healed("restart_container", target, world).progress is Progress.DONE
    assert machine.site().ok


def test_a_reboot_mends_an_unreachable_server(machine: RunningMachine, target: Target) -> None:
    token = Secret((machine.folder / "control.token").read_text().strip())
    with running_linode_api(machine_power(machine.control, token)) as fake:
        world = World(connect, fake.client(), time.time)
        assert machine.order("/break", {"kind": "unreachable"}).ok
        step = healed("reboot_linode", target, world)
        assert step.progress is Progress.DONE, step
        assert fake.faults.posts == 1
    until(lambda: machine.site().ok, 20, "the shop to answer")
