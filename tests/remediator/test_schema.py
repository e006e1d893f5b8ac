from pathlib import Path
from typing import Any

import pytest
import yaml

from core.faults import ConfigError
from core.servers import schema as servers_schema
from core.servers.server import Server, SshSettings
from core.sites import Document, Options, Part, json_schema, load
from remediator.configuration import schema


class Url(Options):
    url: str = ""


PARTS = (Part("exporter", site=Url), servers_schema.PART, schema.PART)
SERVERS = {"web-1": {"ssh": "10.0.0.11", "linode": 101, "may_reboot": True}, "db-1": {"ssh": "10.0.0.21"}}


def read(folder: Path, **keys: Any) -> Document:
    keys.setdefault("sites", [{"name": "www"}])
    path = folder / "sites.yml"
    path.write_text(yaml.safe_dump(keys))
    return load(path, PARTS)


def faults(folder: Path, **keys: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, **keys)
    return [str(fault) for fault in caught.value.faults]


def site(name: str = "www", **keys: Any) -> dict[str, Any]:
    return {"name": name, **keys}


def ssh_of(server: Server) -> SshSettings:
    assert server.ssh is not None
    return server.ssh


@pytest.mark.parametrize(
    ("text", "user", "host", "port"),
    [
        ("203.0.113.7", "root", "203.0.113.7", 22),
        ("medic@203.0.113.7", "medic", "203.0.113.7", 22),
        ("medic@web.example.com:2222", "medic", "web.example.com", 2222),
        ("web:2222", "root", "web", 2222),
        ("medic@[2001:db8::1]:2222", "medic", "2001:db8::1", 2222),
        ("2001:db8::1", "root", "2001:db8::1", 22),
    ],
)
def test_ssh_is_written_as_people_write_it(
    tmp_path: Path, text: str, user: str, host: str, port: int
) -> None:
    ssh = ssh_of(servers_schema.servers(read(tmp_path, servers={"web": {"ssh": text}}))["web"])
    assert (ssh.user, ssh.host, ssh.port) == (user, host, port)


@pytest.mark.parametrize(
    "text",
    ["", "@web", "web:", "web:x", "web:0", "web:70000", "a b", "-oProxyCommand=x", "$(id)@web", "[::1]x"],
)
def test_ssh_that_is_no_place_is_refused(tmp_path: Path, text: str) -> None:
    found = faults(tmp_path, servers={"web": {"ssh": text}})
    assert [line.startswith("sites.yml: servers.web.ssh") for line in found] == [True], found


def test_a_servers_own_words_go_before_the_defaults(tmp_path: Path) -> None:
    document = read(
        tmp_path,
        defaults={
            "ssh": {"user": "medic", "port": 2200, "key_file": "keys/medic", "known_hosts_file": "/etc/known"}
        },
        servers={
            "a": {"ssh": "10.0.0.1"},
            "b": {"ssh": {"host": "10.0.0.2", "user": "root", "key_file": "/k"}},
        },
    )
    servers = servers_schema.servers(document)
    assert ssh_of(servers["a"]) == SshSettings(
        "10.0.0.1", 2200, "medic", tmp_path / "keys/medic", Path("/etc/known")
    )
    assert ssh_of(servers["b"]) == SshSettings("10.0.0.2", 2200, "root", Path("/k"), Path("/etc/known"))


def test_a_new_user_names_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    document = read(tmp_path, servers={"web": {"ssh": "web"}})
    assert ssh_of(servers_schema.servers(document)["web"]).key_file is None
    for place in (tmp_path / "home/.ssh", tmp_path / "keys"):
        place.mkdir(parents=True)
        (place / "id_ed25519").write_text("key")
        assert ssh_of(servers_schema.servers(document)["web"]).key_file == place / "id_ed25519"
    (tmp_path / "home/.ssh/known_hosts").write_text("")
    known = ssh_of(servers_schema.servers(document)["web"]).known_hosts_file
    assert known == tmp_path / "home/.ssh/known_hosts"
    (tmp_path / "known_hosts").write_text("")
    assert ssh_of(servers_schema.servers(document)["web"]).known_hosts_file == tmp_path / "known_hosts"


