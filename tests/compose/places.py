"""Where the demo's parts are in docker-compose.yml."""

from pathlib import Path

from demo.configuration import DemoPlaces

COMPOSE = DemoPlaces(
    site_url="http://machine:8080/",
    ssh_host="machine",
    ssh_port=2222,
    ssh_user="sitemedic",
    key_file=Path("/demo/machine/keys/medic"),
    known_hosts_file=Path("/demo/machine/keys/known_hosts"),
    linode=101,
    canaries=["http://mailbox:8025/", "tcp://linode:8091"],
)
