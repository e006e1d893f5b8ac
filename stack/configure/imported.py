"""What an import has found, and how it is written as a sites.yml."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from core.faults import Fault
from stack.render.files import DUMPER

_SHARED = ("interval", "timeout", "module")
_LONGEST = 95
"""Characters of a name; a number may follow."""
_AT_SITE = re.compile(r"sites\[(\d+)\]\.?(.*)")
_AT_MODULE = re.compile(r"modules\.(imported_\d+)\.?(.*)")


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
    _taken: dict[str, int] = field(default_factory=dict)  # name → the last number behind it

    def add(self, name: str, site: dict[str, Any]) -> None:
        """Add a site under a name that `free` gave."""
        self.sites.append({"name": name, **site})

    def free(self, name: str) -> str:
        """Take a name as near to `name` as is free and allowed, and return it."""
        fit = "".join(one if one.isprintable() and one not in "/\"'`\\" else "-" for one in name)
        wanted = fit.strip("- ")[:_LONGEST].strip() or "site"
        number = self._taken.get(wanted, 0) + 1
        while (candidate := wanted if number == 1 else f"{wanted}-{number}") in self._taken:
            number += 1
        self._taken[wanted] = number
        self._taken.setdefault(candidate, 1)
        return candidate

    def note(self, what: str) -> None:
        """Keep a line for the user, once."""
        line = _one_line(what)
        if line not in self.notes:
            self.notes.append(line)

    def leave_out(self, faults: Iterable[Fault]) -> bool:
        """Drop the sites that these faults are at, and note why; say whether there were any."""
        wrong: dict[int, str] = {}
        modules: dict[str, str] = {}
        for fault in faults:
            if at_site := _AT_SITE.fullmatch(fault.path):
                wrong.setdefault(int(at_site[1]), f"{at_site[2]}: {fault.message}")
            elif at_module := _AT_MODULE.fullmatch(fault.path):
                modules.setdefault(at_module[1], f"{at_module[2]}: {fault.message}")
        for number, site in enumerate(self.sites):
            if (module := site.get("module")) in modules:
                wrong.setdefault(number, modules[module])
        for number, why in sorted(wrong.items()):
            self.note(f"{self.sites[number]['name']}: {why.removeprefix(': ')}")
        self.sites = [site for number, site in enumerate(self.sites) if number not in wrong]
        used = {site.get("module") for site in self.sites}
        self.modules = {name: module for name, module in self.modules.items() if name in used}
        return bool(wrong)


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
        document["sites"] = [dict(_kept(site, shared)) for site in imported.sites]
    head = [
        "# yaml-language-server: $schema=docs/sites.schema.json",
        f"# Imported from {_one_line(source.name)}. Every key: docs/configuration.md",
        *(f"# Not imported: {note}" for note in imported.notes),
    ]
    body = yaml.dump(document, Dumper=DUMPER, sort_keys=False, allow_unicode=True, width=110)
    return "\n".join(head) + "\n" + body


def _one_line(text: str) -> str:
    return "".join(one for one in " ".join(text.split()) if one.isprintable())


def _shared(sites: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what most sites have in common, so that it need be said once only."""
    found: dict[str, Any] = {}
    for key in _SHARED:
        if all(key in site for site in sites) and len(sites) > 1:
            found[key] = Counter(str(site[key]) for site in sites).most_common(1)[0][0]
    return found


def _kept(site: dict[str, Any], shared: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in site.items() if key not in shared or str(value) != shared[key])
