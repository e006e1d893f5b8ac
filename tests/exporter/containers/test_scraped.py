"""Where Prometheus reads what the exporter knows of containers."""

from collections.abc import Iterator

import pytest

from tests.docker_engine import needs_docker, running_engine
from tests.exporter.containers.watching import Watching, watching
from tests.waiting import until

pytestmark = needs_docker


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    with running_engine() as engine, watching(tmp_path_factory.mktemp("exporter"), engine.host) as seen:
        seen.engine = engine
        until(lambda: seen.server()["up"], 20, "the engine to be asked")
        engine.run("shop")
        seen.until_state("shop", "running")
        yield seen


def families(seen: Watching, path: str) -> set[str]:
    text = seen.exporter.get(path).text
    return {
        line.partition("{")[0].partition(" ")[0] for line in text.splitlines() if line[:1] not in ("#", "")
    }


def test_they_have_a_path_of_their_own_and_stand_on_metrics_too_unless_they_are_left_out(
    seen: Watching,
) -> None:
    apart = families(seen, "/metrics/containers")
    assert {"sitemedic_container_up", "sitemedic_docker_up"} <= apart
    assert not any(name.startswith("sitemedic_exporter") for name in apart)
    every = families(seen, "/metrics")
    assert apart < every
    assert not families(seen, "/metrics?exclude[]=containers") & apart
    assert families(seen, "/metrics?exclude[]=containers") | apart == every
