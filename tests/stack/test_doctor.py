"""`./sitemedic doctor`: one report of all that healing needs, with the mend for each fault."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stack.cli import main
from stack.doctor import Diagnosis, Finding, _settings
from stack.doctor_cli import report
from tests.linode_fake import LINODE, TOKEN, FakeLinode, running_linode_api
from tests.ports import free_port
from tests.remediator.doubles import Alertmanager, Exporter, served
from tests.remediator.wrapped import Wrapped
from tests.ssh_server import running_ssh_server

pytestmark = pytest.mark.needs("sshd", "ssh-keygen")
NAMES = ("exporter", "prometheus", "alertmanager", "remediator")


def doctor(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["doctor", "--dir", str(folder), *words])


def told(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    done = doctor(folder, "--json")
    checks = json.loads(done.output)["checks"]
    assert done.exit_code == int(any(one["ok"] is False for one in checks))
    found = {(one.get("server", ""), one["check"]): one for one in checks}
    assert len(found) == len(checks)
    return found


def write(folder: Path, sites: str, **environ: object) -> None:
    (folder / "sites.yml").write_text(sites)
    ports = {f"{name.upper()}_PORT": free_port() for name in NAMES}
    (folder / ".env").write_text("".join(f"{key}={value}\n" for key, value in (ports | environ).items()))


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LINODE_TOKEN", "LINODE_API_URL", *(f"{name.upper()}_PORT" for name in NAMES)):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def stack(exporter: Exporter, alertmanager: Alertmanager) -> Iterator[dict[str, str]]:
    """Serve what `up` would; yield the lines of .env that lead there."""

    def ready(path: str, answer: tuple[int, Any]) -> tuple[int, Any]:
        return (200, "ready\n") if path == "/-/ready" else answer

    with (
        served(
            lambda path, query, _: ready(path, exporter.answer(path, query) if path != "/-/ready" else (0, 0))
        ) as one,
        served(
            lambda path, _, body: ready(path, alertmanager.answer(path, body) if "api" in path else (0, 0))
        ) as two,
    ):
        port, other = one.rpartition(":")[2], two.rpartition(":")[2]
        yield dict.fromkeys((f"{name.upper()}_PORT" for name in NAMES), port) | {"ALERTMANAGER_PORT": other}


@pytest.fixture(scope="module")
def linode() -> Iterator[FakeLinode]:
    with running_linode_api() as fake:
        yield fake


def test_a_stack_that_would_heal_is_told_so(tmp_path: Path, linode: FakeLinode) -> None:
    wrapped = Wrapped(tmp_path / "wrapper")
    wrapped.fake_docker()
    wrapped.allow("container nginx")
    wrapped.container("nginx")
    state = '{"Id":"' + "a" * 64 + '","Name":"/nginx","State":{"Status":"running","StartedAt":"x"}}'
    (wrapped.folder / "containers" / "nginx").write_text(f'{"a" * 64} /nginx "" "" ""\n{state}\n')
    with running_ssh_server(tmp_path / "ssh") as server, stack(Exporter(("www",)), Alertmanager()) as ports:
        line = wrapped.line(server.key_file.with_suffix(".pub").read_text())
        (server.folder / "authorized_keys").write_text(line)
        files = f"key_file: {server.key_file}, known_hosts_file: {server.known_hosts_file}"
        ssh = f"{{host: 127.0.0.1, port: {server.port}, user: {server.settings.user}, {files}}}"
        sites = f"""
servers: {{web-1: {{ssh: {ssh}, linode: {LINODE}, may_reboot: true}}}}
sites:
  - {{name: www, url: "http://127.0.0.1:1/", recover: {{server: web-1, container: nginx}}}}
"""
        write(tmp_path, sites, LINODE_TOKEN=TOKEN, LINODE_API_URL=linode.url, **ports)
        found = told(tmp_path)
        assert {key: one["ok"] for key, one in found.items() if one["ok"] is not True} == {}
        assert {check for server, check in found if server == "web-1"} == {
            "files", "ssh", "wrapper", "docker", "container", "linode",
        }  # fmt: skip
        done = doctor(tmp_path)
        assert done.exit_code == 0
        assert done.output.endswith("Healing would work.\n")
        assert TOKEN not in done.output
        wrapped.allow("container other")
        check = told(tmp_path)["web-1", "container"]
        assert check["site"] == "www"
        assert "add the line 'container nginx'" in check["mend"]


def test_without_a_stack_each_service_is_told_once_with_what_starts_it(tmp_path: Path) -> None:
    write(tmp_path, 'sites: [{name: www, url: "http://127.0.0.1:1/"}]\n')
    done = doctor(tmp_path)
    assert done.exit_code == 1
    assert done.output.count("FAULT") == 4
    assert done.output.count("./sitemedic up") == 4
    assert done.output.splitlines()[-1].startswith("4 faults")
    assert not (tmp_path / "data").exists()


def test_faults_of_the_configuration_are_told_all_at_once(tmp_path: Path) -> None:
    write(tmp_path, "sites: [{name: www, url: 7, alert: {after: -1s}}]\n")
    done = doctor(tmp_path)
    assert done.exit_code == 1
    assert done.output.count("config") == 2
    assert "sites[0].url" in done.output
    found = json.loads(doctor(tmp_path, "--json").output)["checks"]
    assert {one["check"] for one in found} == {"config"}


def test_a_folder_without_sites_is_told(tmp_path: Path) -> None:
    done = doctor(tmp_path)
    assert done.exit_code == 1
    assert "./sitemedic init" in str(done.exception)


def test_a_report_names_the_site_and_folds_without_breaking_words(tmp_path: Path) -> None:
    mend = f"ssh-keyscan -t ed25519 -p 2222 web-1.example >> {'x' * 90}/known_hosts"
    found = Diagnosis((Finding("web-1", "container", False, "there is no container nginx", mend, "shop"),), 1)
    lines = list(report(found, 80))
    assert lines[0] == "web-1"
    assert lines[1].split() == ["FAULT", "container", "shop:", "there", "is", "no", "container", "nginx"]
    assert f"{'x' * 90}/known_hosts" in "\n".join(lines)
    assert lines[-1] == "1 fault. Mend them, and run this again."


def test_in_the_remediators_container_the_others_have_names_and_it_is_asked_on_loopback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secrets").mkdir()
    monkeypatch.setattr("stack.doctor.TOKENS", tmp_path)
    found = _settings({})
    urls = [getattr(found, name).url for name in NAMES]
    assert urls == [
        "http://exporter:9115", "http://prometheus:9090", "http://alertmanager:9093", "http://127.0.0.1:9096"
    ]  # fmt: skip
