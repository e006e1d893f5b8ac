"""What only the whole of `sites.yml` shows: servers and sites that don't fit together."""

from __future__ import annotations

from collections.abc import Iterator

from core.faults import Fault
from core.servers.options import ServersTop
from core.sites import Document, Site
from core.sites.validate import nearest
from remediator.configuration.needs import circles, needs_of, whole_name
from remediator.configuration.options import RemediatorSite, RemediatorTop
from remediator.model.playbooks import DEFAULT


def check(document: Document) -> Iterator[Fault]:
    """Yield every fault between the remediator's keys."""
    yield from _unknown_servers(document)
    yield from _unknown_playbooks(document)
    yield from _needs(document)
    yield from _status_page(document)
    yield from _maintenance(document)


def _unknown_servers(document: Document) -> Iterator[Fault]:
    known = document.top(ServersTop).servers
    for site in document.sites:
        recover = site.part(RemediatorSite).recover
        if recover is None or recover.server in known:
            continue
        hint = nearest(recover.server, known) or f" (known: {', '.join(sorted(known)) or 'none'})"
        yield document.fault(site, "recover.server", f"there is no server {recover.server!r}{hint}")


def named_playbook(site: Site) -> str | None:
    """Return the playbook that a site names."""
    recover = site.part(RemediatorSite).recover
    return None if recover is None else recover.playbook


def _unknown_playbooks(document: Document) -> Iterator[Fault]:
    known = {DEFAULT, *document.top(RemediatorTop).playbooks}
    for site in document.sites:
        name = named_playbook(site)
        if name is not None and name not in known:
            hint = nearest(name, known) or f" (known: {', '.join(sorted(known))})"
            yield document.fault(site, "recover.playbook", f"there is no playbook {name!r}{hint}")


def _needs(document: Document) -> Iterator[Fault]:
    for site in document.sites:
        for number, name in enumerate(site.part(RemediatorSite).needs):
            if whole_name(document, site, name) is None:
                message = f"there is no site {name!r}{nearest(name, document.names)}"
                yield document.fault(site, f"needs[{number}]", message)
    for circle in circles({site.name: needs_of(document, site) for site in document.sites}):
        way = " needs ".join((*circle, circle[0]))
        yield document.fault(document.site(circle[0]), "needs", f"goes round in a circle: {way}")


def _status_page(document: Document) -> Iterator[Fault]:
    shown = document.top(RemediatorTop).status_page
    for number, name in enumerate(shown.sites if shown else ()):
        if document.site(name) is None:
            message = f"there is no site {name!r}{nearest(name, document.names)}"
            yield document.fault(None, f"status_page.sites[{number}]", message)


def _maintenance(document: Document) -> Iterator[Fault]:
    """A window for a name that there is not would hold nothing back."""
    top = document.top(RemediatorTop)
    for number, window in enumerate(top.maintenance):
        for key, names, known in (
            ("sites", window.sites, document.names),
            ("servers", window.servers, document.top(ServersTop).servers),
        ):
            for name in names:
                if name not in known:
                    message = f"there is no {key[:-1]} {name!r}{nearest(name, known)}"
                    yield document.fault(None, f"maintenance[{number}].{key}", message)
