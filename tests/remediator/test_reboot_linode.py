"""`reboot_linode` against the fake Linode API, and a server that it really takes away and gives back."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.servers import connect
from core.servers.server import ActionError, CommandResult, Reason, Server, SshSettings
from remediator.actions import ACTIONS
from remediator.model.action import Marks, Progress, Step, Target, World
from remediator.on_server import evidence
from tests.linode_fake import LINODE, FakeLinode, running_linode_api
from tests.remediator import acting
from tests.remediator.machine import Machine
from tests.ssh_server import running_ssh_server
from tests.waiting import until

ACTION = ACTIONS["reboot_linode"]
SERVER = Server("web-1", SshSettings("198.51.100.1"), linode=LINODE, may_reboot=True)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def fake(machine: Machine) -> Iterator[FakeLinode]:
    with running_linode_api(machine.power) as fake:
        yield fake


@pytest.fixture
def world(fake: FakeLinode, machine: Machine) -> World:
    return World(machine.connect, fake.client(patience=0.5), time.time)


@pytest.fixture
def target() -> Target:
    return Target("shop", SERVER, container="nginx")


def settled(target: Target, marks: Marks, world: World) -> Step:
    return acting.settled(ACTION, target, marks, world, 10)


def refused(target: Target, world: World) -> ActionError:
    return acting.refused(ACTION, target, world)


def later(world: World, seconds: float) -> World:
    return replace(world, now=lambda: time.time() + seconds)


def test_a_reboot_waits_for_its_event_and_starts_the_container(
    fake: FakeLinode, machine: Machine, world: World, target: Target
) -> None:
    marks = ACTION.prepare(target, world)
    assert json.loads(json.dumps(marks)) == marks
    marks = ACTION.act(target, marks, world)
    first = ACTION.settle(target, marks, world)
    assert (first.progress, "rebooting" in first.detail) == (Progress.WAIT, True)
    step = settled(target, marks, world)
    assert (step.progress, step.detail) == (Progress.DONE, "rebooted; SSH answers; nginx runs")
    assert ["docker", "start", "nginx"] in machine.commands
    assert (fake.faults.posts, fake.faults.accepted) == (1, 1)


def test_it_waits_for_ssh(machine: Machine, world: World, target: Target) -> None:
    marks = ACTION.act(target, ACTION.prepare(target, world), world)
    machine.up = False
    until(lambda: "no SSH" in ACTION.settle(target, marks, world).detail, 5, "the event to be over")
    assert ACTION.settle(target, marks, world).progress is Progress.WAIT
    given_up = ACTION.settle(target, marks, later(world, 700))
    assert (given_up.progress, given_up.reason) == (Progress.FAILED, Reason.TIMEOUT)
    machine.up = True
    assert settled(target, marks, world).progress is Progress.DONE


def test_it_waits_for_docker_and_gives_up_on_what_cannot_pass(
    machine: Machine, world: World, target: Target
) -> None:
    marks = ACTION.act(target, ACTION.prepare(target, world), world)
    machine.refuses_start = CommandResult(1, "", "Cannot connect to the Docker daemon at unix:///x.")
    until(lambda: "Docker does not run" in ACTION.settle(target, marks, world).detail, 5, "docker start")
    assert ACTION.settle(target, marks, world).progress is Progress.WAIT
    machine.refuses_start = CommandResult(127, "", "sh: docker: not found")
    assert settled(target, marks, world).progress is Progress.FAILED


@pytest.mark.parametrize("fault", ["busy", "429", "html400"])
def test_a_refused_reboot_has_not_happened(
    fake: FakeLinode, world: World, target: Target, fault: str
) -> None:
    marks = ACTION.prepare(target, world)
    fake.faults.order(fault, seconds=5)
    with pytest.raises(ActionError) as caught:
        ACTION.act(target, marks, world)
    assert caught.value.reason is not Reason.UNKNOWN
    assert ACTION.happened(target, marks, world) is None, "an event may still appear"
    assert ACTION.happened(target, marks, later(world, 61)) is False
    assert (fake.faults.posts, fake.faults.accepted) == (1, 0)


@pytest.mark.parametrize("fault", ["drop", "hang", "500", "503", "408"])
def test_an_unknown_outcome_is_read_from_the_events_and_not_asked_for_again(
    fake: FakeLinode, world: World, target: Target, fault: str
) -> None:
    marks = ACTION.prepare(target, world)
    fake.faults.order(fault, times=1, seconds=1, accept=True)
    with pytest.raises(ActionError) as caught:
        ACTION.act(target, marks, world)
    assert (caught.value.reason, caught.value.permanent) == (Reason.UNKNOWN, False)
    assert ACTION.happened(target, marks, world) is True
    assert settled(target, marks, world).progress is Progress.DONE
    assert (fake.faults.posts, fake.faults.accepted) == (1, 1)


@pytest.mark.parametrize("fault", ["drop_before", "502"])
def test_what_was_never_accepted_is_told_after_a_while(
    fake: FakeLinode, world: World, target: Target, fault: str
) -> None:
    marks = ACTION.prepare(target, world)
    fake.faults.order(fault, times=1)
    with pytest.raises(ActionError) as caught:
        ACTION.act(target, marks, world)
    assert caught.value.reason is Reason.UNKNOWN
    assert ACTION.happened(target, marks, world) is None
    assert ACTION.happened(target, marks, later(world, 61)) is False
    assert (fake.faults.posts, fake.faults.accepted) == (1, 0)


def test_nobody_knows_while_the_api_does_not_answer(fake: FakeLinode, world: World, target: Target) -> None:
    marks = ACTION.prepare(target, world)
    fake.faults.order("503", on="all")
    assert ACTION.happened(target, marks, later(world, 1000)) is None


def test_an_older_reboot_is_not_taken_for_ours(fake: FakeLinode, world: World, target: Target) -> None:
    fake.account.add_event(LINODE, "linode_reboot", "finished", "sitemedic")
    marks = ACTION.prepare(target, world)
    fake.account.add_event(LINODE, "linode_boot", "finished", "sitemedic")
    fake.account.add_event(102, "linode_reboot", "finished", "sitemedic")
    assert ACTION.happened(target, marks, later(world, 61)) is False


def test_an_accepted_reboot_without_an_event_fails(fake: FakeLinode, world: World, target: Target) -> None:
    marks = ACTION.prepare(target, world)
    fake.faults.order("no_event")
    marks = ACTION.act(target, marks, world)
    assert ACTION.settle(target, marks, world).progress is Progress.WAIT
    assert ACTION.settle(target, marks, later(world, 61)).progress is Progress.FAILED


def test_a_reboot_that_linode_says_failed_has_failed(fake: FakeLinode, world: World, target: Target) -> None:
    marks = ACTION.prepare(target, world)
    fake.faults.order("fail")
    step = settled(target, ACTION.act(target, marks, world), world)
    assert (step.progress, step.reason) == (Progress.FAILED, Reason.LINODE_ERROR)


@pytest.mark.parametrize("status", ["booting", "rebooting", "migrating", "resizing", "something_new"])
def test_a_linode_that_is_at_something_is_left_for_later(
    fake: FakeLinode, world: World, target: Target, status: str
) -> None:
    fake.account.set_status(LINODE, status)
    error = refused(target, world)
    assert (error.reason, error.permanent, error.retry_after > 0) == (Reason.LINODE_BUSY, False, True)


def test_a_lassie_at_work_is_left_for_later(fake: FakeLinode, world: World, target: Target) -> None:
    fake.account.add_event(LINODE, "lassie_reboot", "started", None)
    assert refused(target, world).reason is Reason.LINODE_BUSY


def test_a_linode_that_is_off_is_a_humans(fake: FakeLinode, world: World, target: Target) -> None:
    fake.account.set_status(LINODE, "offline")
    error = refused(target, world)
    assert (error.reason, error.permanent) == (Reason.NOT_ALLOWED, True)


@pytest.mark.parametrize(
    "server",
    [
        replace(SERVER, may_reboot=False),
        replace(SERVER, linode=None),
    ],
)
def test_what_may_not_be_rebooted_never_is(
    fake: FakeLinode, world: World, target: Target, server: Server
) -> None:
    error = refused(replace(target, server=server), world)
    assert (error.reason, error.permanent) == (Reason.NOT_ALLOWED, True)
    assert fake.faults.posts == 0


def test_the_permission_is_asked_again_before_the_act(fake: FakeLinode, world: World, target: Target) -> None:
    marks = ACTION.prepare(target, world)
    with pytest.raises(ActionError):
        ACTION.act(replace(target, server=replace(SERVER, may_reboot=False)), marks, world)
    assert fake.faults.posts == 0


def test_without_a_token_it_is_told_what_to_set(world: World, target: Target) -> None:
    error = refused(target, replace(world, linode=None))
    assert (error.reason, error.permanent) == (Reason.LINODE_AUTH, True)
    assert "LINODE_TOKEN" in error.message


def test_the_evidence_tells_others_events_from_ours(fake: FakeLinode, world: World, target: Target) -> None:
    for username in ("sitemedic", "colleague", None):
        fake.account.add_event(LINODE, "linode_reboot", "finished", username)
    linode = evidence.gather(target, world).to_json()["linode"]
    assert isinstance(linode, dict)
    assert linode["status"] == "running"
    events = linode["recent_events"]
    assert isinstance(events, list)
    assert [event["foreign"] for event in events if isinstance(event, dict)] == [True, True, False]


def test_evidence_without_an_answer_says_what_is_missing(
    fake: FakeLinode, world: World, machine: Machine, target: Target
) -> None:
    fake.faults.order("hang", on="all", seconds=2)
    machine.up = False
    found = evidence.gather(target, world)
    assert (found.ssh, found.linode, len(found.problems)) == ("unreachable", None, 2)


@pytest.mark.needs("sshd")
def test_a_real_sshd_goes_and_comes_back(tmp_path: Path) -> None:
    with running_ssh_server(tmp_path) as ssh:

        def power(linode_id: int, action: str) -> None:
            ssh.stop()
            threading.Timer(1.0, ssh.start).start()

        with running_linode_api(power) as fake:
            world = World(connect, fake.client(), time.time)
            target = Target("shop", ssh.server("web-1", LINODE, may_reboot=True))
            marks = ACTION.act(target, ACTION.prepare(target, world), world)
            until(lambda: "refused" in ACTION.settle(target, marks, world).detail, 5, "the server to be away")
            step = settled(target, marks, world)
        assert (step.progress, step.detail) == (Progress.DONE, "rebooted; SSH answers")
