"""The remediator's part of `sites.yml`: servers, what may be done about a site, and how far to go."""

from __future__ import annotations

from core.servers.schema import servers
from core.sites import Document, Part, Place, Site
from remediator.configuration.needs import needs_of
from remediator.configuration.options import RemediatorSite, RemediatorTop
from remediator.configuration.playbook_options import playbooks_of
from remediator.configuration.schema_checks import check, named_playbook
from remediator.model.action import Target
from remediator.model.incident import Mode
from remediator.model.playbooks import DEFAULT, Playbook

__all__ = ["PART", "mode", "needs_of", "playbooks", "targets"]


def targets(document: Document) -> dict[str, Target]:
    """Return what heals each site, by the site's name; a site that may not be touched is left out."""
    known = servers(document)
    stop_timeout = document.top(RemediatorTop).remediation.stop_timeout
    found = {}
    for site in document.sites:
        recover = site.part(RemediatorSite).recover
        if recover is None:
            continue
        project, _, service = (recover.compose or "").partition("/")
        found[site.name] = Target(
            site=site.name,
            server=known[recover.server],
            container=recover.container,
            compose=(project, service) if recover.compose is not None else None,
            stop_timeout=stop_timeout,
        )
    return found


def mode(document: Document, site: Site) -> Mode:
    """Return a site's own mode, else the one for all."""
    recover = site.part(RemediatorSite).recover
    own = recover.mode if recover is not None else None
    return own or document.top(RemediatorTop).remediation.mode


def playbooks(document: Document) -> dict[str, Playbook]:
    """Return the playbook of each site: the one that it names, else the one named default."""
    known = playbooks_of(document.top(RemediatorTop).playbooks)
    return {site.name: known[named_playbook(site) or DEFAULT] for site in document.sites}


def _info(site: Site, document: Document) -> dict[str, str]:
    recover = site.part(RemediatorSite).recover
    if recover is None:
        return {"server": "", "healing": ""}
    return {"server": recover.server, "healing": mode(document, site)}


def _place(site: Site) -> Place | None:
    recover = site.part(RemediatorSite).recover
    return None if recover is None else Place(recover.server, recover.container or "", recover.compose or "")


PART = Part(
    owner="remediator",
    top=RemediatorTop,
    site=RemediatorSite,
    inherited=frozenset(),
    check=check,
    info=_info,
    place=_place,
)
