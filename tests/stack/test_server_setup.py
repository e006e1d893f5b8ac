"""`./sitemedic server setup`: what is printed, and that it yields a server that Sitemedic can heal on."""

import shlex
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from core.servers import connect
from core.servers.ssh import SshConnector
from core.sites import load
from remediator.actions import ACTIONS
from remediator.configuration.schema import targets
from remediator.model.action import Progress, Target, World
from remediator.readiness import plan_of, servers
from stack.errors import StackError
from stack.parts import PARTS
from stack.server_cli import server_group
from stack.server_setup import script, setup_of
from tests.docker_engine import DockerEngine, needs_docker, running_engine
from tests.ports import free_port
from tests.remediator import acting
from tests.ssh_server import SSHD, make_key
from tests.waiting import until

SITES = """
defaults: {{ssh: {{key_file: keys/medic, known_hosts_file: keys/known_hosts, port: {port}}}}}
servers:
  web-1:
    ssh: {user}127.0.0.1
    containers: [{{name: "db[12]*"}}, {{compose: shop/*}}, {{label: tier=db}}, {{label: team}}]
  db-1: {{ssh: medic@203.0.113.9}}
  here: {{docker: local}}
playbooks:
  search: {{answers_wrongly: [{{action: run_hook, hook: reindex}}]}}
sites:
  - {{name: www, url: "http://127.0.0.1:1/", recover: {{server: web-1, container: shop}}}}
  - {{name: app, url: "http://127.0.0.1:1/", recover: {{server: web-1, container: shop}}}}
  - {{name: api, url: "http://127.0.0.1:1/", recover: {{server: web-1, compose: shop/web, playbook: search}}}}
  - {{name: db, url: "http://127.0.0.1:1/", recover: {{server: db-1, container: postgres}}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "keys").mkdir()
    make_key(tmp_path / "keys" / "medic")
    write(tmp_path, 22)
    return tmp_path


def write(folder: Path, port: int, user: str = "") -> None:
    (folder / "sites.yml").write_text(SITES.format(port=port, user=user))


def printed(folder: Path, name: str = "web-1", user: str | None = None) -> str:
    return script(setup_of(load(folder / "sites.yml", PARTS), name, user))


def refusal(folder: Path, name: str = "web-1") -> str:
    with pytest.raises(StackError) as caught:
        printed(folder, name)
    return str(caught.value)


def test_the_list_holds_what_is_healed_and_watched_on_the_server_and_nothing_else(folder: Path) -> None:
    found = setup_of(load(folder / "sites.yml", PARTS), "web-1")
    assert found.allowed == (
        *("compose shop/web", "container shop"),
        *("label team", "label tier", "watch *", "watch db?*", "watch shop/*", "hook reindex"),
    )
    assert setup_of(load(folder / "sites.yml", PARTS), "db-1").allowed == ("container postgres",)


def test_the_keys_public_half_is_printed_and_nothing_of_the_private_one(folder: Path) -> None:
    text = printed(folder)
    key = folder / "keys" / "medic"
    kind, body = key.with_suffix(".pub").read_text().split()[:2]
    assert f'restrict,command="/usr/local/bin/sitemedic-wrapper" {kind} {body} sitemedic' in text
    assert "PRIVATE" not in text
    secret = [line for line in key.read_text().splitlines() if "-----" not in line]
    assert not any(line in text for line in secret)


@pytest.mark.parametrize("pub", ["missing", "another's", "the private key"])
def test_the_public_half_is_the_keys_own_whatever_stands_beside_it(folder: Path, pub: str) -> None:
    key = folder / "keys" / "medic"
    body = key.with_suffix(".pub").read_text().split()[1]
    match pub:
        case "missing":
            key.with_suffix(".pub").unlink()
        case "another's":
            key.with_suffix(".pub").write_text("ssh-ed25519 AAAA other\n")
        case _:
            key.with_suffix(".pub").write_text(key.read_text())
    assert body in printed(folder)


def test_the_user_is_the_one_of_sites_yml_and_never_root_unasked(folder: Path) -> None:
    assert "\nuser=sitemedic\n" in printed(folder)
    assert "log in as this user: servers: {web-1: {ssh: sitemedic@127.0.0.1}}" in printed(folder)
    assert "\nuser=medic\n" in printed(folder, "db-1")
    assert "log in as this user" not in printed(folder, "db-1")
    assert "\nuser=ada\n" in printed(folder, "db-1", "ada")


def test_the_host_key_is_to_be_pinned_and_compared_unless_it_is_already(folder: Path) -> None:
    known = folder / "keys" / "known_hosts"
    assert f"ssh-keyscan -t ed25519 127.0.0.1 >> {known}" in printed(folder)
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in printed(folder)
    body = (folder / "keys" / "medic.pub").read_text().split()[1]
    known.write_text(f"127.0.0.1 ssh-ed25519 {body}\n")
    assert "ssh-keyscan" not in printed(folder)
    assert printed(folder).endswith("./sitemedic doctor\n")


def test_a_missing_key_is_told_with_the_line_that_makes_it(folder: Path) -> None:
    (folder / "keys" / "medic").unlink()
    text = refusal(folder)
    line = text.splitlines()[-1].strip()
    assert line.startswith("ssh-keygen -q -t ed25519")
    (folder / "keys" / "medic.pub").unlink()
    subprocess.run(shlex.split(line), check=True, timeout=20)
    assert "restrict,command=" in printed(folder)


def test_a_key_with_a_passphrase_or_none_at_all_is_told(folder: Path) -> None:
    key = str(folder / "keys" / "medic")
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret-words", "-P", "", "-f", key], check=True)
    assert "has a passphrase" in refusal(folder)
    (folder / "keys" / "medic").write_text("nonsense-planted\n")
    assert "not a usable private key" in refusal(folder)
    assert "nonsense-planted" not in refusal(folder)


def test_a_server_that_is_none_is_told(folder: Path) -> None:
    assert refusal(folder, "web1") == "sites.yml has no server 'web1' (did you mean 'web-1'?)"
    assert "(known: db-1, here, web-1)" in refusal(folder, "zzz")
    assert "nothing is put anywhere" in refusal(folder, "here")
    (folder / "sites.yml").write_text("sites: [{name: www, url: 'http://127.0.0.1/'}]\n")
    assert refusal(folder, "web-1").endswith("(name it there: docs/servers.md says how)")


def test_on_the_command_line_it_prints_a_script_and_runs_nothing(folder: Path) -> None:
    done = CliRunner().invoke(server_group, ["setup", "web-1", "--dir", str(folder)])
    assert done.exit_code == 0
    assert done.output == printed(folder)
    wrong = CliRunner().invoke(server_group, ["setup", "web-1", "--dir", str(folder), "--user", "a;id"])
    assert (wrong.exit_code, "a user's name" in wrong.output) == (2, True)


@pytest.mark.needs("shellcheck")
def test_the_script_is_clean(folder: Path) -> None:
    done = subprocess.run(
        ["shellcheck", "-s", "sh", "-"], input=printed(folder), capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert done.stdout == ""


SCRATCH = """
set -e
mount -t tmpfs tmpfs {scratch}
for place in etc usr/local var home; do
    mkdir -p {scratch}/upper/$place {scratch}/work/$place
    cd {scratch}
    mount -t overlay overlay -o "lowerdir=/$place,upperdir=upper/$place,workdir=work/$place" "/$place"
