"""A real Alertmanager for a test."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.service import Service, service


@dataclass
class AlertmanagerServer(Service):
    """A running Alertmanager."""

    def fire(self, labels: Mapping[str, str], **annotations: str) -> None:
        """Post an alert that fires, as Prometheus does."""
        self.post("/api/v2/alerts", [{"labels": dict(labels), "annotations": annotations}])

    def resolve(self, labels: Mapping[str, str], **annotations: str) -> None:
        """Post the end of an alert."""
        now = datetime.now(UTC).isoformat()
        alert = {"labels": dict(labels), "annotations": annotations, "endsAt": now}
        self.post("/api/v2/alerts", [alert])

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that are active."""
        found = self.get("/api/v2/alerts").json()
        assert isinstance(found, list)
        return found


@contextmanager
def alertmanager_server(
    config: Path, data: Path, port: int | None = None, *flags: str
) -> Iterator[AlertmanagerServer]:
    """Run Alertmanager on `config`; what it remembers stays in `data`."""
    port = port or free_port()
    data.mkdir(parents=True, exist_ok=True)
    arguments = [
        f"--config.file={config}",
        f"--storage.path={data / 'state'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        *flags,
    ]
    log = data / "alertmanager.log"
    url = f"http://127.0.0.1:{port}"
    with service("prometheus-alertmanager", arguments, url, log, "/-/ready") as running:
        yield AlertmanagerServer(running.url, running.process, running.log)
