"""A real Prometheus for a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.service import Service, service


@dataclass
class PrometheusServer(Service):
    """A running Prometheus."""

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the instant vector that `expression` gives now."""
        found = self.get("/api/v1/query", query=expression).json()["data"]["result"]
        assert isinstance(found, list)
        return found

    def value(self, expression: str) -> float | None:
        """Return the single value of `expression`, or None where there is none."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def alerts(self, name: str | None = None) -> list[dict[str, Any]]:
        """Return the alerts that fire, all or those of one name."""
        found = self.get("/api/v1/alerts").json()["data"]["alerts"]
        return [
            alert
            for alert in found
            if alert["state"] == "firing" and name in (None, alert["labels"]["alertname"])
        ]

    def targets_up(self) -> dict[str, str]:
        """Return the health of each scrape job: up, down or unknown."""
        found = self.get("/api/v1/targets").json()["data"]["activeTargets"]
        return {target["labels"]["job"]: target["health"] for target in found}


@contextmanager
def prometheus_server(
    config: Path, data: Path, port: int | None = None, *flags: str
) -> Iterator[PrometheusServer]:
    """Run Prometheus on `config`; its database stays in `data`, so that it can be started again."""
    port = port or free_port()
    data.mkdir(parents=True, exist_ok=True)
    arguments = [
        f"--config.file={config}",
        f"--storage.tsdb.path={data / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-lifecycle",
        *flags,
    ]
    log = data / "prometheus.log"
    with service("prometheus", arguments, f"http://127.0.0.1:{port}", log, "/-/ready") as running:
        yield PrometheusServer(running.url, running.process, running.log)
