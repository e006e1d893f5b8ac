"""The main job on real parts: a container is killed, and everything from exporter to mail does its work."""

from pathlib import Path

import pytest
import yaml

from tests.docker_engine import DockerEngine, needs_docker
from tests.end_to_end.real_site import real_site
from tests.end_to_end.stack import left_behind, up
from tests.smtp_server import smtp_server
from tests.waiting import until

pytestmark = [
    *needs_docker,
    pytest.mark.needs("prometheus", "prometheus-alertmanager"),
    pytest.mark.timeout(240),
]


def test_a_killed_container_is_mailed_restarted_once_proved_and_mailed_again(
    engine: DockerEngine, tmp_path: Path
) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    with real_site(engine, tmp_path) as site, smtp_server() as mailbox:
        (folder / "sites.yml").write_text(yaml.safe_dump(site.configuration()))
        smtp = {"SMTP_HOST": mailbox.host, "SMTP_PORT": str(mailbox.port), "SMTP_TLS": "none"}
        with up(folder, **smtp, SMTP_FROM="sitemedic@acme.example") as running:
            until(
                lambda: running.get("exporter", "/api/v1/sites")["sites"][0]["success"], 10, "a first probe"
            )
            site.kill()
            until(running.incidents, 30, "an incident")
            until(lambda: running.incidents()[0]["state"] == "recovered", 60, "the incident's end")
            incident = running.incident(running.incidents()[0]["id"])
            subjects = until(
                lambda: len(found := [mail.subject for mail in mailbox.mails]) >= 2 and found, 30, "two mails"
            )
            until(lambda: "SiteDown" not in running.alerts(), 20, "the alert's end")
            assert running.interrupt() == 0
        assert site.answers()
        assert site.starts() == 2  # once by the test, once by the remediator
        assert len(engine.events("shop", site.began, "restart")) == 1
        assert left_behind(running) == []
    assert incident["outcome"] == "healed"
    assert [attempt["action"] for attempt in incident["attempts"]] == ["restart_container"]
    evidence = incident["attempts"][0]["evidence"]
    assert evidence["container"]["status"] == "exited"
    assert evidence["container"]["exit_code"] == 137
    assert subjects[0].startswith("[DOWN] shop")
    assert subjects[-1].startswith("[RECOVERED] shop")
    assert {recipient for mail in mailbox.mails for recipient in mail.recipients} == {"ops@acme.example"}
