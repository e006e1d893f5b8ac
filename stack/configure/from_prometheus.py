"""Import from a Prometheus configuration: its jobs that probe through blackbox_exporter."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.durations import format_duration, parse_duration
from core.faults import ConfigError
from core.sites.yaml_file import read_yaml
from exporter.configuration import BY_PROBER
from exporter.module import BUILT_IN, Module
from exporter.modules import modules_file
from exporter.site_options import RESERVED_LABELS
from stack.configure.imported import Imported, ImportFileError

_INTERVAL, _TIMEOUT = "1m", "10s"
"""What Prometheus takes where the file says nothing."""
_DISCOVERIES = ("static_configs", "file_sd_configs")


def import_prometheus(path: Path, raw: Mapping[str, Any], modules: Path | None, folder: Path) -> Imported:
    """Return the blackbox jobs of the configuration at `path`; `modules` is the blackbox.yml they name.

    Files are named as seen from `folder`, where the sites.yml will be. Raises ImportFileError when there is
    no such job, or a job names a module that is not known.
    """
    found = Imported(modules_file=_seen_from(folder, modules) if modules else None)
    known = modules_file(modules, modules.name) if modules else dict(BUILT_IN)
    jobs = [job for job in _mappings(raw.get("scrape_configs")) if _probes(job)]
    if not jobs:
        raise ImportFileError(
            f"{path.name}: no job probes through blackbox_exporter (metrics_path: /probe with a module)"
        )
    others = len(_mappings(raw.get("scrape_configs"))) - len(jobs)
    if others:
        found.note(f"jobs that do not probe ({others})")
    if raw.get("rule_files"):
        found.note("the rules of rule_files: Sitemedic brings its own (docs/runbooks/)")
    common = raw.get("global") or {}
    for job in jobs:
        _Job(path, job, common, known, found).read(folder if len(jobs) == 1 else None)
    if not found.sites and not found.site_files:
        raise ImportFileError("\n".join([f"{path.name}: none of its targets can be watched:", *found.notes]))
    return found


def _seen_from(folder: Path, path: Path) -> str:
    return os.path.relpath(path, folder)


def _probes(job: Mapping[str, Any]) -> bool:
    relabels = (rule.get("target_label") for rule in _mappings(job.get("relabel_configs")))
    asked = "module" in (job.get("params") or {}) or "__param_target" in relabels
    return str(job.get("metrics_path", "")).rstrip("/").endswith("/probe") and asked


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


class _Job:
    """One scrape job, as sites."""

    def __init__(
        self,
        path: Path,
        job: Mapping[str, Any],
        common: Mapping[str, Any],
        known: Mapping[str, Module],
        found: Imported,
    ) -> None:
        self._folder = path.parent
        self._job = job
        self._name = str(job.get("job_name", "blackbox"))
        self._known = known
        self._found = found
        self._module = str(_first((job.get("params") or {}).get("module")) or "http_2xx")
        interval = _seconds(job.get("scrape_interval") or common.get("scrape_interval") or _INTERVAL)
        timeout = _seconds(job.get("scrape_timeout") or common.get("scrape_timeout") or _TIMEOUT)
        self._rhythm = {"interval": format_duration(interval)}
        if timeout < interval:
            self._rhythm["timeout"] = format_duration(timeout)

    def read(self, names_files_from: Path | None) -> None:
        """Add the job's targets; its target files are named, not copied, where there is a folder for it."""
        self._tell_what_is_lost()
        for group in _mappings(self._job.get("static_configs")):
            self._group(group)
        patterns = [
            str(pattern)
            for one in _mappings(self._job.get("file_sd_configs"))
            for pattern in one.get("files") or ()
        ]
        if names_files_from is not None and patterns:
            self._found.site_files = [_seen_from(names_files_from, self._folder / each) for each in patterns]
            self._found.defaults |= {"module": self._module, "group": self._name, **self._rhythm}
            return
        for path in (path for pattern in patterns for path in sorted(self._folder.glob(pattern))):
            for group in _mappings(read_yaml(path, path.name)):
                self._group(group)

    def _tell_what_is_lost(self) -> None:
        for key in self._job:
            if key.endswith("_sd_configs") and key not in _DISCOVERIES:
                self._found.note(f"{key} of job {self._name}: its targets are not in a file")
        plain = {"__param_target", "instance", "__address__", "__param_module"}
        for rule in _mappings(self._job.get("relabel_configs")):
            label = rule.get("target_label")
            if label not in plain:
                what = f"for {label}" if label else f"with action {rule.get('action', 'replace')}"
                self._found.note(f"a relabel_config {what} of job {self._name}")

    def _group(self, group: Mapping[str, Any]) -> None:
        labels = {str(key): str(value) for key, value in (group.get("labels") or {}).items()}
        module = labels.pop("__param_module", None) or labels.pop("module", None) or self._module
        for target in group.get("targets") or ():
            self._target(str(target), module, labels)

    def _target(self, target: str, module: str, labels: Mapping[str, str]) -> None:
        options = self._known.get(module)
        if options is None:
            raise ImportFileError(
                f"job {self._name} names the module {module!r}: give the blackbox.yml it stands in "
                "(--modules-file blackbox.yml)"
            )
        complaints = options.complaints()
        if complaints or options.prober not in BY_PROBER:
            why = "; ".join(message for _, message in complaints) or f"it probes {options.prober}"
            self._found.note(f"{target} (job {self._name}), module {module}: {why}")
            return
        url = target if "://" in target else f"{'http' if options.prober == 'http' else 'tcp'}://{target}"
        site: dict[str, Any] = {"url": url, "group": self._name, **self._rhythm}
        if module != BY_PROBER[options.prober]:
            site["module"] = module
        if kept := dict(_labels(labels)):
            site["labels"] = kept
        self._found.add(labels.get("site") or _name(url), site)


def _labels(labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in labels.items():
        if not key.startswith("__") and key not in RESERVED_LABELS:
            yield key, value


def _name(url: str) -> str:
    return url.partition("://")[2].partition("?")[0].rpartition("@")[2].rstrip("/")


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, Sequence) and not isinstance(value, str) and value else value


def _seconds(value: Any) -> float:
    try:
        return parse_duration(value)
    except (ValueError, TypeError) as error:
        raise ConfigError.single("scrape_configs", "", str(error)) from error