done
mkdir -p /etc/sitemedic
grep -q '^docker:' /etc/group || groupadd docker
echo 'docker_host {docker}' >/etc/sitemedic/allowed
sh {folder}/setup.sh >{folder}/told 2>&1
sh {folder}/setup.sh >>{folder}/told 2>&1
printf '#!/bin/sh\\nid -un >{folder}/open/ran\\n' >/etc/sitemedic/hooks/reindex
chmod 755 /etc/sitemedic/hooks/reindex
cp /var/lib/sitemedic/.ssh/authorized_keys {folder}/keys_there
mkdir -p /run/sshd
exec {sshd} -D -f {folder}/sshd_config -E {folder}/log
"""


@dataclass
class Prepared:
    """A machine on which the script was run twice: this one's programs, with folders of its own over /etc."""

    folder: Path
    engine: DockerEngine

    @property
    def target(self) -> Target:
        found = targets(load(self.folder / "sites.yml", PARTS))["www"]
        return replace(found, stop_timeout=1, hook="reindex")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "keys").mkdir()
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    (folder / "scratch").mkdir()
    for above in (folder, *folder.parents[:3]):
        if above.is_relative_to("/tmp") and above != Path("/tmp"):
            above.chmod(above.stat().st_mode | 0o011)
    make_key(folder / "keys" / "medic")
    host_key, port = make_key(folder / "host_key"), free_port()
    write(folder, port, "sitemedic@")
    public = host_key.with_suffix(".pub").read_text().split()
    (folder / "keys" / "known_hosts").write_text(f"[127.0.0.1]:{port} {public[0]} {public[1]}\n")
    (folder / "setup.sh").write_text(printed(folder))
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {host_key}\nPidFile none\nUsePAM no\nUseDNS no\n"
    )
    with running_engine() as engine:
        for above in (engine.folder, engine.folder.parent):
            above.chmod(0o711)
        mounts = SCRATCH.format(folder=folder, scratch=folder / "scratch", docker=engine.host, sshd=SSHD)
        with (folder / "faults").open("wb") as faults:
            process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", mounts], stderr=faults
            )
        try:
            until(lambda: process.poll() is not None or answers(port), 30, "sshd on the prepared server")
            if process.poll() is not None and "mount" in (folder / "faults").read_text():
                pytest.skip(f"no folders can be laid over others here: {(folder / 'faults').read_text()}")
            assert process.poll() is None, (folder / "faults").read_text() + (folder / "told").read_text()
            yield Prepared(folder, engine)
        finally:
            process.terminate()
            process.wait(10)


