"""docker-compose.yml: what Compose itself makes of it, and what every container is held to."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from demo.configuration import sites_yml
from stack.stress.cli import stress_command
from tests.compose.places import COMPOSE

ROOT = Path(__file__).parents[2]
BINARY = ROOT / ".venv/bin/docker-compose"
SECRETS = {
    "SMTP_PASSWORD": "smtp-hunter2",
    "LINODE_TOKEN": "linode-hunter2",
    "WEBHOOK_TOKEN": "webhook-hunter2",
    "API_TOKEN": "api-hunter2",
    "GRAFANA_ADMIN_PASSWORD": "grafana-hunter2",
}
OURS = {"render", "exporter", "remediator", "prometheus", "alertmanager", "grafana"}
DEMO = {"machine", "linode", "mailbox"}
ALL = ("--profile", "demo", "--profile", "database", "--profile", "stress")


def config(*options: str, **environ: str) -> str:
    done = subprocess.run(
        [str(BINARY), "--project-directory", str(ROOT), "-f", str(ROOT / "docker-compose.yml"), *options],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environ},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert "level=warning" not in done.stderr, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(config("config", "--format", "json"))
    return found


@pytest.fixture(scope="module")
def demo() -> dict[str, Any]:
    env = str(ROOT / "demo/compose/.env")
    found: dict[str, Any] = json.loads(config("--env-file", env, "config", "--format", "json"))
    return found


@pytest.fixture(scope="module")
def every() -> dict[str, Any]:
    """Return the demo with every profile that there is."""
    env = str(ROOT / "demo/compose/.env")
    found: dict[str, Any] = json.loads(config("--env-file", env, *ALL, "config", "--format", "json"))
    return found


def test_the_plain_stack_has_no_part_of_the_demo(plain: dict[str, Any]) -> None:
    assert set(plain["services"]) == OURS


def test_the_profile_demo_adds_the_server_the_linode_and_the_mailbox(demo: dict[str, Any]) -> None:
    assert set(demo["services"]) == OURS | DEMO | {"database"}
    assert (
        set(json.loads(config("--profile", "demo", "config", "--format", "json"))["services"]) == OURS | DEMO
    )


def test_the_demos_shop_is_on_postgresql_where_there_is_one_and_on_sqlite_where_there_is_none(
    demo: dict[str, Any],
) -> None:
    assert demo["services"]["machine"]["environment"]["DEMO_DATABASE_URL"].startswith("postgresql://")
    alone = json.loads(config("--profile", "demo", "config", "--format", "json"))["services"]
    assert alone["machine"]["environment"]["DEMO_DATABASE_URL"] == ""
    assert "ports" not in demo["services"]["database"]


def test_the_profile_stress_runs_once_and_reaches_everything_by_name(every: dict[str, Any]) -> None:
    stress = every["services"]["stress"]
    assert stress["restart"] == "no"
    assert stress["command"] == ["light"]
    reached = {urlsplit(url).hostname for name, url in stress["environment"].items() if name.endswith("_URL")}
    assert reached <= set(every["services"])
    told = {parameter.envvar for parameter in stress_command.params if parameter.envvar}
    assert set(stress["environment"]) <= told


def test_the_demo_shares_nothing_with_a_real_stack(plain: dict[str, Any], demo: dict[str, Any]) -> None:
    assert demo["name"] != plain["name"]
    volumes = {one["name"] for one in demo["volumes"].values()}
    assert not volumes & {one["name"] for one in plain["volumes"].values()}
    mounts = [one for service in demo["services"].values() for one in service.get("volumes", [])]
    config_mounts = [one["source"] for one in mounts if one["target"] == "/config"]
    assert set(config_mounts) == {str(ROOT / "demo/compose")}


def test_every_container_is_confined(every: dict[str, Any]) -> None:
    for name, service in every["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"].split(":")[0] not in ("0", "root", ""), name
        assert service["logging"]["options"]["max-size"], name
        assert "privileged" not in service, name
        assert "network_mode" not in service, name


def test_every_container_that_stays_has_a_health_check_or_is_a_part_of_the_demo(
    plain: dict[str, Any],
) -> None:
    for name, service in plain["services"].items():
        if name == "render":
            assert service["restart"] == "no"
        else:
            assert service["healthcheck"]["test"], name
            assert service["restart"] == "unless-stopped", name


def test_everything_waits_for_the_rendered_configuration(plain: dict[str, Any]) -> None:
    for name in OURS - {"render"}:
        waits = plain["services"][name]["depends_on"]["render"]
        assert waits["condition"] == "service_completed_successfully", name


def test_ports_are_open_on_this_machine_only_and_move_with_env(demo: dict[str, Any]) -> None:
    for name, service in demo["services"].items():
        for port in service.get("ports", []):
            assert port["host_ip"] == "127.0.0.1", name
    names = {
        "exporter": "EXPORTER_PORT",
        "prometheus": "PROMETHEUS_PORT",
        "alertmanager": "ALERTMANAGER_PORT",
        "remediator": "REMEDIATOR_PORT",
        "grafana": "GRAFANA_PORT",
    }
    moved = {variable: str(20000 + number) for number, variable in enumerate(names.values())}
    services = json.loads(config("config", "--format", "json", **moved))["services"]
    for name, variable in names.items():
        assert [port["published"] for port in services[name]["ports"]] == [moved[variable]]


def test_public_images_are_pinned(every: dict[str, Any]) -> None:
    for name, service in every["services"].items():
        image, _, tag = service["image"].partition(":")
        assert tag, name
        assert tag != "latest", name
        assert image.startswith("sitemedic") or tag.split(".")[0].lstrip("v").isdigit(), name


def test_the_configuration_is_mounted_as_a_folder(plain: dict[str, Any]) -> None:
    for name, service in plain["services"].items():
        for mount in service.get("volumes", []):
            if mount["type"] == "bind":
                assert Path(mount["source"]).is_dir(), f"{name}: {mount['source']}"
                assert mount["read_only"] is True, name


def test_the_exporter_is_a_user_of_its_own_and_sees_no_token(plain: dict[str, Any]) -> None:
    services = plain["services"]
    assert services["exporter"]["user"] != services["remediator"]["user"]
    mounted = {mount["target"] for mount in services["exporter"]["volumes"]}
    assert mounted == {
        "/config",
        "/volumes/exporter",
        "/demo",
    }  # /demo: the way to the demo's server, else empty
    assert {mount["target"] for mount in services["remediator"]["volumes"]}.isdisjoint({"/volumes/exporter"})


def test_no_secret_stands_in_what_compose_prints(tmp_path: Path) -> None:
    lines = "".join(f"{name}={value}\n" for name, value in SECRETS.items())
    (tmp_path / ".env").write_text(lines)
    for options in ((), ("--profile", "demo"), ALL):
        printed = config("--env-file", str(tmp_path / ".env"), *options, "config", **SECRETS)
        assert "hunter2" not in printed


def test_grafana_never_has_the_default_password(plain: dict[str, Any]) -> None:
    environment = plain["services"]["grafana"]["environment"]
    assert environment["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/sitemedic/admin_password"
    assert "GF_SECURITY_ADMIN_PASSWORD" not in environment


def test_the_demos_sites_yml_is_the_demos_own_with_composes_addresses() -> None:
    assert (ROOT / "demo/compose/sites.yml").read_text() == sites_yml(COMPOSE)


def test_the_build_sees_no_configuration_and_no_key() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    assert not {"!.", "!.env", "!sites.yml", "!keys"} & set(ignored)


def test_the_dockerfile_installs_by_hash_and_needs_nothing_of_buildkit() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes" in text
    for word in ("--mount", "# syntax", "<<EOF", "--chmod", "--link"):
        assert word not in text
    assert text.count("USER 1000:1000") == text.count("FROM ")
