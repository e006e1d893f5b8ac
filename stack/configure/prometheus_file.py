"""A Prometheus configuration, as far as it says what blackbox_exporter probes."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.durations import Duration
from core.faults import ConfigError, Fault
from core.sites.validate import validate


class _Lenient(BaseModel):
    """Takes what it knows and leaves the rest; a key without a value is not there."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nothing(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping):
            return raw
        return {str(key): value for key, value in raw.items() if value is not None}


class Group(_Lenient):
    """Targets with labels in common: of static_configs, or of a file."""

    targets: list[str] = []
    labels: dict[str, str] = Field(default_factory=dict)


class _Targets(_Lenient):
    groups: list[Group]


class _Files(_Lenient):
    files: list[str] = []


class _Params(_Lenient):
    module: list[str] = []


class Relabel(_Lenient):
    """One of relabel_configs."""

    target_label: str = ""
    action: str = "replace"


class Global(_Lenient):
    """What holds where a job says nothing."""

    scrape_interval: Duration = 60.0
    scrape_timeout: Duration = 10.0


class Job(_Lenient):
    """A scrape job; `discoveries` are the keys that find its targets outside of any file."""

    job_name: str = "blackbox"
    params: _Params = _Params()
    scrape_interval: Duration | None = None
    scrape_timeout: Duration | None = None
    static_configs: list[Group] = []
    file_sd_configs: list[_Files] = []
    relabel_configs: list[Relabel] = []
    discoveries: list[str] = []

    @model_validator(mode="before")
    @classmethod
    def _name_discoveries(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping):
            return raw
        found = [key for key in map(str, raw) if key.endswith("_sd_configs") and key != "file_sd_configs"]
        return {**raw, "discoveries": found}

    @property
    def patterns(self) -> list[str]:
        """Return which files hold its targets."""
        return [pattern for one in self.file_sd_configs for pattern in one.files]


class PrometheusFile(_Lenient):
    """The whole file, with the jobs that probe."""

    defaults: Global = Field(default=Global(), alias="global")
    rule_files: list[Any] = []
    jobs: list[Job] = Field(default=[], alias="scrape_configs")
    others: int = 0


def prometheus_file(raw: Mapping[str, Any], shown: str) -> PrometheusFile:
    """Read a configuration; faults name the file as `shown`. Raises ConfigError with every fault."""
    jobs = raw.get("scrape_configs")
    if not isinstance(jobs, list):
        raise ConfigError([Fault(shown, "scrape_configs", "must be a list of jobs")])
    probing = [job for job in jobs if isinstance(job, Mapping) and _probes(job)]
    read, faults = validate(
        PrometheusFile, {**raw, "scrape_configs": probing, "others": len(jobs) - len(probing)}, shown, ""
    )
    if read is None:
        raise ConfigError(faults)
    return read


def groups_of(raw: Any, shown: str) -> list[Group]:
    """Read a file of targets. Raises ConfigError with every fault."""
    read, faults = validate(_Targets, {"groups": raw}, shown, "")
    if read is None:
        raise ConfigError(faults)
    return read.groups


def _probes(job: Mapping[Any, Any]) -> bool:
    params, relabels = job.get("params"), job.get("relabel_configs")
    asked = isinstance(params, Mapping) and "module" in params
    rules = [rule for rule in relabels if isinstance(rule, Mapping)] if isinstance(relabels, list) else []
    asked = asked or any(rule.get("target_label") == "__param_target" for rule in rules)
    return str(job.get("metrics_path", "")).rstrip("/").endswith("/probe") and asked
