import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from stack.render import RULES
from stack.render.files import prometheus_duration
from stack.settings import COMPOSE_RENDERED, Target
from tests.rendering import MAIL, rendered_from

ONE = "defaults: {email: ops@acme.example}\nsites: [{name: www, url: 'http://127.0.0.1:1/'}]"
LOGIN = {**MAIL, "SMTP_USERNAME": "me", "SMTP_PASSWORD": "hush-hush", "WEBHOOK_TOKEN": "very-secret"}


def run(*command: object) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.needs("promtool", "amtool")
@pytest.mark.parametrize("environ", [LOGIN, {}], ids=["mail", "no mail"])
def test_promtool_and_amtool_accept_what_is_rendered(tmp_path: Path, environ: dict[str, str]) -> None:
    output = rendered_from(tmp_path, ONE, environ)
    rules = len(list(RULES.glob("*.yml")))
    assert f"{rules} rule files found" in run("promtool", "check", "config", output.rendered.prometheus)
    assert "1 templates" in run("amtool", "check-config", output.rendered.alertmanager)


@pytest.mark.needs("promtool", "amtool")
def test_what_is_rendered_for_compose_is_sound_where_the_containers_see_it(tmp_path: Path) -> None:
    output = rendered_from(tmp_path, ONE, LOGIN, "compose")
    webhook = output.receiver("remediator")["webhook_configs"][0]
    assert webhook["url"] == "http://remediator:9096/webhook/alertmanager"
    assert webhook["http_config"]["authorization"]["credentials_file"].startswith(str(COMPOSE_RENDERED))
    targets = {job["job_name"]: job["static_configs"] for job in output.prometheus["scrape_configs"]}
    assert targets["sitemedic-exporter"] == [{"targets": ["exporter:9115"]}]
    # Their tools look for the secrets at the containers' paths: put them there in a copy.
    moved = tmp_path / "moved"
    shutil.copytree(output.rendered.prometheus.parents[1], moved)
    for path in moved.glob("*/*.yml"):
        path.write_text(path.read_text().replace(str(COMPOSE_RENDERED), str(moved)))
    run("promtool", "check", "config", moved / "prometheus/prometheus.yml")
    run("amtool", "check-config", moved / "alertmanager/alertmanager.yml")


def test_passwords_stand_in_files_of_their_own_and_nowhere_else(tmp_path: Path) -> None:
    output = rendered_from(tmp_path, ONE, LOGIN)
    folder = output.rendered.alertmanager.parent
    for path in folder.parent.rglob("*"):
        if path.is_file() and path.parent.name != "secrets":
            text = path.read_text()
            assert "hush-hush" not in text
            assert "very-secret" not in text
    for name, content in (("smtp_password", "hush-hush"), ("webhook_token", "very-secret")):
        assert (folder / "secrets" / name).read_text() == content
        assert stat.S_IMODE((folder / "secrets" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "secrets").stat().st_mode) == 0o700


def test_a_password_that_is_not_set_any_more_is_removed(tmp_path: Path) -> None:
    folder = rendered_from(tmp_path, ONE, LOGIN).rendered.alertmanager.parent
    rendered_from(tmp_path, ONE, MAIL)
    assert [path.name for path in (folder / "secrets").iterdir()] == ["webhook_token"]


def test_rendering_again_leaves_no_stray_file_and_drops_rules_that_are_gone(tmp_path: Path) -> None:
    output = rendered_from(tmp_path, ONE)
    folder = output.rendered.prometheus.parents[1]
    (folder / "prometheus/rules/of-an-older-version.yml").write_text("groups: []")
    again = rendered_from(tmp_path, ONE)
    found = {path for path in folder.rglob("*") if path.is_file()}
    assert found == set(again.rendered.files)


