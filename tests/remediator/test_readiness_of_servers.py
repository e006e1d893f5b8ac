"""What is found wrong with a server before it is needed, and the mend: a real sshd, a Docker in small."""

import os
import pwd
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.servers import connect
from core.servers.server import Server
from remediator.model.action import Target, World
from remediator.on_server import wrapper
from remediator.readiness import servers
from remediator.readiness.check import Check
from remediator.readiness.plan import ServerPlan
from tests.ports import free_port
from tests.remediator.wrapped import Wrapped
from tests.ssh_server import SshServer, make_key, running_ssh_server

pytestmark = pytest.mark.needs("sshd", "ssh-keygen")
STATE = (
    '[{"Id": "%s", "Name": "/%s", "State": {"Status": "%s", "StartedAt": "x"}, '
    '"RestartCount": 0, "Config": {}}]'
)
ID, OTHER = "a" * 64, "b" * 64


class Place:
    """A server with a Docker in small, first without a wrapper."""

    def __init__(self, wrapped: Wrapped, ssh: SshServer) -> None:
        self.wrapped = wrapped
        self.ssh = ssh

    def has(self, name: str, status: str = "running", identity: str = ID) -> None:
        for key in (name, identity):
            text = STATE % (identity, name, status)
            (self.wrapped.folder / "containers" / key).write_text(text)

    def docker(self, script: str) -> None:
        (self.wrapped.folder / "bin" / "docker").write_text(f"#!/bin/sh\n{script}\n")

    def names(self, *names: str) -> None:
        (self.wrapped.folder / "ids").write_text("".join(f"{name}\n" for name in names))

    def force(self) -> None:
        """Put the wrapper in force."""
        line = self.wrapped.line(self.ssh.key_file.with_suffix(".pub").read_text())
        (self.ssh.folder / "authorized_keys").write_text(line)

    def look(self, *containers: str, **changes: object) -> list[Check]:
        server = self.ssh.server()
        targets = tuple(Target(f"site-{name}", server, container=name) for name in containers)
        plan = ServerPlan(server, targets or (Target("shop", server, container="nginx"),))
        return servers.look(replace(plan, **changes), World(connect, None, time.time))  # type: ignore[arg-type]

    def compose(self) -> list[Check]:
        return self.look(targets=(Target("shop", self.ssh.server(), compose=("shop", "web")),))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Wrapped, SshServer]]:
    wrapped = Wrapped(tmp_path_factory.mktemp("wrapper"))
    path = f"{wrapped.folder / 'bin'}:/usr/bin:/bin"
    with running_ssh_server(tmp_path_factory.mktemp("ssh"), {"PATH": path}) as server:
        yield wrapped, server


@pytest.fixture
def place(running: tuple[Wrapped, SshServer]) -> Place:
    wrapped, ssh = running
    for path in (*(wrapped.folder / "containers").iterdir(), wrapped.folder / "ids"):
        path.unlink(missing_ok=True)
    wrapped.fake_docker()
    wrapped.allow("container nginx")
    ssh.pin()
    (ssh.folder / "authorized_keys").write_text(ssh.key_file.with_suffix(".pub").read_text())
    return Place(wrapped, ssh)


def only(found: list[Check], check: str) -> Check:
    matching = [one for one in found if one.check == check]
    assert len(matching) == 1, found
    return matching[0]


def failed(found: list[Check], check: str) -> Check:
    assert [one.check for one in found if one.ok is False] == [check], found
    return only(found, check)


def test_a_server_with_the_wrapper_is_ready(place: Place) -> None:
    place.wrapped.container("nginx")
    (place.wrapped.folder / "containers" / "nginx").write_text(
        f'{ID} /nginx "" "" ""\n{(STATE % (ID, "nginx", "running"))[1:-1]}\n'
    )
    place.force()
    found = place.look()
    assert {(one.check, one.ok) for one in found} == {
        ("files", True), ("ssh", True), ("wrapper", True), ("docker", True), ("container", True),
    }  # fmt: skip
    assert only(found, "container").site == "shop"
    assert all(one.server == "web-1" for one in found)


