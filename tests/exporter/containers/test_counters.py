"""Restarts and OOM kills only ever grow, and each is counted once, however it becomes known."""

import random

import pytest

from exporter.containers.counters import OOMKills, Starts
from exporter.containers.model import State
from tests.exporter.containers.told import container, event, usage


def listed(starts, **said):
    starts.listed(container(**said))


def test_a_container_that_was_there_before_has_not_restarted():
    starts = Starts()
    listed(starts, restart_count=7)
    listed(starts, restart_count=7)
    assert starts.count == 0


def test_the_event_of_a_start_and_the_list_after_it_are_one_start():
    starts = Starts()
    listed(starts)
    starts.happened(event("start", 200.02))
    listed(starts, started_at=200.0, restart_count=1)
    listed(starts, started_at=200.0, restart_count=1)
    assert starts.count == 1


def test_a_list_that_tells_of_a_start_before_its_event_does_is_the_same_start():
    starts = Starts()
    listed(starts)
    listed(starts, started_at=200.0)
    starts.happened(event("start", 200.3))
    starts.happened(event("start", 200.9))
    assert starts.count == 2


def test_starts_that_no_event_told_of_are_counted_by_dockers_own_count():
    starts = Starts()
    listed(starts, restart_count=1)
    listed(starts, started_at=300.0, restart_count=5)
    assert starts.count == 4


def test_a_start_by_hand_which_takes_dockers_count_back_to_0_is_one_more():
    starts = Starts()
    listed(starts, restart_count=4)
    listed(starts, started_at=300.0, restart_count=0)
    listed(starts, started_at=400.0, restart_count=2)
    assert starts.count == 3


def test_a_new_container_of_the_same_name_is_one_more():
    starts = Starts()
    listed(starts, restart_count=4)
    listed(starts, id="new", started_at=300.0, restart_count=0)
    assert starts.count == 1


def test_the_first_start_of_one_that_was_missed_is_none():
    starts = Starts()
    starts.happened(event("start", 50.0))
    listed(starts, started_at=49.9)
    assert starts.count == 0


def test_one_that_was_only_created_has_not_restarted_when_it_is_started():
    starts = Starts()
    listed(starts, started_at=None, state=State.CREATED)
    starts.happened(event("start", 50.0))
    listed(starts, started_at=49.99)
    assert starts.count == 0


@pytest.mark.parametrize("seed", range(20))
def test_whatever_of_it_is_seen_each_start_is_counted_once(seed):
    """Docker's policy restarts it; each event may be lost, and a list comes now and then, at last once."""
    chance = random.Random(seed)
    starts, at = Starts(), 100.0
    listed(starts)
    true = 0
    for _ in range(chance.randrange(1, 40)):
        if chance.random() < 0.3:
            listed(starts, started_at=at, restart_count=true + 1, state=State.RESTARTING)
        at += chance.uniform(1.5, 60)
        true += 1
        before = chance.random() < 0.2
        if before:
            listed(starts, started_at=at, restart_count=true)
        if chance.random() < 0.7:
            starts.happened(event("start", at + chance.uniform(0, 0.5)))
        if chance.random() < 0.4:
            listed(starts, started_at=at, restart_count=true)
    listed(starts, started_at=at, restart_count=true)
    assert starts.count == true


def test_a_kill_told_by_event_kernel_and_end_is_one_kill():
    kills = OOMKills()
    kills.listed(container())
    kills.used(usage(1, 1, oom_kills=0))
    kills.happened()
    kills.used(usage(2, 1, oom_kills=1))
    kills.listed(container(state=State.EXITED, oom_killed=True))
    assert kills.count == 1


def test_kills_of_several_lives_add_up():
    kills = OOMKills()
    for _ in range(3):
        kills.begin()
        kills.happened()
        kills.listed(container(state=State.EXITED, oom_killed=True))
    assert kills.count == 3


def test_kills_before_it_was_watched_are_not_counted():
    kills = OOMKills()
    kills.listed(container(state=State.EXITED, oom_killed=True))
    kills.used(usage(1, 1, oom_kills=4))
    kills.used(usage(2, 1, oom_kills=6))
    assert kills.count == 2
    kills.begin()
    kills.listed(container(state=State.EXITED, oom_killed=True))
    assert kills.count == 3
