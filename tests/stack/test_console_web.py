"""CONSOLE_WEB_CONFIG_FILE: the console's TLS and passwords, and that our own services come past them."""

import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
import yaml

from core.faults import ConfigError
from stack.console import CONSOLE_LISTEN, CONSOLE_WEB
from stack.home import Home
from stack.reload import Reloader, read
from stack.services import services
from stack.settings import load_settings
from stack.supervise import Service
from tests.end_to_end.stack import run as run_command
from tests.end_to_end.stack import up
from tests.exporter.test_web_security import TLS, certify, hashed
from tests.rendering import rendered_from
from tests.waiting import until

ONE = "defaults: {email: ops@acme.example}\nsites: [{name: www, url: 'http://127.0.0.1:1/'}]"
USERS = {"ann": hashed("right")}


def web_file(folder: Path, **content: Any) -> dict[str, str]:
    """Write a web-config.yml with its certificate; return the environment that names it."""
    certify(trustme.CA(), folder)
    (folder / "web.yml").write_text(yaml.safe_dump(content))
    return {CONSOLE_WEB: str(folder / "web.yml")}


def remediator_job(prometheus: dict[str, Any]) -> dict[str, Any]:
    (found,) = (job for job in prometheus["scrape_configs"] if job["job_name"] == "sitemedic-remediator")
    assert isinstance(found, dict)
    return found


@pytest.mark.needs("promtool", "amtool")
def test_our_own_services_speak_tls_with_the_console_and_show_a_token(tmp_path: Path) -> None:
    environ = web_file(tmp_path, tls_server_config=TLS, basic_auth_users=USERS)
    output = rendered_from(tmp_path, ONE, environ | {"WEBHOOK_TOKEN": "very-secret"})
    job = remediator_job(output.prometheus)
    assert (job["scheme"], job["tls_config"]) == ("https", {"insecure_skip_verify": True})
    file = output.rendered.prometheus.parent / job["authorization"]["credentials_file"]
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("very-secret", 0o600)
    webhook = output.receiver("remediator")["webhook_configs"][0]
    assert webhook["url"].startswith("https://127.0.0.1:")
    assert webhook["http_config"]["tls_config"] == {"insecure_skip_verify": True}
    for command in (
        ["promtool", "check", "config", output.rendered.prometheus],
        ["amtool", "check-config", output.rendered.alertmanager],
    ):
        assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0