def test_without_the_wrapper_it_works_and_says_what_the_key_may_do(place: Place) -> None:
    place.has("nginx")
    found = place.look()
    assert not [one for one in found if one.ok is False]
    check = only(found, "wrapper")
    assert check.ok is None
    assert "as much as root" in check.detail
    assert check.mend == "./sitemedic server setup web-1 prints what to put there"


def test_a_container_that_the_wrapper_refuses_is_told_with_the_line_to_add(place: Place) -> None:
    place.has("shop")
    place.force()
    check = failed(place.look("shop"), "container")
    assert "add the line 'container shop' to " in check.mend
    assert check.site == "site-shop"


def test_a_missing_container_is_told_with_the_one_that_was_most_likely_meant(place: Place) -> None:
    place.names("nginx", "postgres")
    check = failed(place.look("ngins"), "container")
    assert "no container ngins" in check.detail
    assert "(did you mean 'nginx'?)" in check.detail
    assert "docker ps" in check.mend


def test_a_missing_container_beside_others_is_told_with_them(place: Place) -> None:
    place.names("nginx", "postgres")
    assert "(there are: nginx, postgres)" in failed(place.look("wiki"), "container").detail


def test_a_service_of_two_containers_is_ambiguous(place: Place) -> None:
    place.names(ID, OTHER)
    place.has("shop-web-1", identity=ID)
    place.has("shop-web-2", identity=OTHER)
    both = f"{STATE[:-1] % (ID, 'shop-web-1', 'running')},{STATE[1:] % (OTHER, 'shop-web-2', 'running')}"
    place.docker(f"case $1 in ps) cat {place.wrapped.folder}/ids ;; *) echo '{both}' ;; esac")
    check = failed(place.compose(), "container")
    assert "2 containers (shop-web-1, shop-web-2)" in check.detail
    assert "container:" in check.mend


def test_a_paused_container_would_not_be_restarted(place: Place) -> None:
    place.has("nginx", "paused")
    check = failed(place.look(), "container")
    assert check.mend == "on web-1: docker unpause nginx"


@pytest.mark.parametrize(
    ("script", "words", "mend"),
    [
        (
            "echo 'permission denied while trying to connect to the Docker daemon socket' >&2; exit 1",
            "permission denied",
            "add it to the docker group",
        ),
        (
            "echo 'Cannot connect to the Docker daemon. Is the docker daemon running?' >&2; exit 1",
            "Cannot connect",
            "Docker does not run there",
        ),
        ("echo 'sh: docker: not found' >&2; exit 127", "not found", "install Docker there"),
    ],
)
def test_a_docker_that_does_not_answer_is_told_once(place: Place, script: str, words: str, mend: str) -> None:
    place.docker(script)
    check = failed(place.look("nginx", "shop", "wiki"), "docker")
    assert words in check.detail
    assert mend in check.mend


@pytest.mark.skipif(Path(pwd.getpwuid(os.geteuid()).pw_shell).name != "bash", reason="bash reads ~/.bashrc")
def test_a_login_shell_that_waits_is_told_as_that_and_docker_is_not_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wrapper, "LOOK_SECONDS", 3.0)
    (tmp_path / ".bashrc").write_text("sleep 60\n")
    with running_ssh_server(tmp_path / "ssh", {"HOME": str(tmp_path)}) as server:
        target = Target("shop", server.server(), container="shop")
        found = servers.look(ServerPlan(target.server, (target,)), World(connect, None, time.time))
    check = failed(found, "wrapper")
    assert "did not end in time" in check.detail
    assert check.mend.startswith(f"try: ssh -i {server.key_file} -p {server.port} ")
    assert "@127.0.0.1 true. Where that hangs too, see what " in check.mend
    assert "(bash: ~/.bashrc)" in check.mend
    assert not [one for one in found if one.check in ("docker", "container")]


def test_a_hook_needs_the_wrapper_and_a_line(place: Place) -> None:
    place.has("nginx")
    check = failed(place.look(hooks=("reindex",)), "hook")
    assert "./sitemedic server setup web-1" in check.mend
    place.force()
    place.wrapped.allow("hook reindex")
    place.wrapped.hook("reindex", "true", 0o777)
    hooks = [one for one in place.look(hooks=("other", "reindex")) if one.check == "hook"]
    assert [one.ok for one in hooks] == [False, False]
    assert hooks[0].mend == "on web-1, add the line 'hook other' to /etc/sitemedic/allowed"
    assert "others cannot write to" in hooks[1].detail
    place.wrapped.hook("reindex", "true")
    assert [one.ok for one in place.look(hooks=("reindex",)) if one.check == "hook"] == [True]


