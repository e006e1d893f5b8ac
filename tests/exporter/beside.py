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
_REASON = "sitemedic_probe_failure{reason="


@dataclass
class Beside:
    """Both exporters."""

    theirs: str
    ours: str

    def probe(self, module: str, target: str) -> tuple[Samples, Samples]:
        """Return what each says of the same target."""
        return _asked(self.theirs, module, target), self.ask_ours(module, target)

    def ask_ours(self, module: str, target: str) -> Samples:
        """Return what ours says of a target."""
        return _asked(self.ours, module, target)

    def judge(self, module: str, target: str) -> tuple[Samples, Samples, str]:
        """Return what each says, and why ours says that the probe failed, empty where it did not."""
        ours = _asked(self.ours, module, target, hidden=())
        reason = next((name[len(_REASON) : -1] for name in ours if name.startswith(_REASON)), "")
        return _asked(self.theirs, module, target), without(ours, *OURS_ALONE), reason


@contextmanager
def beside(folder: Path, modules: dict[str, Any], newer: dict[str, Any] | None = None) -> Iterator[Beside]:
    """Run both until the block ends; the modules `newer` are for ours only."""
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
        with exporter(folder, {"modules": modules | (newer or {})}) as ours:
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