def test_targets_say_what_heals_a_site(tmp_path: Path) -> None:
    document = read(
        tmp_path,
        servers={**SERVERS, "here": {"docker": "local"}},
        sites=[
            site(recover={"server": "web-1", "compose": "shop/web", "mode": "observe"}, apps=[site("api")]),
            site("redis", recover={"server": "here", "container": "redis"}),
        ],
        remediation={"stop_timeout": "7s"},
    )
    targets = schema.targets(document)
    assert set(targets) == {"www", "redis"}, "an app inherits no permission"
    www, redis = targets["www"], targets["redis"]
    assert (www.compose, www.container, www.stop_timeout) == (("shop", "web"), None, 7.0)
    assert (www.server.linode, www.server.may_reboot, www.server.local) == (101, True, False)
    assert (redis.container, redis.server.local, redis.server.ssh) == ("redis", True, None)
    infos = [document.info(one) for one in document.sites]
    assert [info["server"] for info in infos] == ["web-1", "", "here"]
    assert [info["healing"] for info in infos] == ["observe", "", "auto"]
    assert [str(schema.mode(document, one)) for one in document.sites] == ["observe", "auto", "auto"]


def test_all_faults_are_told_at_once_with_the_mend(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        servers={
            **SERVERS,
            "a": {"ssh": "10.0.0.1", "may_reboot": True},
            "b": {},
            "c": {"docker": "local", "linode": 5, "may_reboot": True},
        },
        remediation={"max_unhealthy": "140%", "stop_timout": "1s"},
        sites=[
            site(recover={"server": "web-1"}),
            site("x", recover={"server": "web-1", "container": "-x"}),
            site("y", recover={"server": "web-1", "container": "x", "compose": "a/b"}),
            site("z", recover={"server": "web-1", "compose": "a"}),
        ],
    )
    expected = [
        "servers.a: may_reboot needs linode",
        "servers.b: needs exactly one of ssh and docker: local",
        "servers.c: may_reboot: this machine runs Sitemedic itself",
        "remediation.max_unhealthy: must be a share such as 40% or 0.4 (got '140%')",
        "remediation.stop_timout: unknown key (did you mean 'stop_timeout'?)",
        "sites[0].recover: needs exactly one of container and compose",
        "sites[1].recover.container: must be a container's name (got '-x')",
        "sites[2].recover: needs exactly one of container and compose",
        "sites[3].recover.compose: must be written project/service (got 'a')",
    ]
    assert len(found) == len(expected), found
    for line, beginning in zip(found, expected, strict=True):
        assert line.startswith(f"sites.yml: {beginning}"), line


def test_an_unknown_server_is_told_with_the_nearest(tmp_path: Path) -> None:
    found = faults(tmp_path, servers=SERVERS, sites=[site(recover={"server": "web1", "container": "x"})])
    assert found == ["sites.yml: sites[0].recover.server: there is no server 'web1' (did you mean 'web-1'?)"]


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (
            {"ssh": "a", "linode": 5},
            {"ssh": "b", "linode": 5},
            "servers.two.linode: is the same Linode as one",
        ),
        ({"ssh": "a"}, {"ssh": "root@A"}, "servers.two.ssh: is the same machine as one"),
        ({"docker": "local"}, {"docker": "local"}, "servers.two.docker: is this same machine as one"),
    ],
)
def test_one_machine_has_one_name(tmp_path: Path, one: Any, other: Any, words: str) -> None:
    assert words in faults(tmp_path, servers={"one": one, "two": other})[0]


def test_needs_are_found_from_the_nearest_outwards(tmp_path: Path) -> None:
    document = read(
        tmp_path,
        sites=[
            site(needs=["redis", "shop"], apps=[site("redis"), site("api", needs=["redis", "www/redis"])]),
            site("shop", needs=["redis"]),
            site("redis"),
        ],
    )
    found = {one.name: schema.needs_of(document, one) for one in document.sites}
    assert found["www"] == ("www/redis", "shop")
    assert found["www/api"] == ("www/redis", "www/redis")
    assert found["shop"] == ("redis",)


