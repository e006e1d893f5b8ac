"""A real exporter that watches the containers of a real engine, and what it says of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.docker_engine import DockerEngine
from tests.exporter.running import Exporter, exporter
from tests.ports import free_port
from tests.waiting import until


class Watching:
    """What the exporter tells of the engine's containers."""

    engine: DockerEngine

    def __init__(self, running: Exporter) -> None:
        self.exporter = running

    def container(self, name: str) -> dict[str, Any]:
        """Return what the JSON says of a container. Raises LookupError."""
        told = self.exporter.get("/api/v1/containers").json()["containers"]
        return next((one for one in told if one["name"] == name), None) or _none(name)

    def names(self) -> set[str]:
        """Return the names of all that are told of."""
        return {one["name"] for one in self.exporter.get("/api/v1/containers").json()["containers"]}

    def server(self) -> dict[str, Any]:
        """Return what is told of the engine."""
        found: dict[str, Any] = self.exporter.get("/api/v1/containers").json()["servers"]["here"]
        return found

    def samples(self, family: str, /, **labels: str) -> list[Any]:
        """Return a family's samples with these labels."""
        families = text_string_to_metric_families(self.exporter.get("/metrics").text)
        return [
            sample
            for each in families
            for sample in each.samples
            if sample.name == family and labels.items() <= sample.labels.items()
        ]

    def value(self, family: str, /, **labels: str) -> float:
        """Return the one sample of these labels. Raises LookupError."""
        found = self.samples(family, **labels)
        if len(found) != 1:
            raise LookupError(f"{len(found)} samples of {family} {labels}")
        return float(found[0].value)

    def until_state(self, name: str, state: str, seconds: float = 30) -> dict[str, Any]:
        """Wait until a container is told to be in a state."""
        return until(
            lambda: (one := self.container(name))["state"] == state and one,
            seconds,
            f"{name} to be {state} (the exporter's log: {self.exporter.log})",
        )


def _none(name: str) -> dict[str, Any]:
    raise LookupError(f"no container {name}")


@contextmanager
def watching(
    folder: Path, host: str, containers: Any = ({"name": "*"},), sites: Any = (), **top: Any
) -> Iterator[Watching]:
    """Run an exporter that watches the containers of the engine at `host` as those of its own machine."""
    nobody = {"name": "nobody", "url": f"tcp://127.0.0.1:{free_port()}", "interval": "60s"}
    said = containers if containers == "off" else list(containers)
    here = {"docker": "local", "containers": said, "docker_api": {"url": host}}
    configuration = {"servers": {"here": here}, "sites": [nobody, *sites], **top}
    with exporter(folder, configuration, "--log.level=debug", program=("stack", "exporter")) as running:
        yield Watching(running)
