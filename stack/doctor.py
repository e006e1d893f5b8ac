"""Would healing work right now? The remediator's own checks, made from here, and the services of `up`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.environment import load_environment
from core.faults import ConfigError
from core.sites import Document, load
from remediator.clients.alertmanager import AlertmanagerClient
from remediator.clients.exporter import ExporterClient
from remediator.readiness import Check, Surroundings, examine, plan_of
from stack import healing
from stack.containers import TOKENS
from stack.errors import StackError
from stack.home import Home, locate
from stack.loopback import answers
from stack.parts import PARTS
from stack.settings import LOOPBACK, Settings, load_settings

SERVICES = ("exporter", "prometheus", "alertmanager", "remediator")
_HERE = "here"


@dataclass(frozen=True)
class Finding:
    """One line of the report; `ok` None: not a fault, and still worth knowing."""

    place: str
    check: str
    ok: bool | None
    detail: str
    mend: str = ""
    site: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it in the words of `GET /api/v1/readiness`."""
        told: dict[str, Any] = {"check": self.check, "ok": self.ok, "detail": self.detail, "mend": self.mend}
        if self.place != _HERE:
            told["server"] = self.place
        return told | ({"site": self.site} if self.site else {})


@dataclass(frozen=True)
class Diagnosis:
    """All that the doctor found."""

    findings: tuple[Finding, ...]
    sites: int = 0

    @property
    def faults(self) -> tuple[Finding, ...]:
        """Return what would not work."""
        return tuple(one for one in self.findings if one.ok is False)


def diagnose(folder: Path) -> Diagnosis:
    """Look at the stack of a folder, whether it runs or not; raise StackError where there is none."""
    home = locate(folder)
    if home.demo and not home.sites_file.exists():
        raise StackError(f"{folder} has no sites.yml: ./sitemedic init writes a first one")
    try:
        environ = _environment(home)
        document = load(home.sites_file, PARTS)
        world = healing.world(environ)
        settings = _settings(environ)
    except ConfigError as error:
        return Diagnosis(tuple(Finding(_HERE, "config", False, str(fault)) for fault in error.faults))
    services = [_service(name, home, settings) for name in SERVICES]
    around = Surroundings(
        ExporterClient(settings.exporter.url), AlertmanagerClient(settings.alertmanager.url), world.linode
    )
    report = examine(plan_of(document), around, world)
    return Diagnosis(tuple(_in_order(document, services, report.checks)), len(document.sites))


def _environment(home: Home) -> Mapping[str, str]:
    environ = load_environment(home.root)
    if not home.demo:
        return environ
    from stack import demo_parts  # which Docker's image leaves out

    return demo_parts.adapted(home, demo_parts.DemoPorts.of(environ), environ)


def _settings(environ: Mapping[str, str]) -> Settings:
    with tempfile.TemporaryDirectory(prefix="sitemedic-") as tokens:  # a look leaves nothing behind
        if not _in_a_container():
            return load_settings(environ, Path(tokens))
        found = load_settings(environ, Path(tokens), "compose")
    # Its own is the remediator's: from there it tells without a password whether it is ready.
    return replace(found, remediator=replace(found.remediator, host=LOOPBACK[0]))


def _in_a_container() -> bool:
    """Tell whether this is the remediator's container: the others have names there."""
    return (TOKENS / "secrets").is_dir()


def _service(name: str, home: Home, settings: Settings) -> Finding:
    url = getattr(settings, name).url
    if answers(f"{url}/-/ready"):
        return Finding(_HERE, name, True, f"{name} is ready at {url}")
    mend = f"start it: ./sitemedic up; its log is {home.log(name)}"
    if _in_a_container():
        mend = f"start it: docker compose up -d; its log: docker compose logs {name}"
    return Finding(_HERE, name, False, f"{name} does not answer at {url}, or is not ready", mend)


def _in_order(document: Document, services: Sequence[Finding], checks: Sequence[Check]) -> list[Finding]:
    """Put what is here before the servers, and tell a service that does not answer once."""
    gone = {one.check for one in services if one.ok is False}
    asked = {str(one.check) for one in checks}
    found = [Finding(_HERE, "config", True, f"sites.yml is sound ({len(document.sites)} watched)")]
    found += [one for one in services if one.check in gone or one.check not in asked]
    for one in checks:
        if one.server is None and one.check in gone:
            continue
        found.append(Finding(one.server or _HERE, one.check, one.ok, one.detail, one.mend, one.site))
    return found
