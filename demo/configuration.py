"""The demo's own sites.yml, filled in with where everything is."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from demo.app.pages import MARKER
from demo.machine import CONTAINER_NAME

SITE = "shop"
SERVER = "demo"
LINODE = 72511363
TEMPLATE = Path(__file__).with_name("sites.yml")


@dataclass(frozen=True)
class DemoPlaces:
    """Where the demo's parts are, as the exporter and the remediator reach them."""

    site_url: str
    ssh_host: str
    ssh_port: int
    ssh_user: str
    key_file: Path
    known_hosts_file: Path
    linode: int
    canaries: Sequence[str]


def sites_yml(places: DemoPlaces) -> str:
    """Return the text of the demo's sites.yml."""
    values = {
        "site_url": places.site_url,
        "ssh_host": places.ssh_host,
        "ssh_user": places.ssh_user,
        "key_file": str(places.key_file),
        "known_hosts_file": str(places.known_hosts_file),
        "marker": MARKER,
        "container": CONTAINER_NAME,
    }
    quoted = {key: json.dumps(value) for key, value in values.items()}  # JSON's strings are YAML's
    numbers = {"ssh_port": str(places.ssh_port), "linode": str(places.linode)}
    canaries = ", ".join(json.dumps(canary) for canary in places.canaries)
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(quoted, canaries=canaries, **numbers)