def test_an_old_wrapper_and_a_damaged_list_are_told(place: Place) -> None:
    place.has("nginx")
    place.force()
    place.wrapped.allow("container nginx", "vm 7")
    assert "vm 7" in only(place.look(), "wrapper").detail
    text = place.wrapped.file.read_text()
    place.wrapped.file.write_text(text.replace(f"\nversion={wrapper.VERSION}\n", "\nversion=1\n"))
    check = only(place.look(), "wrapper")
    place.wrapped.file.write_text(text)
    assert (check.ok, "version 1" in check.detail) == (None, True)
    assert check.detail.endswith("the exporter sees no container through it")


def test_containers_that_are_to_be_watched_and_not_shown_are_told_with_what_mends_it(place: Place) -> None:
    place.has("nginx")
    place.force()
    place.wrapped.allow("container nginx", "watch db*")
    assert only(place.look(watched=("watch db*",)), "wrapper").ok
    check = only(place.look(watched=("watch *", "watch db*")), "wrapper")
    assert (check.ok, "no line watch *" in check.detail) == (None, True)
    assert "./sitemedic server setup web-1" in check.mend


def test_a_closed_port_is_told_with_the_command_to_try(place: Place) -> None:
    place.ssh.port, kept = free_port(), place.ssh.port
    try:
        check = failed(place.look(), "ssh")
        assert f"-p {place.ssh.port}" in check.mend
    finally:
        place.ssh.port = kept
    assert "Connection refused" in check.detail
    assert f"ssh -i {place.ssh.key_file}" in check.mend


def test_an_unknown_host_key_is_told_with_the_line_that_pins_it(place: Place) -> None:
    place.ssh.known_hosts_file.write_text("")
    check = failed(place.look(), "ssh")
    assert "is not known" in check.detail
    line = check.mend.removeprefix("run: ").partition(" and compare")[0]
    subprocess.run(line, shell=True, check=True, capture_output=True, timeout=20)
    assert not [one for one in place.look() if one.check == "ssh" and not one.ok]


def test_a_changed_host_key_is_told_with_its_fingerprint_and_a_warning(place: Place, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text().split()
    place.ssh.known_hosts_file.write_text(f"[127.0.0.1]:{place.ssh.port} {other[0]} {other[1]}\n")
    check = failed(place.look(), "ssh")
    assert "is not the one we know (it shows SHA256:" in check.detail
    assert "Only where it is the server's own: ssh-keygen -R" in check.mend


def test_a_refused_key_is_told_with_where_its_line_goes(place: Place) -> None:
    (place.ssh.folder / "authorized_keys").write_text("")
    check = failed(place.look(), "ssh")
    assert "does not accept the key" in check.detail
    assert "authorized_keys" in check.mend
    assert "./sitemedic server setup web-1" in check.mend


def test_what_is_wrong_with_the_files_is_told_without_a_try(place: Place) -> None:
    faults = (("servers.web-1.ssh.key_file", "cannot read keys/x"),)
    found = place.look(file_faults=faults)
    assert [one.check for one in found] == ["files"]
    assert found[0].detail == "servers.web-1.ssh.key_file: cannot read keys/x"


def test_a_server_that_nothing_is_healed_on_is_not_entered() -> None:
    server = Server("idle", None, linode=7)
    found = servers.look(ServerPlan(server), World(connect, None, time.time))
    assert found == []


def test_this_machines_own_docker_is_looked_at_without_ssh(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{place.wrapped.folder / 'bin'}:{os.environ['PATH']}")
    place.has("nginx")
    server = Server("here", local=True)
    plan = ServerPlan(server, (Target("shop", server, container="nginx"),))
    found = servers.look(plan, World(connect, None, time.time))
    assert [(one.check, one.ok) for one in found] == [("docker", True), ("container", True)]
