"""Secrets are planted wherever the remediator takes one, and looked for in all that it lets out."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.end_to_end.stack import ROOT, clean_environment
from tests.linode_fake import running_linode_api
from tests.ports import free_port
from tests.remediator.doubles import Alertmanager, Exporter, served
from tests.signing_in import signed_in
from tests.ssh_server import SshServer, running_ssh_server
from tests.waiting import until

PLANTED = {
    "WEBHOOK_TOKEN": "planted-webhook-4f1d",
    "API_TOKEN": "planted-api-9c2e",
    "LINODE_TOKEN": "reads-only",  # the fake knows it, and refuses it the reboot
    "CONSOLE_PASSWORD": "planted-console-77ab",
}
GUESSES = ("guessed-bearer-31aa", "guessed-password-52bb", "guessed-cookie-83cc")
PAGES = (
    "/", "/metrics", "/incidents/1", "/api/v1/incidents", "/api/v1/incidents/1", "/api/v1/readiness",
    "/history", "/api/v1/approvals", "/api/v1/pause", "/api/v1/openapi.json", "/-/ready", "/login",
    "/nowhere", "/status",
)  # fmt: skip


@dataclass
class Running:
    """A remediator as `up` starts it, and all that it has let out so far."""

    url: str
    folder: Path
    process: "subprocess.Popen[bytes]"

    def get(self, path: str, **more: str) -> str:
        answer = requests.get(f"{self.url}{path}", timeout=15, allow_redirects=False, **more)  # type: ignore[arg-type]
        return f"{answer.headers}{answer.text}"

    def post(self, path: str, token: str, body: object) -> requests.Response:
        bearer = {"Authorization": f"Bearer {token}"}
        return requests.post(f"{self.url}{path}", json=body, headers=bearer, timeout=15)


@contextmanager
def running(
    folder: Path, server: SshServer, linode: str, exporter: str, alertmanager: str
) -> Iterator[Running]:
    (folder / "sites.yml").write_text(f"""
servers:
  web: {{ssh: {{host: {server.settings.host}, port: {server.settings.port}, user: {server.settings.user},
         key_file: {server.settings.key_file}, known_hosts_file: {server.settings.known_hosts_file}}},
         linode: 101, may_reboot: true}}
remediation: {{cooldown: 0, storm_cooldown: 0}}
sites:
  - {{name: www, url: "http://medic:planted-url-5d5d@127.0.0.1:1/?key=planted-query-6e6e",
      recover: {{server: web, container: nginx}}}}
  - {{name: blog, url: "http://127.0.0.1:1/"}}
""")
    port = free_port()
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "stack", "remediator", f"--config.file={folder / 'sites.yml'}"),
                f"--web.listen-address=127.0.0.1:{port}",
                f"--storage.url=sqlite:///{folder / 'remediator.db'}",
                *(f"--exporter.url={exporter}", f"--alertmanager.url={alertmanager}", "--log.level=debug"),
                *(f"--linode.api-url={linode}", "--timing=start_grace=0", "--timing=recheck=0.3"),
            ],
            env=clean_environment(PLANTED), cwd=ROOT, stdout=log, stderr=log,
        )  # fmt: skip
    found = Running(f"http://127.0.0.1:{port}", folder, process)
    try:
        until(lambda: requests.get(f"{found.url}/-/ready", timeout=5).ok, 40, "the remediator")
        yield found
    finally:
        process.kill()
        process.wait(10)


@pytest.mark.full
@pytest.mark.needs("sshd")
def test_no_planted_secret_is_let_out_whatever_goes_wrong(tmp_path: Path) -> None:
    exporter, alertmanager = Exporter(("www", "blog")), Alertmanager()
    exporter.failing["www"] = "status"
    alert = {"status": "firing", "labels": {"alertname": "SiteDown", "site": "www"}}
    body = {"version": "4", "groupKey": "k", "status": "firing", "receiver": "r", "alerts": [alert]}
    with (
        running_ssh_server(tmp_path) as server,
        running_linode_api() as linode,
        served(lambda path, query, _body: exporter.answer(path, query)) as exporter_url,
        served(lambda path, _query, sent: alertmanager.answer(path, sent)) as alertmanager_url,
        running(tmp_path, server, linode.url, exporter_url, alertmanager_url) as found,
    ):
        let_out = [found.post("/webhook/alertmanager", GUESSES[0], body).text]
        assert found.post("/webhook/alertmanager", PLANTED["WEBHOOK_TOKEN"], body).status_code == 200
        until(lambda: "needs_human" in bearer(found, "/api/v1/incidents/1"), 60, "an attempt that fails")
        let_out += [bearer(found, path) for path in PAGES] + [found.get(path) for path in PAGES]
        let_out.append(found.get("/", headers={"Cookie": f"sitemedic_session={GUESSES[2]}"}))  # type: ignore[arg-type]
        data = {"password": GUESSES[1], "name": "Ada"}
        let_out.append(requests.post(f"{found.url}/login", data=data, timeout=15).text)
        with signed_in(found.url, PLANTED["CONSOLE_PASSWORD"]) as session:
            let_out += [session.get(f"{found.url}{path}", timeout=15).text for path in PAGES]
        break_the_database(tmp_path / "remediator.db")
        let_out += [bearer(found, path) for path in PAGES]
        let_out.append(found.post("/webhook/alertmanager", PLANTED["WEBHOOK_TOKEN"], body).text)
        let_out.append(Path(f"/proc/{found.process.pid}/cmdline").read_text())
        until(lambda: "no such table" in (tmp_path / "log").read_text(), 30, "trouble in the log")
        os.kill(found.process.pid, signal.SIGABRT)
        assert found.process.wait(20) == -signal.SIGABRT
    files = {
        path: path.read_bytes().decode(errors="replace") for path in sorted(tmp_path.glob("remediator.db*"))
    }
    let_out += [*files.values(), (tmp_path / "log").read_text(), str(alertmanager.told)]
    key = (server.settings.key_file or Path()).read_text().splitlines()[2]
    secrets = {*PLANTED.values(), *GUESSES, key, "planted-url-5d5d", "planted-query-6e6e"}
    assert [(one, text[:300]) for one in secrets for text in let_out if one in text] == []


def bearer(found: Running, path: str) -> str:
    return found.get(path, headers={"Authorization": f"Bearer {PLANTED['API_TOKEN']}"})  # type: ignore[arg-type]


def break_the_database(path: Path) -> None:
    """Take a table away: from now on every look at it is a fault that nobody has thought of."""
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE attempts RENAME TO attempted")
