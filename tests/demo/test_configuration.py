"""The demo's sites.yml is a plain one that the real parts accept."""

from pathlib import Path

import pytest
import yaml

from demo.configuration import DemoPlaces, sites_yml


@pytest.fixture
def text() -> str:
    places = DemoPlaces(
        site_url="http://127.0.0.1:8080/",
        ssh_host="127.0.0.1",
        ssh_port=2222,
        ssh_user="medic",
        key_file=Path("/tmp/a: folder #1/keys/medic"),
        known_hosts_file=Path("/tmp/a: folder #1/keys/known_hosts"),
        linode=72511363,
        canaries=["http://127.0.0.1:1/", "tcp://127.0.0.1:2"],
    )
    return sites_yml(places)


def test_it_survives_odd_paths_and_names(text: str) -> None:
    document = yaml.safe_load(text)
    assert document["servers"]["demo"]["ssh"]["user"] == "medic"
    assert document["servers"]["demo"]["ssh"]["key_file"] == "/tmp/a: folder #1/keys/medic"
    assert document["canaries"] == ["http://127.0.0.1:1/", "tcp://127.0.0.1:2"]


def test_config_check_finds_no_fault_in_it(text: str, tmp_path: Path) -> None:
    from core.sites import load
    from stack.parts import PARTS

    path = tmp_path / "sites.yml"
    path.write_text(text)
    document = load(path, PARTS)
    assert [site.name for site in document.sites] == ["shop"]