def test_needs_that_are_nowhere_or_go_round_are_told(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        sites=[
            site("a", needs=["b"]),
            site("b", needs=["c"]),
            site("c", needs=["a", "redsi"]),
            site("redis", needs=["redis"]),
        ],
    )
    assert any(
        "sites[2].needs[1]: there is no site 'redsi' (did you mean 'redis'?)" in line for line in found
    )
    assert "sites.yml: sites[0].needs: goes round in a circle: a needs b needs c needs a" in found
    assert "sites.yml: sites[3].needs: goes round in a circle: redis needs redis" in found


def test_a_long_chain_of_needs_is_no_circle_and_no_recursion(tmp_path: Path) -> None:
    chain = [site(f"s{number}", needs=[f"s{number + 1}"]) for number in range(2000)]
    read(tmp_path, sites=[*chain, site("s2000")])


def test_the_files_of_keys_are_looked_at_only_where_they_are_needed(tmp_path: Path) -> None:
    key, known = tmp_path / "medic", tmp_path / "known"
    document = read(
        tmp_path, servers={"web": {"ssh": {"host": "web", "key_file": "medic", "known_hosts_file": "known"}}}
    )
    first = [str(fault) for fault in servers_schema.file_faults(document)]
    assert [line.partition(": ")[2].partition(":")[0] for line in first] == [
        "servers.web.ssh.key_file",
        "servers.web.ssh.known_hosts_file",
    ]
    assert "ssh-keyscan -t ed25519 web >> " in first[1]
    key.write_text("key")
    known.write_text("")
    key.chmod(0o644)
    assert [fault.message for fault in servers_schema.file_faults(document)] == [
        f"others may read {key}: chmod 600 {key}"
    ]
    key.chmod(0o600)
    assert servers_schema.file_faults(document) == []


def test_shares_are_written_in_per_cent_or_as_a_ratio(tmp_path: Path) -> None:
    for text, ratio in (("40%", 0.4), (0.25, 0.25), (0, 0.0), ("100%", 1.0), (1, 1.0)):
        document = read(tmp_path, remediation={"max_unhealthy": text})
        assert document.top(schema.RemediatorTop).remediation.max_unhealthy == ratio
    for text in ("half", True, -0.1, 40, "nan"):
        assert "must be a share" in faults(tmp_path, remediation={"max_unhealthy": text})[0]


def test_editors_get_a_schema(tmp_path: Path) -> None:
    properties = json_schema(PARTS)["properties"]
    assert {"servers", "remediation"} <= set(properties)


def test_a_maintenance_window_names_what_there_is(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        servers=SERVERS,
        maintenance=[
            {"from": "23:00", "until": "01:00", "sites": ["wwww"]},
            {"from": "23:00", "until": "01:00", "servers": ["web-2"]},
            {"from": "25:00", "until": "01:00"},
            {"from": "2026-12-01 22:00", "until": "01:00"},
            {"from": "2026-12-01 22:00", "until": "2026-12-01 22:00"},
            {"from": "2026-02-30 22:00", "until": "2026-12-01 22:00"},
            {"from": "22:00", "until": "23:00", "timezone": "Mars/Olympus"},
            {"from": "22:00", "until": "23:00", "days": ["sunday"]},
        ],
    )
    assert [line.split(": ")[1] for line in found] == [
        "maintenance[2].from",
        "maintenance[3]",
        "maintenance[4]",
        "maintenance[5].from",
        "maintenance[6].timezone",
        "maintenance[7].days[0]",
    ]
    named = faults(tmp_path, servers=SERVERS, maintenance=[
        {"from": "23:00", "until": "01:00", "sites": ["wwww"]},
        {"from": 1380, "until": "01:00", "servers": ["web-2"]},
    ])  # fmt: skip
    assert named == [
        "sites.yml: maintenance[0].sites: there is no site 'wwww' (did you mean 'www'?)",
        "sites.yml: maintenance[1].servers: there is no server 'web-2' (did you mean 'web-1'?)",
    ]
