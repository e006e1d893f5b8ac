"""The whole docker-compose.yml on a real engine: health, healing, kills, `down` and `up`, confinement."""

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from tests.compose.running import BINARY, WEBHOOK_TOKEN, ComposeStack, compose_stack
from tests.compose.securing import ALONE, PASSWORD, URL, USER, exporter_alone, first_page, secure, status
from tests.waiting import until

pytestmark = [
    pytest.mark.full,
    pytest.mark.needs("dockerd", "docker", "busybox", "mmdebstrap", "prometheus", "alertmanager"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a Docker engine of our own needs root"),
    pytest.mark.skipif(not BINARY.exists(), reason="no docker-compose in .venv"),
    pytest.mark.timeout(900),
]
STAY = ("exporter", "remediator", "prometheus", "alertmanager", "machine", "linode", "mailbox")
CHECKED = ("machine", "exporter", "remediator", "alertmanager", "prometheus")
MIB = 1024 * 1024


Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def stack() -> Iterator[ComposeStack]:
    with compose_stack() as running:
        yield running


@pytest.fixture(scope="module")
def silence(stack: ComposeStack) -> str:
    """Give Alertmanager what it has to keep: a silence, whose id this is, and a mail that went out."""
    found = silenced(stack)
    post_alert(stack, "BeforeTheKill")
    until(lambda: mailed(stack, "BeforeTheKill") == 1, 60, "the alert's mail")
    return found


def answers_wrongly(stack: ComposeStack) -> None:
    """Let the shop answer wrongly until its restart, for a minute at most."""
    failing = (
        "import requests; print(requests.get('http://machine:8080/errors?rate=1&seconds=60').status_code)"
    )
    done = stack.execute("machine", "python", "-c", failing)
    assert done.stdout.strip() == "500", done.stdout + done.stderr


def stopped(stack: ComposeStack) -> None:
    """Stop the shop's container, as docs/docker.md says; it stays so until somebody starts it."""
    done = stack.execute("machine", "/volumes/demo/machine/bin/docker", "stop", "demo-shop")
    assert done.returncode == 0, done.stderr


def heal_an_outage(stack: ComposeStack, fail: Callable[[ComposeStack], None] = answers_wrongly) -> float:
    """Break the shop; return the seconds until its recovery was mailed."""
    known, told = len(stack.incidents()), len(stack.mails())
    began = time.monotonic()
    fail(stack)
    opened = until(lambda: stack.incidents()[: len(stack.incidents()) - known], 60, "an incident")[0]
    assert opened["site"] == "shop"

    def subjects() -> list[str]:
        return [mail["subject"] for mail in stack.mails()[told:]]

    until(lambda: any("RECOVERED" in subject for subject in subjects()), 90, "the mail of the recovery")
    took = time.monotonic() - began
    one = f"/api/v1/incidents/{opened['id']}"
    until(lambda: stack.get("remediator", one)["outcome"], 60, "the incident's end")
    incident = stack.get("remediator", one)
    assert incident["outcome"] == "healed", incident
    assert [attempt["action"] for attempt in incident["attempts"]] == ["restart_container"]
    assert [subject.split("]")[0] for subject in subjects()] == ["[DOWN", "[RECOVERED"]
    return took


def test_services_start_in_order_each_when_what_it_depends_on_is_healthy(
    stack: ComposeStack, record_property: Record
) -> None:
    for image, size in stack.sizes.items():
        record_property("measured", f"docker compose: {image}: {size / MIB:.0f} MiB")
    record_property("measured", f"docker compose: healthy {stack.took:.0f} s after `up`")

    def first() -> dict[tuple[str, str], float]:
        return {(event.service, event.what): event.at for event in reversed(stack.events())}

    until(lambda: {(service, "healthy") for service in CHECKED} <= set(first()), 10, "events of health")
    at = first()
    for service in CHECKED:
        assert at[service, "start"] < at[service, "healthy"]
    for before, after in (
        ("machine", "exporter"),
        ("machine", "mailbox"),
        ("exporter", "remediator"),
        ("alertmanager", "prometheus"),
    ):
        # A container may be seen healthy moments before its event; a check comes after 10 s.
        assert at[before, "healthy"] < at[after, "start"] + 2, f"{after} did not wait for {before}"
    assert all(at["render", "die"] < at[service, "start"] for service in CHECKED if service != "machine")
    assert {service for service, what in at if what == "die"} == {"render"}
    assert stack.inspect("render")["State"]["ExitCode"] == 0


def test_prometheus_reaches_every_target_and_no_alert_fires(stack: ComposeStack) -> None:
    def up() -> dict[str, str]:
        return {one["metric"]["job"]: one["value"][1] for one in stack.query("up")}

    jobs = {
        "sitemedic-exporter", "sitemedic-containers", "sitemedic-remediator", "prometheus", "alertmanager"
    }  # fmt: skip
    until(lambda: up() == dict.fromkeys(jobs, "1"), 30, "all targets to be up")
    until(lambda: stack.query('probe_success{site="shop"} == 1'), 30, "the shop to be probed")
    assert firing(stack) == {"Watchdog"}


def test_an_alert_that_somebody_posts_is_mailed(stack: ComposeStack, silence: str) -> None:
    assert mailed(stack, "BeforeTheKill") == 1


def firing(stack: ComposeStack) -> set[str]:
    alerts = stack.get("prometheus", "/api/v1/alerts")["data"]["alerts"]
    return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}


