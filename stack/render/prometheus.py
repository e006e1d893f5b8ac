"""prometheus.yml: what is scraped, and where alerts go."""

from typing import Any

from core.sites import Document
from stack.alerting import AlertingTop
from stack.render.files import prometheus_duration
from stack.settings import Endpoint, Settings

EXPORTER_JOB = "sitemedic-exporter"
"""The rules ask for this job by name."""

CONTAINERS_JOB = "sitemedic-containers"
"""The same, for what the exporter knows of containers."""

CONSOLE_TOKEN = "secrets/webhook_token"
"""Beside prometheus.yml: what the remediator is shown where it asks for a password."""

_CONTAINERS_INTERVAL = 5.0
"""Seconds at most: a container that has ended is to be seen, and healed, before its site is down."""

_LONGEST_TIMEOUT = 10.0
"""Seconds. A scrape of 10,000 sites takes a tenth of a second; one that takes this long is lost."""


def prometheus_config(document: Document, settings: Settings) -> dict[str, Any]:
    """Return the configuration as plain data."""
    interval = document.top(AlertingTop).alerting.scrape_interval
    often = min(interval, _CONTAINERS_INTERVAL)
    return {
        "global": {
            "scrape_interval": prometheus_duration(interval),
            "scrape_timeout": prometheus_duration(min(interval, _LONGEST_TIMEOUT)),
            "evaluation_interval": prometheus_duration(interval),
        },
        "rule_files": ["rules/*.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [_targets(settings.alertmanager)]}]},
        "scrape_configs": [
            {
                "job_name": EXPORTER_JOB,
                "honor_labels": True,  # `instance` is the site's address, as with blackbox_exporter
                "params": {"exclude[]": ["containers"]},  # the next job reads them
                "static_configs": [_targets(settings.exporter)],
            },
            {
                "job_name": CONTAINERS_JOB,
                "honor_labels": True,
                "metrics_path": "/metrics/containers",
                "scrape_interval": prometheus_duration(often),
                "scrape_timeout": prometheus_duration(often),
                "static_configs": [_targets(settings.exporter)],
            },
            {"job_name": "sitemedic-remediator", **_console(settings)},
            {"job_name": "prometheus", "static_configs": [_targets(settings.prometheus)]},
            {"job_name": "alertmanager", "static_configs": [_targets(settings.alertmanager)]},
        ],
    }


def _console(settings: Settings) -> dict[str, Any]:
    """Return how the remediator is read: its certificate is for people's names of it, not for ours."""
    found: dict[str, Any] = {"static_configs": [_targets(settings.remediator)]}
    if settings.remediator.tls:
        found |= {"scheme": "https", "tls_config": {"insecure_skip_verify": True}}
    if settings.console.users:
        found["authorization"] = {"type": "Bearer", "credentials_file": CONSOLE_TOKEN}
    return found


def _targets(endpoint: Endpoint) -> dict[str, list[str]]:
    return {"targets": [endpoint.address]}
