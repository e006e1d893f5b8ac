"""A mail server that is away: what lasts is mailed when it is back, what came and went told in one digest."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.alerting_chain import ALERTING
from tests.alertmanager_server import AlertmanagerServer, alertmanager_server
from tests.end_to_end.stack import ROOT, Up, clean_environment, left_behind, up
from tests.exporter.running import Exporter, Site, exporter, site
from tests.ports import free_port
from tests.rendering import MAIL, rendered_from
from tests.signing_in import signed_in
from tests.smtp_server import Mailbox, smtp_server
from tests.waiting import until

pytestmark = [pytest.mark.needs("prometheus", "prometheus-alertmanager"), pytest.mark.timeout(240)]

_TIMINGS = {
    "reconcile": 0.1, "recheck": 0.2, "idle_recheck": 0.3, "probe_spacing": 0.2, "notify": 1,
    "mail_look": 0.2, "mail_lag": 2, "mail_settles": 1,
}  # fmt: skip


@dataclass
class Lab:
    """A real exporter, Alertmanager and remediator; the test says what Prometheus would."""

    folder: Path
    exporter: Exporter
    alertmanager: AlertmanagerServer
    remediator_port: int
    processes: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def start(self) -> None:
        """Start a remediator on the database as it stands."""
        with (self.folder / "remediator.log").open("ab") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "stack", "remediator"),
                    f"--config.file={self.folder / 'sites.yml'}",
                    f"--web.listen-address=127.0.0.1:{self.remediator_port}",
                    f"--storage.url=sqlite:///{self.folder / 'remediator.db'}",
                    f"--exporter.url={self.exporter.url}",
                    f"--alertmanager.url={self.alertmanager.url}",
                    *(f"--timing={name}={seconds}" for name, seconds in _TIMINGS.items()),
                ],
                env=clean_environment(
                    {
                        "WEBHOOK_TOKEN_FILE": str(self.folder / "data/secrets/webhook_token"),
                        "API_TOKEN": "a",
                        "CONSOLE_PASSWORD": "a-long-password",
                    }
                ),
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        until(lambda: self._get("/-/ready").ok, 30, "the remediator")

    def kill(self) -> None:
        """Kill it as nothing can be caught."""
        os.kill(self.processes[-1].pid, signal.SIGKILL)
        self.processes[-1].wait(10)

    def breaks(self, name: str, where: Site) -> None:
        where.status = 500
        self.alertmanager.fire(self._labels(name), summary=f"{name}: answered 500", reason="status")
        until(lambda: self.incident(name)["probe_reason"], 20, f"the incident of {name} and its reason")

    def recovers(self, name: str, where: Site) -> None:
        where.status = 200
        self.alertmanager.resolve(self._labels(name))
        until(lambda: self.incident(name)["state"] == "recovered", 20, f"the end of {name}")

    def incident(self, name: str) -> dict[str, Any]:
        found = self._get("/api/v1/incidents").json()["incidents"]
        return next((one for one in found if one["site"] == name), {})

    def is_mailed(self, name: str, mailed: str) -> None:
        what = f"{name} to be {mailed or 'told'}"
        until(lambda: self.incident(name)["mailed"] == mailed, 60, what)

    def page(self, name: str) -> str:
        url = f"http://127.0.0.1:{self.remediator_port}"
        browser = signed_in(url, "a-long-password")
        return browser.get(f"{url}/incidents/{self.incident(name)['id']}", timeout=5).text

    def metric(self, name: str) -> float:
        lines = self._get("/metrics").text.splitlines()
        return float(next(line.rpartition(" ")[2] for line in lines if line.startswith(f"{name} ")))

    def _labels(self, name: str) -> dict[str, str]:
        outage = f"site:{name}"
        return {
            "alertname": "SiteDown",
            "site": name,
            "part_of": name,
            "severity": "critical",
            "outage": outage,
        }

    def _get(self, path: str) -> requests.Response:
        token = {"Authorization": "Bearer a"}
        return requests.get(f"http://127.0.0.1:{self.remediator_port}{path}", headers=token, timeout=5)


def configuration(**sites: Site) -> dict[str, Any]:
    return {
        "defaults": {
            "email": "ops@acme.example", "interval": "1s", "timeout": "900ms", "alert": {"after": "3s"},
        },
        "alerting": ALERTING,
        "sites": [
            # One late answer of the site that is to be well is no outage.
            {"name": name, "url": one.url} | ({"alert": {"after": "1m"}} if name == "well" else {})
            for name, one in sites.items()
        ],
    }  # fmt: skip


@contextmanager
def lab(folder: Path, smtp_port: int, sites: dict[str, Any], **environ: str) -> Iterator[Lab]:
    port = free_port()
    settings = {**MAIL, "SMTP_PORT": str(smtp_port), "REMEDIATOR_PORT": str(port), **environ}
    done = rendered_from(folder, yaml.safe_dump(sites), {name: one for name, one in settings.items() if one})
    with ExitStack() as stack:
        watching = stack.enter_context(exporter(folder, sites, program=("stack", "exporter")))
        config = done.rendered.alertmanager
        found = Lab(folder, watching, stack.enter_context(alertmanager_server(config, folder / "am")), port)
        stack.callback(lambda: found.processes[-1].terminate() or found.processes[-1].wait(20))
        found.start()
        yield found


@pytest.mark.full
def test_what_lasts_is_mailed_when_the_mail_server_is_back_and_what_came_and_went_in_one_digest(
    tmp_path: Path,
) -> None:
    smtp_port = free_port()
    with (
        site() as gone,
        site() as stays,
        lab(tmp_path, smtp_port, configuration(gone=gone, stays=stays)) as found,
    ):
        found.breaks("gone", gone)
        found.breaks("stays", stays)
        found.recovers("gone", gone)
        found.is_mailed("gone", "untold")
        found.kill()
        found.start()
        until(lambda: found.metric("sitemedic_outages_untold") == 1, 10, "the gauge")
        assert "Nobody could be mailed about this" in found.page("gone")
        with smtp_server(port=smtp_port) as mailbox:
            found.is_mailed("gone", "told_later")
            assert "told later" in found.page("gone")
            until(lambda: len(mailbox.mails) == 2, 20, "both mails")
            found.recovers("stays", stays)
            found.is_mailed("stays", "")
            mailbox.wait_for(3, 20)
            (digest,) = (mail for mail in mailbox.mails if "gone" in mail.subject)
            assert "gone was down (status) and is up again" in digest.body()
            told = sorted(mail.subject.partition("]")[0] for mail in mailbox.mails if mail is not digest)
            assert told == ["[DOWN", "[RECOVERED"]
            assert all("stays" in mail.subject for mail in mailbox.mails if mail is not digest)
            assert found.metric("sitemedic_outages_untold") == 0


@pytest.mark.full
def test_while_mail_is_well_there_is_no_digest(tmp_path: Path) -> None:
    with (
        smtp_server() as mailbox,
        site() as www,
        lab(tmp_path, mailbox.port, configuration(www=www)) as found,
    ):
        found.breaks("www", www)
        mailbox.wait_for(1, 20)
        found.recovers("www", www)
        mailbox.wait_for(2, 20)
        found.is_mailed("www", "")
        assert [mail.subject.partition(" ")[0] for mail in mailbox.mails] == ["[DOWN]", "[RECOVERED]"]
        assert "mailed" not in found.page("www")


@pytest.mark.full
@pytest.mark.timeout(400)
def test_the_whole_stack_mails_what_lasts_and_tells_what_it_could_not_mail(tmp_path: Path) -> None:
    smtp_port = free_port()
    smtp = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(smtp_port), "SMTP_TLS": "none"}
    with site() as gone, site() as stays, site() as well:
        sites = configuration(gone=gone, stays=stays, well=well)
        (tmp_path / "sites.yml").write_text(yaml.safe_dump(sites))
        with up(tmp_path, **smtp, SMTP_FROM="sitemedic@acme.example") as running:
            until(lambda: all(one["success"] for one in _sites(running)), 30, "first probes")
            gone.status = 500
            until(lambda: _newest(running, "gone"), 60, "the first incident")
            stays.status = 500
            until(lambda: _newest(running, "stays"), 60, "the second incident")
            gone.status = 200
            until(lambda: _newest(running, "gone")["mailed"] == "untold", 120, "the loss to be seen")
            assert _newest(running, "gone")["state"] == "recovered"
            with smtp_server(port=smtp_port) as mailbox:
                until(lambda: len(_about_sites(mailbox)) == 2, 120, "both mails")
                until(lambda: _newest(running, "gone")["mailed"] == "told_later", 200, "it to count as told")
                stays.status = 200
                until(lambda: len(_about_sites(mailbox)) == 3, 60, "the recovery's mail")
                digest, *others = sorted(_about_sites(mailbox), key=lambda subject: "gone" not in subject)
                assert [digest.partition("]")[0]] == ["[MISSED"]
                assert "stays" not in digest
                down, recovered = sorted(others)
                assert down.startswith("[DOWN] stays")
                assert recovered.startswith("[RECOVERED] stays")
                assert running.interrupt() == 0
        assert left_behind(running) == []


def _sites(running: Up) -> list[dict[str, Any]]:
    found = running.get("exporter", "/api/v1/sites")["sites"]
    assert isinstance(found, list)
    return found


def _newest(running: Up, name: str) -> dict[str, Any]:
    return next((one for one in running.incidents() if one["site"] == name), {})


def _about_sites(mailbox: Mailbox) -> list[str]:
    """Return the subjects of mails that are not about Sitemedic itself."""
    return [mail.subject for mail in mailbox.mails if "SITEMEDIC" not in mail.subject]