def answers(port: int) -> bool:
    return subprocess.run(
        ["ssh-keyscan", "-T", "2", "-p", str(port), "127.0.0.1"], capture_output=True, check=False
    ).stdout.startswith(b"[127")  # fmt: skip


@needs_docker[0]
@needs_docker[1]
def test_after_the_script_the_server_is_one_that_sites_are_healed_on(prepared: Prepared) -> None:
    engine, world = prepared.engine, World(connect, None, time.time)
    engine.run("shop")
    engine.run("other")
    engine.run(
        "shop-web-1",
        "--label",
        "com.docker.compose.project=shop",
        "--label",
        "com.docker.compose.service=web",
    )
    plan = plan_of(load(prepared.folder / "sites.yml", PARTS)).servers["web-1"]
    found = servers.look(plan, world)
    assert [(one.check, one.ok, one.detail) for one in found if not one.ok] == []
    assert {one.check for one in found} == {"files", "ssh", "wrapper", "docker", "container", "hook"}
    restart, before = ACTIONS["restart_container"], engine.started_at("shop")
    marks = restart.act(prepared.target, restart.prepare(prepared.target, world), world)
    assert acting.settled(restart, prepared.target, marks, world, 30).progress is Progress.DONE
    assert engine.started_at("shop") != before
    hook = ACTIONS["run_hook"]
    marks = hook.act(prepared.target, hook.prepare(prepared.target, world), world)
    assert acting.settled(hook, prepared.target, marks, world, 30).progress is Progress.DONE
    assert (prepared.folder / "open" / "ran").read_text() == "sitemedic\n"
    ssh = prepared.target.server.ssh
    assert ssh is not None
    with SshConnector(ssh) as connector:
        for argv in (["id"], ["docker", "ps"], ["docker", "restart", "-t", "1", "other"]):
            assert connector.run(argv, 20).exit_status == 126
    assert len((prepared.folder / "keys_there").read_text().splitlines()) == 1
    assert "sitemedic-wrapper 2\ncompose shop/web\ncontainer shop\n" in (prepared.folder / "told").read_text()
    assert "still to be written by you" in (prepared.folder / "told").read_text()
