"""What an import has found, and how it is written as a sites.yml."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_SHARED = ("interval", "timeout", "module")
_UNFIT = re.compile(r"[/\"'`\\]|[^\x20-\x7e\u00a0-\uffff]")


class ImportFileError(Exception):
    """The file cannot be imported; the message says why and what to do."""


@dataclass
class Imported:
    """Sites in the words of sites.yml, and what the user should know about them."""

    sites: list[dict[str, Any]] = field(default_factory=list)
    defaults: dict[str, Any] = field(default_factory=dict)
    modules: dict[str, Any] = field(default_factory=dict)
    modules_file: str | None = None
    site_files: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, site: dict[str, Any]) -> str:
        """Add a site under a name as near to `name` as is free; return that name."""
        free = self._free(name)
        self.sites.append({"name": free, **site})
        return free

    def note(self, what: str) -> None:
        """Keep a line for the user, once."""
        line = " ".join(what.split())
        if line not in self.notes:
            self.notes.append(line)

    def _free(self, name: str) -> str:
        wanted = _UNFIT.sub("-", name).strip().strip("-")[:95] or "site"
        taken = {site["name"] for site in self.sites}
        candidates = (wanted if number == 1 else f"{wanted}-{number}" for number in range(1, len(taken) + 2))
        return next(candidate for candidate in candidates if candidate not in taken)


def sites_text(imported: Imported, source: Path) -> str:
    """Return the sites.yml that says what was imported."""
    shared = _shared(imported.sites) if not imported.site_files else {}
    document: dict[str, Any] = {}
    if imported.modules_file:
        document["modules_file"] = imported.modules_file
    if imported.modules:
        document["modules"] = imported.modules
    if defaults := {**imported.defaults, **shared}:
        document["defaults"] = defaults
    if imported.site_files:
        document["site_files"] = imported.site_files
    if imported.sites:
        document["sites"] = [_without(site, shared) for site in imported.sites]
    head = [
        "# yaml-language-server: $schema=docs/sites.schema.json",
        f"# Imported from {source.name}. Every key: docs/configuration.md",
        *(f"# Not imported: {note}" for note in imported.notes),
    ]
    body = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    return "\n".join(head) + "\n" + body


def _shared(sites: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what most sites have in common, so that it need be said once only."""
    found: dict[str, Any] = {}
    for key in _SHARED:
        if all(key in site for site in sites) and len(sites) > 1:
            found[key] = Counter(str(site[key]) for site in sites).most_common(1)[0][0]
    return found


def _without(site: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    return dict(_kept(site, shared))


def _kept(site: dict[str, Any], shared: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in site.items() if key not in shared or str(value) != shared[key])
