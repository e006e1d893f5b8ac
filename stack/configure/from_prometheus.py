"""Import from a Prometheus configuration: its jobs that probe through blackbox_exporter."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.durations import format_duration
from core.sites.site_files import site_file_paths
from core.sites.yaml_file import read_yaml
from exporter.configuration import BY_PROBER
from exporter.module import BUILT_IN, Module
from exporter.modules import modules_file
from exporter.site_options import RESERVED_LABELS
from exporter.target import instance
from stack.configure.imported import Imported, ImportFileError
from stack.configure.prometheus_file import Global, Group, Job, groups_of, prometheus_file

_KEPT_ANYWAY = ("__param_target", "instance", "__address__", "__param_module")
"""Labels whose relabel_configs only say how blackbox_exporter is asked."""


def import_prometheus(path: Path, raw: Mapping[str, Any], modules: Path | None, folder: Path) -> Imported:
    """Return the blackbox jobs of the configuration at `path`; `modules` is the blackbox.yml they name.

    Files are named as seen from `folder`, where the sites.yml will be. Raises ImportFileError when there is
    no such job, or a job names a module that is not known, and ConfigError when the file is faulty.
    """
    found = Imported(modules_file=os.path.relpath(modules, folder) if modules else None)
    known = modules_file(modules, modules.name) if modules else dict(BUILT_IN)
    file = prometheus_file(raw, path.name)
    if not file.jobs:
        raise ImportFileError(
            f"{path.name}: no job probes through blackbox_exporter (metrics_path: /probe with a module)"
        )
    if file.others:
        found.note(f"jobs that do not probe ({file.others})")
    if file.rule_files:
        found.note("the rules of rule_files: Sitemedic brings its own (docs/runbooks/)")
    for job in file.jobs:
        _Job(path.parent, job, file.defaults, known, found).read(folder if len(file.jobs) == 1 else None)
    if not found.sites and not found.site_files:
        raise ImportFileError("\n".join([f"{path.name}: none of its targets can be watched:", *found.notes]))
    return found


class _Job:
    """One scrape job, as sites."""

    def __init__(
        self, folder: Path, job: Job, common: Global, known: Mapping[str, Module], found: Imported
    ) -> None:
        self._folder = folder
        self._job = job
        self._known = known
        self._found = found
        self._module = next(iter(job.params.module), "http_2xx")
        self._seen: set[tuple[str, str]] = set()
        interval = common.scrape_interval if job.scrape_interval is None else job.scrape_interval
        timeout = common.scrape_timeout if job.scrape_timeout is None else job.scrape_timeout
        self._rhythm = {"interval": format_duration(interval)}
        if timeout < interval:
            self._rhythm["timeout"] = format_duration(timeout)

    def read(self, names_files_from: Path | None) -> None:
        """Add the job's targets; its target files are named, not copied, where there is a folder for it."""
        self._tell_what_is_lost()
        for group in self._job.static_configs:
            self._group(group)
        patterns = self._job.patterns
        if names_files_from is not None and patterns:
            files = [os.path.relpath(self._folder / each, names_files_from) for each in patterns]
            self._found.site_files = files
            self._found.defaults |= {"module": self._module, "group": self._job.job_name, **self._rhythm}
            return
        for pattern in patterns:
            paths = site_file_paths([pattern], self._folder)
            if not paths:
                self._found.note(f"{pattern} of job {self._job.job_name}: no file matches")
            for path in paths:
                for group in groups_of(read_yaml(path, path.name), path.name):
                    self._group(group)

    def _tell_what_is_lost(self) -> None:
        name = self._job.job_name
        for key in self._job.discoveries:
            self._found.note(f"{key} of job {name}: its targets are not in a file")
        for rule in self._job.relabel_configs:
            if rule.target_label not in _KEPT_ANYWAY:
                what = f"for {rule.target_label}" if rule.target_label else f"with action {rule.action}"
                self._found.note(f"a relabel_config {what} of job {name}")

    def _group(self, group: Group) -> None:
        labels = dict(group.labels)
        module = labels.pop("__param_module", None) or labels.pop("module", None) or self._module
        for target in group.targets:
            if (target, module) not in self._seen:
                self._seen.add((target, module))
                self._target(target, module, labels)

    def _target(self, target: str, module: str, labels: Mapping[str, str]) -> None:
        options, job = self._known.get(module), self._job.job_name
        if options is None:
            raise ImportFileError(
                f"job {job} names the module {module!r}: give the blackbox.yml it stands in "
                "(--modules-file blackbox.yml)"
            )
        complaints = options.complaints()
        if complaints or options.prober not in BY_PROBER:
            why = "; ".join(message for _, message in complaints) or f"it probes {options.prober}"
            self._found.note(f"{_name(target)} (job {job}), module {module}: {why}")
            return
        url = target if "://" in target else f"{'http' if options.prober == 'http' else 'tcp'}://{target}"
        site: dict[str, Any] = {"url": url, "group": job, **self._rhythm}
        if module != BY_PROBER[options.prober]:
            site["module"] = module
        if kept := dict(_labels(labels)):
            site["labels"] = kept
        self._found.add(self._found.free(labels.get("site") or _name(url)), site)


def _labels(labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in labels.items():
        if not key.startswith("__") and key not in RESERVED_LABELS:
            yield key, value


def _name(url: str) -> str:
    """Return an address as a name: without its protocol, login and query."""
    return instance(url).rpartition("://")[2].rstrip("/")