@pytest.mark.parametrize("service", STAY)
def test_a_running_container_is_nobody_special(stack: ComposeStack, service: str) -> None:
    host = stack.inspect(service)["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["Privileged"] is False
    # The kernel's own word on the service's process:
    status = stack.execute(service, "cat", "/proc/1/status").stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert set(fields["Uid"].split()) in ({"1000"}, {"65534"})
    assert set(fields["Gid"].split()) in ({"1000"}, {"65534"})
    assert {fields[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"
    for place in ("/new", "/etc/new", "/bin/new"):
        assert "Read-only file system" in stack.execute(service, "touch", place).stderr
    assert stack.execute(service, "touch", "/tmp/new").returncode == 0


def test_a_key_of_mode_0600_is_read_by_the_remediator_and_by_nobody_else(stack: ComposeStack) -> None:
    key = "/config/keys/medic"
    assert stack.execute("remediator", "cat", key).stdout == "a private key\n"
    assert "Permission denied" in stack.execute("exporter", "cat", key).stderr
    for service in set(STAY) - {"remediator", "exporter"}:
        assert "No such file" in stack.execute(service, "cat", key).stderr, service


def test_the_exporter_reads_sites_yml_and_not_env(stack: ComposeStack) -> None:
    assert stack.execute("exporter", "cat", "/config/sites.yml").returncode == 0
    assert "Permission denied" in stack.execute("exporter", "cat", "/config/.env").stderr


def test_only_alertmanager_and_the_remediator_can_read_a_secret(stack: ComposeStack) -> None:
    def found(service: str) -> bool:
        places = ("/config", "/etc/sitemedic", "/state", "/volumes", "/run", "/tmp", "/demo")
        return WEBHOOK_TOKEN in stack.execute(service, "grep", "-rhs", WEBHOOK_TOKEN, *places).stdout

    assert {service for service in STAY if found(service)} == {"remediator", "alertmanager"}


def test_no_secret_stands_in_a_command_line_or_in_what_inspect_tells(stack: ComposeStack) -> None:
    for service in STAY:
        assert WEBHOOK_TOKEN not in str(stack.inspect(service)), service
    assert WEBHOOK_TOKEN not in stack.engine.docker("inspect", stack.container("render"))


def test_grafana_would_find_its_password_its_provisioning_and_its_dashboards(stack: ComposeStack) -> None:
    look = (
        'cat "$GF_SECURITY_ADMIN_PASSWORD__FILE"; echo; cat /etc/grafana/provisioning/*/*.yml > /state/all'
        ' && cat "$GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH" >> /state/all && echo $PROMETHEUS_URL'
    )
    told = stack.compose("run", "--rm", "--no-deps", "-T", "--entrypoint", "sh", "grafana", "-c", look)
    password, prometheus = told.split()
    assert len(password) >= 32
    assert prometheus == "http://prometheus:9090"


def test_an_edited_sites_yml_is_taken_over_as_the_documentation_says(stack: ComposeStack) -> None:
    text = (stack.config / "sites.yml").read_text()
    more = 'sites:\n  - {name: second, url: "http://mailbox:8025/", email: second@example.com}\n'
    (stack.config / "edited").write_text(text.replace("sites:\n", more))
    (stack.config / "edited").replace(stack.config / "sites.yml")
    stack.compose("run", "--rm", "-T", "render")
    stack.post("alertmanager", "/-/reload", None)
    assert "second@example.com" in stack.get("alertmanager", "/api/v2/status")["config"]["original"]
    until(lambda: stack.query('probe_success{site="second"} == 1'), 60, "the new site to be probed")


def test_an_outage_of_the_demos_site_is_mailed_and_healed(
    stack: ComposeStack, record_property: Record
) -> None:
    took = heal_an_outage(stack)
    record_property(
        "measured", f"docker compose: the demo's outage told, healed and told {took:.0f} s after it"
    )


def test_the_command_line_in_the_remediators_container_reaches_the_other_services(
    stack: ComposeStack,
) -> None:
    assert doctor(stack).splitlines()[-1] == "Healing would work."
    done = stack.execute("remediator", "python", "-m", "stack", "up")
    assert (done.returncode, done.stdout) == (1, "")
    assert "`up` is not part of Docker's image" in done.stderr
    assert "Traceback" not in done.stderr


def doctor(stack: ComposeStack) -> str:
    """Ask as docs/docker.md says whether healing would work."""
    done = stack.execute("remediator", "python", "-m", "stack", "doctor")
    return (done.stdout + done.stderr).strip()


def comes_back(stack: ComposeStack, service: str) -> None:
    """Kill a service and wait until the engine has started it again and it is healthy."""
    before = stack.inspect(service)
    stack.kill(service)

    def again() -> bool:
        now = stack.inspect(service)
        return bool(now["RestartCount"] == before["RestartCount"] + 1) and stack.healthy(service)

    until(again, 60, f"{service} to come back", every=0.2)


def test_a_killed_exporter_comes_back_and_nobody_is_troubled(stack: ComposeStack) -> None:
    mails, incidents = stack.mails(), stack.incidents()
    comes_back(stack, "exporter")
    killed = time.time()
    fresh = 'sitemedic_last_probe_timestamp_seconds{site="shop"}'
    until(lambda: stack.query(f"{fresh} > {killed}"), 30, "probes to go on")
    assert firing(stack) == {"Watchdog"}
    assert (stack.mails(), stack.incidents()) == (mails, incidents)


def test_a_killed_remediator_comes_back_with_its_history(stack: ComposeStack) -> None:
    before = [stack.get("remediator", f"/api/v1/incidents/{one['id']}") for one in stack.incidents()]
    assert before
    comes_back(stack, "remediator")
    assert [stack.get("remediator", f"/api/v1/incidents/{one['id']}") for one in stack.incidents()] == before


def test_a_killed_prometheus_comes_back_with_its_samples(stack: ComposeStack) -> None:
    at = time.time() - 5
    before = samples(stack, at)
    assert before > 10
    comes_back(stack, "prometheus")
    assert samples(stack, at) == before


def samples(stack: ComposeStack, at: float) -> int:
    """Return how many samples of its own `up` Prometheus has of the ten minutes before a time."""
    return int(stack.query('count_over_time(up{job="prometheus"}[10m])', at)[0]["value"][1])


def test_a_killed_alertmanager_comes_back_with_its_silences_and_mails_nothing_twice(
    stack: ComposeStack, silence: str
) -> None:
    for file, word in (("silences", silence), ("nflog", "BeforeTheKill")):
        until(partial(written, stack, file, word), 90, f"{file} to be kept", every=1)
    comes_back(stack, "alertmanager")
    assert silences(stack) == [silence]
    post_alert(stack, "BeforeTheKill")  # Prometheus posts what fires again and again
    post_alert(stack, "AfterTheKill")
    until(lambda: mailed(stack, "AfterTheKill") == 1, 60, "the second alert's mail")
    assert mailed(stack, "BeforeTheKill") == 1


def written(stack: ComposeStack, file: str, word: str) -> bool:
    return stack.execute("alertmanager", "grep", "-q", word, f"/state/{file}").returncode == 0


def silences(stack: ComposeStack) -> list[str]:
    found = stack.get("alertmanager", "/api/v2/silences")
    return [one["id"] for one in found if one["status"]["state"] == "active"]


def silenced(stack: ComposeStack) -> str:
    """Silence a site that is not there for an hour; return the silence's id."""
    now = time.time()
    answer = stack.post(
        "alertmanager",
        "/api/v2/silences",
        {
            "matchers": [{"name": "site", "value": "none", "isRegex": False}],
            "startsAt": iso(now),
            "endsAt": iso(now + 3600),
            "createdBy": "a test",
            "comment": "kept",
        },
    )
    return str(answer["silenceID"])


def post_alert(stack: ComposeStack, name: str) -> None:
    labels = {"alertname": name, "severity": "critical"}
    alert = {"labels": labels, "annotations": {"summary": name}, "endsAt": iso(time.time() + 3600)}
    stack.post("alertmanager", "/api/v2/alerts", [alert])


def mailed(stack: ComposeStack, word: str) -> int:
    return sum(word in mail["subject"] + mail["text"] for mail in stack.mails())


def iso(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def test_down_and_up_lose_nothing_and_the_next_outage_is_healed(
    stack: ComposeStack, silence: str, record_property: Record
) -> None:
    at = time.time() - 5

    def kept() -> dict[str, Any]:
        return {
            "incidents": stack.incidents(),
            "samples": samples(stack, at),
            "silences": silences(stack),
            "tokens": stack.execute("remediator", "sh", "-c", "cat /volumes/tokens/secrets/*").stdout,
            "key": stack.execute("remediator", "cat", "/demo/machine/keys/medic").stdout,
        }

    before, mails = kept(), stack.mails()
    assert all(before.values()), before
    stack.compose("down", "--timeout", "10")
    assert stack.engine.docker("ps", "--all", "--quiet") == ""
    record_property("measured", f"docker compose: healthy {stack.up():.0f} s after `down` and `up`")
    assert kept() == before
    assert stack.mails()[: len(mails)] == mails
    heal_an_outage(stack)


def test_with_tls_and_passwords_on_the_console_people_sign_in_and_outages_are_healed(
    stack: ComposeStack, record_property: Record
) -> None:
    secure(stack)
    assert stack.inspect("remediator")["NetworkSettings"]["Ports"]["9096/tcp"][0]["HostIp"] == "0.0.0.0"
    assert status(stack, URL.replace("https", "http")) == 0
    assert [status(stack, URL, user) for user in (None, (USER, "wrong"), (USER, PASSWORD))] == [401, 401, 200]
    assert "Sign out" in first_page(stack)
    until(lambda: doctor(stack).endswith("Healing would work."), 30, "the doctor to find all well", every=2)

    def scraped() -> list[tuple[str, str]]:
        found = stack.get("prometheus", "/api/v1/targets")["data"]["activeTargets"]
        return [(one["scrapeUrl"], one["health"]) for one in found if "remediator" in one["scrapePool"]]

    until(lambda: scraped() == [("https://remediator:9096/metrics", "up")], 30, "Prometheus to read it")
    arrived = 'sum(sitemedic_notifications_total{outcome="stored"})'
    took = heal_an_outage(stack, stopped)
    until(lambda: float(stack.query(arrived)[0]["value"][1]) > 0, 30, "the webhook to be counted")
    address = exporter_alone(stack)
    until(lambda: status(stack, address) == 401, 30, "an exporter with TLS and passwords to listen")
    assert status(stack, address, (USER, PASSWORD)) == 200
    assert status(stack, address.replace("https", "http"), (USER, PASSWORD)) == 0
    stack.engine.docker("rm", "--force", ALONE)
    record_property("measured", f"docker compose: with a secured console, told and healed {took:.0f} s after")
