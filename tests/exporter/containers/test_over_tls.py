"""A real engine that listens with --tlsverify, watched through `docker_api`: certificates good and bad."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.docker_engine import DockerEngine, engine_folder, needs_docker, started_engine
from tests.exporter.containers.certificates import Certificates
from tests.exporter.containers.watching import Watching
from tests.exporter.running import exporter
from tests.ports import free_port
from tests.waiting import until

pytestmark = [*needs_docker, pytest.mark.full]

BURNS = ("sh", "-c", "while :; do :; done")


@dataclass
class Scene:
    """One engine, and one exporter that comes to it with each client's files as to a server each."""

    engine: DockerEngine
    watching: Watching

    def server(self, client: str) -> dict[str, Any]:
        """Return what is told of the engine as this client sees it."""
        found: dict[str, Any] = self.watching.exporter.get("/api/v1/containers").json()["servers"][client]
        return found

    def missed(self, client: str) -> dict[str, Any]:
        """Wait until the engine cannot be asked, and return what is told then."""
        return until(lambda: (told := self.server(client))["up"] is False and told, 30, f"{client} to fail")


@contextmanager
def watched(folder: Path, *clients: str) -> Iterator[Scene]:
    """Run an engine with TLS, and an exporter that comes to it as each of these clients."""
    certificates, port = Certificates(folder), free_port()
    files = certificates.clients()
    api = {name: {"url": f"tcp://127.0.0.1:{port}", **files[name]} for name in clients}
    servers = {
        name: {"ssh": f"203.0.113.{number}", "containers": [{"name": "*"}], "docker_api": api[name]}
        for number, name in enumerate(clients)
    }
    nobody = {"name": "nobody", "url": f"tcp://127.0.0.1:{free_port()}", "interval": "60s"}
    configuration = {"servers": servers, "sites": [nobody]}
    options = certificates.options(port)
    with engine_folder() as kept, started_engine(kept, own_network=False, options=options) as engine:
        engine.import_image()
        with exporter(folder, configuration, program=("stack", "exporter")) as running:
            yield Scene(engine, Watching(running))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    clients = ("good", "foreign", "expired", "mistaken", "swapped", "plain")
    with watched(tmp_path_factory.mktemp("tls"), *clients) as scene:
        yield scene
        scene.engine.clear()


def test_states_and_usage_come_over_tls_from_an_engine_that_asks_for_a_certificate(scene: Scene) -> None:
    seen = scene.watching
    scene.engine.run("shop", "--memory", "64m", "--cpus", "0.5", command=BURNS)
    seen.until_state("shop", "running")
    until(lambda: seen.value("container_cpu_usage_seconds_total", name="shop") > 0, 30, "what it uses")
    assert 0 < seen.value("container_memory_working_set_bytes", name="shop") < 64 * 2**20
    assert seen.value("sitemedic_container_cpu_limit_cores", name="shop", server="good") == 0.5
    scene.engine.docker("kill", "shop")
    told = seen.until_state("shop", "exited")
    assert (told["server"], told["up"], told["exit_code"]) == ("good", False, 137)
    assert scene.server("good")["up"] is True


@pytest.mark.parametrize(
    ("client", "says"),
    [
        (
            "foreign",
            "does not take our certificate (SSLV3_ALERT_BAD_CERTIFICATE): has cert_file expired, and",
        ),
        (
            "expired",
            "does not take our certificate (SSLV3_ALERT_BAD_CERTIFICATE): has cert_file expired, and",
        ),
        ("mistaken", "certificate verify failed: unable to get local issuer certificate"),
        ("swapped", "key values mismatch"),
        ("plain", "HTTPS server.: give its docker_api ca_file, cert_file, key_file"),
    ],
)
def test_who_comes_with_the_wrong_files_is_told_so_and_which(scene: Scene, client: str, says: str) -> None:
    told = scene.missed(client)
    assert told["reason"] == "refused"
    assert says in told["message"]
    assert scene.watching.value("sitemedic_docker_failure", server=client, reason="refused") == 1


def test_an_engine_that_is_killed_is_gone_and_has_not_refused_anybody(tmp_path: Path) -> None:
    with watched(tmp_path, "good") as scene:
        scene.engine.run("shop")
        scene.watching.until_state("shop", "running")
        os.kill(scene.engine.pid, signal.SIGKILL)
        assert scene.missed("good")["reason"] == "engine_down"
        until(lambda: "nobody listens there" in scene.server("good")["message"], 30, "it to be asked again")
        assert "server=good reason=refused" not in scene.watching.exporter.said()
