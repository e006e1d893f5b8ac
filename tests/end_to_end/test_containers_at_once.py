"""Containers break in many ways at once on one stack, and everything from the engine to the mail is real.

Each test is the story of a site of its own: all that are to run begin together, for their alerts wait for
minutes. What befalls one container alone is in test_containers.py.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.docker_engine import needs_docker
from tests.end_to_end.container_town import Home, Town, running_town
from tests.waiting import until

pytestmark = [
    *needs_docker,
    pytest.mark.needs("prometheus", "prometheus-alertmanager"),
    pytest.mark.timeout(480),
    pytest.mark.full,
]

CHECK = ("--health-cmd", "test ! -e /tmp/ill", "--health-interval", "1s", "--health-retries", "1")
ATTEMPTS = 1
"""Of each site: one that is healed, and then ends again, shows as much as two."""
WAITS = (
    "while ! [ -e /tmp/go ]; do sleep 0.2; done; ! [ -e /tmp/gone ] || { sleep 45 & wait; }; touch /tmp/gone"
)
"""It ends when it is told to, and then each time 45 s after its start: healed, by all that is seen."""
HOMES = {
    "clinic": Home("web-1", CHECK),
    "fickle": Home("web-1", ("--restart", "always"), "sleep 11 & wait; echo out of handles; exit 3"),
    "quitter": Home("web-1", (), f"{WAITS}; echo no database; exit 4"),
    "harbour": Home("web-2", ("--restart", "always"), own_engine=True),
    "bridge": Home("web-3"),
    "island": Home("web-4"),
}

Story = Callable[[Town], None]
Stories = Mapping[str, "Future[None]"]


def at_once(story: Story) -> Callable[[Stories], None]:
    """Make a test of a story that goes on while the others do."""

    def test(stories: Stories) -> None:
        stories[story.__name__].result()

    functools.update_wrapper(test, story, updated=())
    del test.__wrapped__  # type: ignore[attr-defined]  # pytest would look for the story's arguments
    test.story = story  # type: ignore[attr-defined]
    return test


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Stories]:
    """Tell all stories that are to be tested here."""
    chosen = [getattr(getattr(item, "function", None), "story", None) for item in request.session.items]
    with (
        running_town(tmp_path_factory.mktemp("town"), HOMES, attempts=ATTEMPTS) as town,
        ThreadPoolExecutor(len(HOMES) + 1) as pool,
    ):
        yield {story.__name__: pool.submit(story, town) for story in chosen if story is not None}


@at_once
def test_a_container_that_calls_itself_unhealthy_is_told_and_left_alone(town: Town) -> None:
    clinic = town.sites["clinic"]
    clinic.sh("touch /tmp/ill")
    town.until_firing("ContainerUnhealthy", name="clinic", site="clinic")
    town.until_mailed("UNHEALTHY", "clinic")
    assert town.query('sitemedic_container_health_info{name="clinic", health="unhealthy"}')
    assert town.query('sitemedic_container_up{name="clinic"} == 1')
    clinic.sh("rm /tmp/ill")
    town.until_over("ContainerUnhealthy", name="clinic")
    assert town.incidents("clinic") == []
    assert clinic.restarts() == 0


@at_once
def test_a_loop_whose_site_answers_between_its_starts_is_told_with_its_evidence_and_left_to_docker(
    town: Town,
) -> None:
    town.until_firing("ContainerRestarting", 240, name="fickle", site="fickle")
    mail = town.until_mailed("RESTARTING", "fickle").body()
    assert "it last ended with code 3" in mail
    assert "docker logs --tail 100 fickle" in mail
    assert town.attempts("fickle") == []
    assert town.sites["fickle"].restarts() == 0
    assert not town.fired("SiteDown", "site", "fickle")


@at_once
def test_what_ends_again_though_it_was_healed_is_a_humans_after_the_restarts_that_are_allowed(
    town: Town,
) -> None:
    quitter = town.sites["quitter"]
    quitter.sh("touch /tmp/go")
    incident = town.until_incident("quitter", "needs_human", seconds=300)
    assert incident["reason"] in ("attempt_budget", "nothing_left")
    assert incident["look"]["evidence"]["container"]["exit_code"] == 4
    assert any("no database" in line for line in incident["look"]["evidence"]["log_tail"])
    town.until_mailed("NEEDS YOU", "quitter")
    town.until_firing("SiteDown", site="quitter")
    town.until_mailed("DOWN", "quitter")
    assert len(town.attempts("quitter")) == ATTEMPTS
    until(lambda: quitter.restarts() == ATTEMPTS, 30, "its restarts to be written down")


@at_once
def test_an_engine_that_stops_and_starts_is_told_and_what_it_starts_again_is_not_touched(town: Town) -> None:
    harbour = town.sites["harbour"]
    harbour.engine.stop()
    town.until_firing("SiteDown", site="harbour")
    told = town.until_firing("DockerUnreachable", server="web-2")
    assert told["annotations"]["reason"] == "engine_down"
    assert town.query('sitemedic_docker_failure{server="web-2", reason="engine_down"} == 1')
    incident = town.until_incident("harbour", "needs_human")
    assert incident["reason"] == "cannot_tell"
    assert "Docker does not run there" in incident["detail"]
    town.until_mailed("NEEDS YOU", "harbour")
    harbour.engine.start()
    until(harbour.answers, 60, "the engine to start it again")
    assert town.until_incident("harbour", "recovered")["outcome"] == "by_a_human"
    town.until_seen('sitemedic_docker_up{server="web-2"} == 1')
    town.until_seen('sitemedic_container_up{name="harbour"} == 1')
    for alert, labels in (("SiteDown", {"site": "harbour"}), ("DockerUnreachable", {"server": "web-2"})):
        town.until_over(alert, **labels)
    assert town.attempts("harbour") == []
    assert harbour.restarts() == 0


@at_once
def test_a_connection_cut_in_the_middle_of_a_stream_hides_nothing_and_is_made_anew(town: Town) -> None:
    bridge, ssh = town.sites["bridge"], town.servers["web-3"].ssh
    streams = 'sitemedic_docker_calls_total{server="web-3", call="events"}'
    town.until_seen(streams)
    before = float(town.query(streams)[0]["value"][1])
    ssh.cut()
    bridge.docker("kill", "bridge")
    incident = town.until_incident("bridge", "recovered")
    assert incident["outcome"] == "healed"
    assert incident["attempts"][0]["evidence"]["container"]["exit_code"] == 137
    until(lambda: bridge.restarts() == 1, 30, "its restart to be written down")
    town.until_seen(f"{streams} > {before}")
    assert town.fired("ContainerDown", "name", "bridge")
    town.until_over("ContainerDown", name="bridge")
    assert not town.fired("DockerUnreachable", "server", "web-3")


@at_once
def test_a_server_that_is_out_of_reach_is_told_and_its_containers_stay_as_they_were_seen(town: Town) -> None:
    island, ssh = town.sites["island"], town.servers["web-4"].ssh
    ssh.stop()
    told = town.until_firing("DockerUnreachable", server="web-4")
    assert told["annotations"]["reason"] == "unreachable"
    assert town.query('sitemedic_container_up{name="island"} == 1')
    town.until_mailed("DOCKER", "web-4")
    ssh.start()
    town.until_over("DockerUnreachable", server="web-4")
    assert town.query('sitemedic_docker_up{server="web-4"} == 1')
    assert not town.fired("ContainerDown", "name", "island")
    assert town.incidents("island") == []
    assert island.restarts() == 0
