"""What sites.yml says of containers, and how it is told that it says nothing."""

from pathlib import Path

import pytest
import yaml

from core.faults import ConfigError
from core.servers.schema import api_file_faults
from core.servers.server import DockerApi
from core.sites import load
from exporter.configuration import read
from exporter.containers.plan import Thresholds
from exporter.schema import PART
from stack.parts import PARTS


def of(folder: Path, **said):
    (folder / "sites.yml").write_text(yaml.safe_dump(said))
    return {one.server.name: one for one in read(folder / "sites.yml", PARTS).containers}


def faults(folder: Path, **said):
    with pytest.raises(ConfigError) as error:
        of(folder, **said)
    return [str(fault) for fault in error.value.faults]


def site(name="shop", **said):
    return {"name": name, "url": "https://shop.example/", **said}


WEB = {"server": "web-1", "container": "nginx"}


def test_the_containers_of_recover_are_watched_by_themselves(tmp_path):
    found = of(
        tmp_path,
        servers={"web-1": {"ssh": "10.0.0.1"}, "db-1": {"ssh": "10.0.0.2"}},
        sites=[site(recover=WEB)],
    )
    assert set(found) == {"web-1"}
    assert [(one.site, one.place.container) for one in found["web-1"].sites] == [("shop", "nginx")]
    assert found["web-1"].defaults == Thresholds(cpu=0.9, memory=0.9, restarts=3)


def test_off_watches_nothing_of_a_server(tmp_path):
    servers = "servers: {web-1: {ssh: 10.0.0.1, containers: off}}"
    recover = "recover: {server: web-1, container: nginx}"
    text = f"{servers}\nsites: [{{name: shop, url: 'http://shop.example/', {recover}}}]"
    (tmp_path / "sites.yml").write_text(text)  # for YAML, off is a no
    assert read(tmp_path / "sites.yml", PARTS).containers == ()


def test_thresholds_are_the_sites_own_and_the_defaults_for_the_others(tmp_path):
    found = of(
        tmp_path,
        servers={"web-1": {"docker": "local"}},
        defaults={"container": {"cpu": "60%", "restarts": 5}},
        sites=[site(recover=WEB, container={"cpu": "70%"}), site("blog", recover=WEB)],
    )["web-1"]
    assert found.defaults == Thresholds(cpu=0.6, memory=0.9, restarts=5)
    assert [one.own.cpu for one in found.sites] == [0.7, None]


def test_the_api_beside_ssh_has_its_paths_from_the_files_folder(tmp_path):
    files = {"ca_file": "tls/ca.pem", "cert_file": "tls/cert.pem", "key_file": "tls/key.pem"}
    web = {"ssh": "10.0.0.1", "docker_api": {"url": "tcp://10.0.0.1:2376", **files}}
    found = of(tmp_path, servers={"web-1": web}, sites=[site(recover=WEB)])["web-1"]
    absolute = {key: tmp_path / path for key, path in files.items()}
    assert found.server.docker_api == DockerApi("tcp://10.0.0.1:2376", **absolute)


def test_a_file_of_the_api_that_cannot_be_read_is_told_by_the_check(tmp_path):
    files = {"ca_file": "ca.pem", "cert_file": "cert.pem", "key_file": "key.pem"}
    web = {"docker": "local", "docker_api": {"url": "tcp://10.0.0.1:2376", **files}}
    of(tmp_path, servers={"web-1": web}, sites=[site(recover=WEB)])
    (tmp_path / "ca.pem").touch()
    (tmp_path / "cert.pem").touch()
    found = api_file_faults(load(tmp_path / "sites.yml", PARTS))
    place = "sites.yml: servers.web-1.docker_api.key_file"
    assert [str(fault) for fault in found] == [f"{place}: cannot read {tmp_path / 'key.pem'}"]


def test_an_exporter_that_does_not_read_servers_watches_none(tmp_path):
    (tmp_path / "sites.yml").write_text(yaml.safe_dump({"sites": [site()]}))
    assert read(tmp_path / "sites.yml", (PART,)).containers == ()


@pytest.mark.parametrize(
    ("server", "place", "said"),
    [
        ({"containers": [{"nam": "a"}]}, ".containers[0].nam", "unknown key (did you mean 'name'?)"),
        ({"containers": [{"name": "a", "label": "b"}]}, ".containers[0]", "needs exactly one of"),
        ({"containers": [{"name": "a/b"}]}, ".containers[0].name", "such as nginx* (got 'a/b')"),
        ({"containers": [{"compose": "a"}]}, ".containers[0].compose", "project/service, or project/*"),
        ({"containers": [{"name": "a", "cpu": 80}]}, ".containers[0].cpu", "(got 80: write 80%)"),
        ({"containers": [{"name": "a", "memory": 0}]}, ".containers[0].memory", "must be above 0%"),
        ({"containers": "on"}, ".containers", "must be off, or a list such as [{name: nginx*}]"),
        ({"docker_api": {"url": "10.0.0.1"}}, ".docker_api", "must be tcp://host:port or unix:///path"),
        ({"docker_api": {"url": "tcp://a:1", "ca_file": "a"}}, ".docker_api", "TLS needs all three of"),
        ({"docker_api": {"url": "unix:///a"}}, "", "write tcp://host:2376, or docker: local"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_mend(tmp_path, server, place, said):
    (found,) = faults(tmp_path, servers={"web-1": {"ssh": "10.0.0.1", **server}}, sites=[site()])
    assert found.startswith(f"sites.yml: servers.web-1{place}: ")
    assert said in found


def test_thresholds_that_nothing_is_measured_against_are_a_fault(tmp_path):
    found = faults(
        tmp_path,
        servers={"web-1": {"ssh": "10.0.0.1", "containers": "off"}},
        defaults={"container": {"cpu": "60%"}},
        sites=[
            site("a", container={"cpu": "70%"}),
            site("b", recover=WEB, container={"restarts": 9}),
            site("c"),
            site("d", recover=WEB),
        ],
    )
    assert found == [
        (
            "sites.yml: sites[0].container: nothing says which container it lives in: "
            "add recover: {server: …, container: …}"
        ),
        "sites.yml: sites[1].container: nothing there is watched: take servers.web-1.containers: off away",
    ]
