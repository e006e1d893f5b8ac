"""`boot_linode` against the fake Linode API, and a server that really is off and comes up."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.servers import connect
from core.servers.server import ActionError, Reason, Server, SshSettings
from remediator.actions import ACTIONS
from remediator.model.action import Marks, Progress, Step, Target, World
from tests.linode_fake import LINODE, FakeLinode, running_linode_api
from tests.remediator import acting
from tests.remediator.machine import Machine
from tests.ssh_server import running_ssh_server
from tests.waiting import until

ACTION = ACTIONS["boot_linode"]
SERVER = Server("web-1", SshSettings("198.51.100.1"), linode=LINODE, may_boot=True)
TARGET = Target("shop", SERVER, container="nginx")


@pytest.fixture
def machine() -> Machine:
    return Machine(status="exited")


@pytest.fixture
def fake(machine: Machine) -> Iterator[FakeLinode]:
    with running_linode_api(machine.power) as fake:
        fake.account.set_status(LINODE, "offline")
        yield fake


@pytest.fixture
def world(fake: FakeLinode, machine: Machine) -> World:
    return World(machine.connect, fake.client(patience=0.5), time.time)


def settled(marks: Marks, world: World) -> Step:
    return acting.settled(ACTION, TARGET, marks, world, 20)


def later(world: World, seconds: float) -> World:
    return replace(world, now=lambda: time.time() + seconds)


def test_a_boot_waits_for_its_event_and_starts_the_container(
    fake: FakeLinode, machine: Machine, world: World
) -> None:
    marks = ACTION.prepare(TARGET, world)
    assert json.loads(json.dumps(marks)) == marks
    marks = ACTION.act(TARGET, marks, world)
    first = ACTION.settle(TARGET, marks, world)
    assert (first.progress, "booting" in first.detail) == (Progress.WAIT, True)
    step = settled(marks, world)
    assert (step.progress, step.detail) == (Progress.DONE, "booted; SSH answers; nginx runs")
    assert ["docker", "start", "nginx"] in machine.commands
    assert (fake.faults.posts, fake.faults.accepted) == (1, 1)


def test_what_docker_starts_by_itself_is_not_started_again(machine: Machine, world: World) -> None:
    marks = ACTION.act(TARGET, ACTION.prepare(TARGET, world), world)
    machine.up = False
    until(lambda: "no SSH" in ACTION.settle(TARGET, marks, world).detail, 10, "the event to be over")
    machine.up, machine.status = True, "running"
    assert settled(marks, world).progress is Progress.DONE
    assert [one for one in machine.commands if one[1] == "start"] == []


@pytest.mark.parametrize("fault", ["busy", "429", "html400"])
def test_a_refused_boot_has_not_happened(fake: FakeLinode, world: World, fault: str) -> None:
    marks = ACTION.prepare(TARGET, world)
    fake.faults.order(fault, on="boot", seconds=5)
    with pytest.raises(ActionError) as caught:
        ACTION.act(TARGET, marks, world)
    assert caught.value.reason is not Reason.UNKNOWN
    assert ACTION.happened(TARGET, marks, later(world, 61)) is False
    assert (fake.faults.posts, fake.faults.accepted) == (1, 0)


@pytest.mark.parametrize("fault", ["drop", "hang", "500", "408"])
def test_an_unknown_outcome_is_read_from_the_events_and_not_asked_for_again(
    fake: FakeLinode, world: World, fault: str
) -> None:
    marks = ACTION.prepare(TARGET, world)
    fake.faults.order(fault, on="boot", times=1, seconds=1, accept=True)
    with pytest.raises(ActionError) as caught:
        ACTION.act(TARGET, marks, world)
    assert (caught.value.reason, caught.value.permanent) == (Reason.UNKNOWN, False)
    assert ACTION.happened(TARGET, marks, world) is True
    assert settled(marks, world).progress is Progress.DONE
    assert (fake.faults.posts, fake.faults.accepted) == (1, 1)


def test_what_was_never_accepted_is_told_after_a_while(fake: FakeLinode, world: World) -> None:
    marks = ACTION.prepare(TARGET, world)
    fake.faults.order("drop_before", on="boot", times=1)
    with pytest.raises(ActionError) as caught:
        ACTION.act(TARGET, marks, world)
    assert caught.value.reason is Reason.UNKNOWN
    assert ACTION.happened(TARGET, marks, world) is None
    assert ACTION.happened(TARGET, marks, later(world, 61)) is False
    assert (fake.faults.posts, fake.faults.accepted) == (1, 0)


@pytest.mark.parametrize(
    ("fault", "reason"), [("fail", Reason.LINODE_ERROR), ("no_event", Reason.LINODE_ERROR)]
)
def test_a_boot_that_linode_lets_fail_has_failed(
    fake: FakeLinode, world: World, fault: str, reason: Reason
) -> None:
    marks = ACTION.prepare(TARGET, world)
    fake.faults.order(fault, on="boot")
    marks = ACTION.act(TARGET, marks, world)
    step = acting.settled(ACTION, TARGET, marks, later(world, 61), 10)
    assert (step.progress, step.reason) == (Progress.FAILED, reason)


def test_a_reboot_is_not_taken_for_a_boot(fake: FakeLinode, world: World) -> None:
    marks = ACTION.prepare(TARGET, world)
    fake.account.add_event(LINODE, "linode_reboot", "finished", "sitemedic")
    fake.account.add_event(102, "linode_boot", "finished", "sitemedic")
    assert ACTION.happened(TARGET, marks, later(world, 61)) is False


@pytest.mark.parametrize("status", ["running", "booting", "migrating", "billing_suspension", "something_new"])
def test_only_a_linode_that_is_off_is_booted(fake: FakeLinode, world: World, status: str) -> None:
    fake.account.set_status(LINODE, status)
    error = acting.refused(ACTION, TARGET, world)
    assert (error.reason, error.permanent) == (Reason.LINODE_BUSY, False)
    assert fake.faults.posts == 0


def test_a_lassie_at_work_is_left_to_it(fake: FakeLinode, world: World) -> None:
    fake.account.add_event(LINODE, "lassie_reboot", "started", None)
    assert acting.refused(ACTION, TARGET, world).reason is Reason.LINODE_BUSY


@pytest.mark.parametrize(
    "server", [replace(SERVER, may_boot=False, may_reboot=True), replace(SERVER, linode=None)]
)
def test_what_may_not_be_booted_never_is(fake: FakeLinode, world: World, server: Server) -> None:
    error = acting.refused(ACTION, replace(TARGET, server=server), world)
    assert (error.reason, error.permanent) == (Reason.NOT_ALLOWED, True)
    with pytest.raises(ActionError):
        ACTION.act(replace(TARGET, server=server), ACTION.prepare(TARGET, world), world)
    assert fake.faults.posts == 0


@pytest.mark.needs("sshd")
def test_a_real_sshd_comes_up(tmp_path: Path) -> None:
    with running_ssh_server(tmp_path) as ssh:
        ssh.stop()
        with running_linode_api(lambda _linode, _action: ssh.start()) as fake:
            fake.account.set_status(LINODE, "offline")
            world = World(connect, fake.client(), time.time)
            target = Target("shop", ssh.server("web-1", LINODE))
            target = replace(target, server=replace(target.server, may_boot=True))
            marks = ACTION.act(target, ACTION.prepare(target, world), world)
            step = acting.settled(ACTION, target, marks, world, 20)
        assert (step.progress, step.detail) == (Progress.DONE, "booted; SSH answers")
