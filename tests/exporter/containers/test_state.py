"""What events and lists make of a container's state."""

from exporter.containers.model import Health, State
from exporter.containers.plan import Thresholds
from exporter.containers.selection import Wanted
from exporter.containers.state import ContainerState
from tests.exporter.containers.told import container, event, usage


def known(now=1000.0, **said):
    state = ContainerState("web-1", Wanted("shop", Thresholds()))
    state.listed(container(**said), now)
    return state


def test_it_is_down_since_its_end_and_no_more_once_it_has_started():
    state = known()
    state.happened(event("die", 1010.0, exit_code=137), 1010.1)
    assert (state.state, state.up, state.down_since, state.exit_code) == (State.EXITED, False, 1010.0, 137)
    state.listed(container(state=State.RESTARTING, exit_code=137, finished_at=1010.0), 1011.0)
    assert (state.up, state.down_since) == (False, 1010.0)
    state.happened(event("start", 1012.0), 1012.1)
    assert (state.up, state.down_since, state.starts.count) == (True, None, 1)


def test_one_that_had_ended_long_before_it_was_watched_is_down_since_then():
    assert known(state=State.EXITED, finished_at=500.0, exit_code=1).down_since == 500.0


def test_a_servers_clock_that_is_wrong_does_not_move_the_time_of_an_end():
    state = known()
    state.happened(event("die", 10.0), 1010.0)
    assert state.down_since == 1000.0  # not before it was last seen up
    state = known()
    state.happened(event("die", 99_999.0), 1010.0)
    assert state.down_since == 1010.0


def test_a_paused_one_is_not_up_and_no_restart():
    state = known()
    state.happened(event("pause", 1010.0), 1010.0)
    assert (state.state, state.down_since) == (State.PAUSED, 1010.0)
    state.listed(container(state=State.PAUSED), 1011.0)
    state.happened(event("unpause", 1020.0), 1020.0)
    assert (state.up, state.down_since, state.starts.count) == (True, None, 0)


def test_it_is_unhealthy_until_a_check_succeeds_or_it_is_started_anew():
    state = known(health=Health.HEALTHY)
    state.happened(event("health_status", 1010.0, health=Health.UNHEALTHY), 1010.0)
    state.listed(container(health=Health.UNHEALTHY), 1020.0)
    assert (state.unhealthy_since, state.up) == (1010.0, True)
    state.happened(event("health_status", 1030.0, health=Health.HEALTHY), 1030.0)
    assert state.unhealthy_since is None
    state.happened(event("health_status", 1040.0, health=Health.UNHEALTHY), 1040.0)
    state.happened(event("start", 1050.0), 1050.0)
    assert (state.health, state.unhealthy_since) == (Health.STARTING, None)


def test_one_that_is_removed_is_absent_and_its_events_are_nobodys():
    state = known()
    state.happened(event("destroy", 1010.0), 1010.0)
    assert (state.state, state.down_since) == (State.ABSENT, 1010.0)
    state.happened(event("start", 1020.0, id="new"), 1020.0)
    state.listed(container(id="new", started_at=1019.9), 1021.0)
    state.happened(event("die", 1022.0), 1022.0)
    assert (state.state, state.starts.count) == (State.RUNNING, 1)


def test_what_it_uses_is_forgotten_when_it_ends():
    state = known()
    state.used(usage(1000.0, 5.0))
    assert state.cpu is None
    state.used(usage(1010.0, 7.0))
    assert state.cpu == 0.2
    state.happened(event("die", 1011.0), 1011.0)
    assert (state.usage, state.cpu) == (None, None)


def test_its_last_end_is_told_while_it_runs_again():
    state = known()
    state.happened(event("oom", 1009.0), 1009.0)
    state.happened(event("die", 1010.0, exit_code=137), 1010.0)
    state.happened(event("start", 1011.0), 1011.0)
    state.listed(container(started_at=1010.9), 1012.0)
    assert (state.up, state.exit_code, state.oom_killed, state.oom_kills.count) == (True, 137, True, 1)
