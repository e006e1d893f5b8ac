"""Where the demo's parts are in docker-compose.yml; run as a module, the sites.yml made of that."""

import sys
from pathlib import Path

from demo.configuration import LINODE, DemoPlaces, sites_yml

COMPOSE = DemoPlaces(
    site_url="http://machine:8080/",
    ssh_host="machine",
    ssh_port=2222,
    ssh_user="sitemedic",
    key_file=Path("/demo/machine/keys/medic"),
    known_hosts_file=Path("/demo/machine/keys/known_hosts"),
    linode=LINODE,
    canaries=["http://mailbox:8025/", "tcp://linode:8091"],
)

if __name__ == "__main__":
    sys.stdout.write(sites_yml(COMPOSE))