def test_the_exporters_labels_are_honoured_and_the_pace_is_the_files(tmp_path: Path) -> None:
    output = rendered_from(tmp_path, f"alerting: {{scrape_interval: 1500ms}}\n{ONE}")
    assert output.prometheus["global"] == {
        "scrape_interval": "1500ms",
        "scrape_timeout": "1500ms",
        "evaluation_interval": "1500ms",
    }
    jobs = {job["job_name"]: job for job in output.prometheus["scrape_configs"]}
    assert jobs["sitemedic-exporter"]["honor_labels"] is True
    assert set(jobs) == {
        "sitemedic-exporter", "sitemedic-containers", "sitemedic-remediator", "prometheus", "alertmanager"
    }  # fmt: skip


@pytest.mark.parametrize(("pace", "often"), [("1500ms", "1500ms"), ("15s", "5s"), ("2m", "5s")])
def test_containers_are_read_every_few_seconds_and_by_one_job_only(
    tmp_path: Path, pace: str, often: str
) -> None:
    output = rendered_from(tmp_path, f"alerting: {{scrape_interval: {pace}}}\n{ONE}")
    jobs = {job["job_name"]: job for job in output.prometheus["scrape_configs"]}
    containers = jobs["sitemedic-containers"]
    assert (containers["scrape_interval"], containers["scrape_timeout"]) == (often, often)
    assert containers["metrics_path"] == "/metrics/containers"
    assert containers["honor_labels"] is True
    assert jobs["sitemedic-exporter"]["params"] == {"exclude[]": ["containers"]}


def test_a_slow_pace_has_a_timeout_of_ten_seconds(tmp_path: Path) -> None:
    output = rendered_from(tmp_path, f"alerting: {{scrape_interval: 1m}}\n{ONE}")
    assert output.prometheus["global"]["scrape_timeout"] == "10s"


@pytest.mark.parametrize(
    ("seconds", "text"), [(15, "15s"), (90, "1m30s"), (1.5, "1500ms"), (0.2, "200ms"), (86400, "1d")]
)
def test_durations_are_whole_numbers_as_prometheus_reads_them(seconds: float, text: str) -> None:
    assert prometheus_duration(seconds) == text


@pytest.mark.parametrize(
    ("tls", "port", "require"), [("starttls", "587", True), ("none", "25", False), ("implicit", "465", False)]
)
def test_tls_is_asked_for_as_alertmanager_wants_it(
    tmp_path: Path, tls: str, port: str, require: bool
) -> None:
    output = rendered_from(tmp_path, ONE, {**MAIL, "SMTP_TLS": tls, "SMTP_PORT": port})
    assert output.alertmanager["global"]["smtp_require_tls"] is require


def test_without_mail_settings_there_are_no_mail_receivers_and_one_line_says_so(tmp_path: Path) -> None:
    output = rendered_from(tmp_path, ONE, {})
    assert [receiver["name"] for receiver in output.alertmanager["receivers"]] == ["nobody", "remediator"]
    assert output.rendered.notes == ("No mails: SMTP_HOST is not set in .env. Everything else works.",)


def test_who_is_mailed_about_nothing_is_told(tmp_path: Path) -> None:
    sites = ", ".join(f"{{name: s{number}, url: 'http://x/'}}" for number in range(5))
    assert rendered_from(tmp_path, f"sites: [{sites}]").rendered.notes == (
        "Nobody is mailed about Sitemedic itself: set defaults.email in sites.yml.",
        "Nobody is mailed about s0, s1, s2 and 2 more: no email in sites.yml.",
    )


@pytest.mark.parametrize("target", ["local", "compose"])
def test_links_come_from_public_url(tmp_path: Path, target: Target) -> None:
    def links(environ: dict[str, str]) -> str:
        output = rendered_from(tmp_path, ONE, environ, target)
        return (output.rendered.alertmanager.parent / "templates" / "links.tmpl").read_text()

    assert "https://status.example/" in links({**MAIL, "PUBLIC_URL": "https://status.example/"})
    assert "status.example" not in links(MAIL)


def test_a_template_is_not_lost_over_the_links_file(tmp_path: Path) -> None:
    folder = rendered_from(tmp_path, ONE).rendered.alertmanager.parent
    names = {path.name for path in (folder / "templates").iterdir()}
    assert names >= {"html.tmpl", "text.tmpl", "subject.tmpl", "short.tmpl", "links.tmpl"}
