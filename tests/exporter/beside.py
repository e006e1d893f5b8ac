"""The real blackbox_exporter and ours beside it, with the same modules, asked the same."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.exporter.running import exporter
from tests.ports import free_port
from tests.waiting import until

Samples = dict[str, float | str]

OURS_ALONE = (
    "sitemedic_probe_failure",
    "probe_ssl_last_chain",
    "probe_tls_cipher_info",
    "probe_failed_due_to_bytes",
)
"""Ours, not built yet, and too young for Debian's blackbox_exporter."""


@dataclass
class Beside:
    """Both exporters."""

    theirs: str
    ours: str

    def probe(self, module: str, target: str) -> tuple[Samples, Samples]:
        """Return what each says of the same target."""
        return _asked(self.theirs, module, target), _asked(self.ours, module, target)

    def reason(self, module: str, target: str) -> str:
        """Return why ours says that the probe failed, empty where it did not."""
        said = _asked(self.ours, module, target, ())
        prefix = "sitemedic_probe_failure{reason="
        return next((name[len(prefix) : -1] for name in said if name.startswith(prefix)), "")


@contextmanager
def beside(folder: Path, modules: dict[str, Any]) -> Iterator[Beside]:
    """Run both until the block ends."""
    theirs = folder / "blackbox.yml"
    theirs.write_text(yaml.safe_dump({"modules": modules}))
    address = f"127.0.0.1:{free_port()}"
    with (folder / "blackbox.log").open("wb") as log:
        process = subprocess.Popen(
            ["prometheus-blackbox-exporter", f"--config.file={theirs}", f"--web.listen-address={address}"],
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: _healthy(address), 10, "blackbox_exporter")
        with exporter(folder, {"modules": modules}) as ours:
            yield Beside(f"http://{address}", ours.url)
    finally:
        process.terminate()
        process.wait(10)


def without(samples: Samples, *prefixes: str) -> Samples:
    """Return the samples whose names do not begin so."""
    return {name: value for name, value in samples.items() if not name.startswith(prefixes)}


def _healthy(address: str) -> bool:
    try:
        return requests.get(f"http://{address}/-/healthy", timeout=1).ok
    except requests.ConnectionError:
        return False


def _asked(url: str, module: str, target: str, hidden: Sequence[str] = OURS_ALONE) -> Samples:
    answered = requests.get(f"{url}/probe", params={"module": module, "target": target}, timeout=10)
    assert answered.status_code == 200, answered.text
    found: Samples = {}
    for family in text_string_to_metric_families(answered.text):
        for sample in family.samples:
            if not sample.name.startswith(tuple(hidden)):
                labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
                timed = sample.name.endswith(("_duration_seconds", "_lookup_time_seconds"))
                value = "a time" if timed and sample.value >= 0 else sample.value
                found[f"{sample.name}{{{labels}}}"] = value
    return found
