"""Look, from outside of the remediator, whether healing would work: what `up` tells at its start.

It only looks: it logs in by SSH and reads the Linode, as the remediator would before an act.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from core.faults import ConfigError
from core.secrets import from_environment
from core.servers import connect
from core.sites import Document
from remediator.clients.linode import DEFAULT_URL, LinodeAPI
from remediator.model.action import World
from remediator.readiness import Check, examine, plan_of


def faults(document: Document, environ: Mapping[str, str]) -> list[str]:
    """Return a line for each thing that would keep a site from being healed now: what, and what to do."""
    try:
        here = world(environ)
    except ConfigError as error:
        return [str(error)]
    return [_line(one) for one in examine(plan_of(document), None, here).faults]


def world(environ: Mapping[str, str]) -> World:
    """Return what is looked at, with the token of .env; raise ConfigError where it cannot be read."""
    token = from_environment("LINODE_TOKEN", environ)
    linode = LinodeAPI(token, environ.get("LINODE_API_URL") or DEFAULT_URL) if token else None
    return World(connect, linode, time.time)


def _line(check: Check) -> str:
    where = f"{check.server}: " if check.server else ""
    return f"{where}{check.detail}; {check.mend}" if check.mend else f"{where}{check.detail}"
