"""`site_files`: target lists in the form of Prometheus's file service discovery.

A list of `{targets: [...], labels: {...}}`. Each target is a site; the labels `site`, `module` (or
`__param_module`) and the options of a site that are plain text are taken as such, the others go to
its `labels`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.faults import ConfigError, Fault
from core.sites.yaml_file import read_yaml

_LABEL_KEYS = ("module", "group", "interval", "timeout", "email")


def site_file_paths(patterns: Sequence[str], folder: Path) -> list[Path]:
    """Return the files that `patterns` name below `folder`, in order, each once."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        base, relative = (Path("/"), pattern[1:]) if pattern.startswith("/") else (folder, pattern)
        found.update(dict.fromkeys(sorted(path for path in base.glob(relative) if path.is_file())))
    return list(found)


def read_site_file(path: Path, shown: str) -> tuple[list[tuple[str, dict[str, Any]]], list[Fault]]:
    """Return `(place, site)` for each target of a file, and what is wrong with the file."""
    try:
        groups = read_yaml(path, shown)
    except ConfigError as error:
        return [], list(error.faults)
    if not isinstance(groups, list):
        return [], [Fault(shown, "", "must be a list of {targets: [...], labels: {...}}")]
    sites: list[tuple[str, dict[str, Any]]] = []
    faults: list[Fault] = []
    for number, group in enumerate(groups):
        found, wrong = _group_sites(group, f"[{number}]", shown)
        sites.extend(found)
        faults.extend(wrong)
    return sites, faults


def _group_sites(group: Any, place: str, shown: str) -> tuple[list[tuple[str, dict[str, Any]]], list[Fault]]:
    if not isinstance(group, Mapping) or not isinstance(group.get("targets"), list):
        return [], [Fault(shown, place, "must be {targets: [...], labels: {...}}")]
    faults = [
        Fault(shown, f"{place}.{key}", "unknown key (known here: labels, targets)")
        for key in group
        if key not in ("targets", "labels")
    ]
    labels = group.get("labels") or {}
    if not isinstance(labels, Mapping):
        return [], [*faults, Fault(shown, f"{place}.labels", "must be a mapping of label to text")]
    sites = []
    for number, target in enumerate(group["targets"]):
        where = f"{place}.targets[{number}]"
        if isinstance(target, str) and target:
            sites.append((where, _site(target, labels, alone=len(group["targets"]) == 1)))
        else:
            faults.append(Fault(shown, where, "must be a target: a URL or host:port"))
    return sites, faults


def _site(target: str, labels: Mapping[str, Any], *, alone: bool) -> dict[str, Any]:
    rest = {str(key): value if isinstance(value, str) else str(value) for key, value in labels.items()}
    name = rest.pop("site", "")
    site: dict[str, Any] = {"name": name if name and alone else target, "url": target}
    module = rest.pop("__param_module", "")
    if module:
        site["module"] = module
    site.update((key, rest.pop(key)) for key in _LABEL_KEYS if key in rest)
    kept = {key: value for key, value in rest.items() if not key.startswith("__")}
    return {**site, "labels": kept} if kept else site