def test_without_passwords_no_token_is_left_and_without_tls_none_is_spoken(tmp_path: Path) -> None:
    environ = web_file(tmp_path, basic_auth_users=USERS)
    output = rendered_from(tmp_path, ONE, environ)
    job = remediator_job(output.prometheus)
    token = output.rendered.prometheus.parent / job["authorization"]["credentials_file"]
    assert ("scheme" in job, token.exists()) == (False, True)
    again = rendered_from(tmp_path, ONE, web_file(tmp_path, tls_server_config=TLS))
    assert ("authorization" in remediator_job(again.prometheus), token.exists()) == (False, False)
    plain = rendered_from(tmp_path, ONE, {})
    assert set(remediator_job(plain.prometheus)) == {"job_name", "static_configs"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"basic_auth_users": {"ann": "geheim"}}, "must be a bcrypt hash"),
        ({"tls_server_config": {**TLS, "key_file": "none.pem"}}, "none.pem cannot be read"),
        (
            {
                "tls_server_config": {
                    **TLS,
                    "client_auth_type": "RequireAndVerifyClientCert",
                    "client_ca_file": "cert.pem",
                }
            },
            f"{CONSOLE_WEB}: must not ask for client certificates",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_told_before_anything_is_started(
    tmp_path: Path, content: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        load_settings(web_file(tmp_path, **content), tmp_path)
    assert said in str(raised.value)
    assert "geheim" not in str(raised.value)


def test_only_with_tls_does_the_console_listen_everywhere(tmp_path: Path) -> None:
    everywhere, home = {CONSOLE_LISTEN: "0.0.0.0"}, Home(tmp_path, demo=False)
    for wrong, said in (
        (everywhere, "would send the password in the open"),
        (everywhere | web_file(tmp_path, basic_auth_users=USERS), "in the open"),
        ({CONSOLE_LISTEN: "192.0.2.1"}, "must be 127.0.0.1 or 0.0.0.0"),
    ):
        with pytest.raises(ConfigError) as raised:
            load_settings(wrong, tmp_path)
        assert said in str(raised.value)
    environ = everywhere | web_file(tmp_path, tls_server_config=TLS)
    for given, listens in (({}, "127.0.0.1"), (environ, "0.0.0.0")):
        settings = load_settings(given, tmp_path)
        (remediator,) = (one for one in services(home, settings, given) if one.name == "remediator")
        assert f"--web.listen-address={listens}:9096" in remediator.argv
        assert remediator.address.endswith("://127.0.0.1:9096")


def test_tls_that_is_turned_on_while_a_stack_runs_waits_for_its_next_start(tmp_path: Path) -> None:
    (tmp_path / "sites.yml").write_text(ONE)
    (tmp_path / ".env").write_text("")
    home, said = Home(tmp_path, demo=False), list[str]()
    before = read(home, lambda environ: environ)
    reloader = Reloader(home, before, lambda environ: environ, NobodyRuns(), said.append)  # type: ignore[arg-type]
    (name, file), *_ = web_file(tmp_path, tls_server_config=TLS, basic_auth_users=USERS).items()
    (tmp_path / ".env").write_text(f"{name}={file}\n")
    assert reloader.look()
    assert said[0] == f"{CONSOLE_WEB}: used from the next start of ./sitemedic up on"
    assert reloader.configuration.settings == before.settings


class NobodyRuns:
    """A supervisor that has what is wanted already."""

    def services(self) -> list[Service]:
        return []

    def replace(self, service: Service) -> None:
        assert not any(word.startswith("--web.config.file") for word in service.argv)

    def pids(self) -> dict[str, int]:
        return {}


@pytest.mark.full
@pytest.mark.timeout(400)
@pytest.mark.needs("prometheus", "alertmanager", "promtool", "amtool")
def test_a_whole_stack_works_with_a_secured_console(tmp_path: Path) -> None:
    (tmp_path / "sites.yml").write_text(ONE)
    environ = web_file(tmp_path, tls_server_config=TLS, basic_auth_users=USERS)
    with up(tmp_path, **environ, CONSOLE_LISTEN="0.0.0.0") as running:
        console = f"https://127.0.0.1:{running.ports['REMEDIATOR']}"
        assert f"Console: {console}/" in running.said

        def scraped() -> bool:
            found = running.get("prometheus", "/api/v1/query", query='up{job="sitemedic-remediator"}')
            return [one["value"][1] for one in found["data"]["result"]] == ["1"]

        until(scraped, 60, "Prometheus to read the console")
        alert = [{"labels": {"alertname": "SiteDown", "site": "www", "severity": "critical"}}]
        requests.post(f"{running.url('alertmanager')}/api/v2/alerts", json=alert, timeout=10)
        wanted = 'sum(sitemedic_notifications_total{outcome="stored"})'

        def stored() -> bool:
            found = running.get("prometheus", "/api/v1/query", query=wanted)["data"]["result"]
            return bool(found) and float(found[0]["value"][1]) > 0

        until(stored, 60, "the webhook to come through")
        said = [
            run_command(*words, folder=tmp_path, **running.environ)
            for words in (
                ("pause", "all", "--reason", "why", "--by", "me"),
                ("resume", "--by", "me"),
                ("history",),
            )
        ]
        assert [one.returncode for one in said] == [0, 0, 0], [one.stdout for one in said]
        assert not [one.stdout for one in said if "Warning" in one.stdout]
        assert (
            "remediator is ready at https://"
            in run_command("doctor", folder=tmp_path, **running.environ).stdout
        )
