"""A real remediator behind a web-config.yml, as a process of its own."""

import contextlib
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import trustme

from tests.exporter.running import ROOT, write
from tests.exporter.test_web_security import TLS, certify
from tests.ports import free_port
from tests.remediator.doubles import SITES
from tests.signing_in import PASSWORD, token_in
from tests.waiting import until

WEBHOOK_TOKEN, API_TOKEN = "planted-webhook-token", "planted-api-token-x"
START_WITHIN = 60.0


@dataclass
class SecuredConsole:
    """A remediator, and what asks it."""

    folder: Path
    port: int
    scheme: str
    process: "subprocess.Popen[bytes]"
    authority: trustme.CA

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}"

    def ask(self, path: str = "/-/healthy", method: str = "GET", **options: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            found = session.request(method, self.url + path, **self._usual(), **options)
            assert found.content is not None
            return found

    def status(self, path: str = "/-/healthy", **options: Any) -> int:
        """Return the status of an answer, 0 where there was none."""
        try:
            return self.ask(path, **options).status_code
        except requests.RequestException:
            return 0

    def browser(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.folder / "ca.pem")
        return session

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "ca.pem"))

    def tcp(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 20)

    @contextmanager
    def tls(self) -> Iterator[ssl.SSLSocket]:
        with self.tcp() as plain, self.trusting().wrap_socket(plain, server_hostname="localhost") as wrapped:
            yield wrapped

    def serial(self) -> str:
        """Return the serial number of the certificate that it shows."""
        with self.tls() as wrapped:
            shown = wrapped.getpeercert()
            assert shown is not None
            return str(shown["serialNumber"])

    def said(self) -> str:
        return (self.folder / "log").read_text()

    def rewrite(self, web_config: dict[str, Any]) -> None:
        write(self.folder / "web.yml", web_config)

    def certify(self) -> None:
        certify(self.authority, self.folder)

    def _usual(self) -> dict[str, Any]:
        return {"verify": str(self.folder / "ca.pem"), "timeout": 20, "allow_redirects": False}


@contextmanager
def secured_console(folder: Path, web_config: dict[str, Any], **environ: str) -> Iterator[SecuredConsole]:
    """Run one until the block ends."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certify(authority, folder)
    write(folder / "web.yml", web_config)
    (folder / "sites.yml").write_text(SITES)
    port = free_port()
    tokens = {"WEBHOOK_TOKEN": WEBHOOK_TOKEN, "API_TOKEN": API_TOKEN, "CONSOLE_PASSWORD": PASSWORD}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "stack", "remediator", f"--config.file={folder}/sites.yml",
                f"--web.config.file={folder}/web.yml", f"--storage.url=sqlite:///{folder}/r.db",
                f"--web.listen-address=127.0.0.1:{port}", "--log.level=debug",
            ],
            env={**os.environ, **tokens, **environ}, cwd=ROOT, stdout=log, stderr=log,
        )  # fmt: skip
    scheme = "https" if "tls_server_config" in web_config else "http"
    running = SecuredConsole(folder, port, scheme, process, authority)
    try:
        until(lambda: "remediator runs" in running.said() or _ended(running), START_WITHIN, "the remediator")
        yield running
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


def sign_in(running: SecuredConsole, browser: requests.Session, **headers: str) -> requests.Response:
    """Sign in as a browser does."""
    token = token_in(browser.get(f"{running.url}/login", timeout=20).text)
    form = {"csrf": token, "name": "Ada", "password": PASSWORD}
    return browser.post(
        f"{running.url}/login", data=form, headers={"Origin": running.url, **headers}, timeout=20,
        allow_redirects=False,
    )  # fmt: skip


def _ended(running: SecuredConsole) -> bool:
    assert running.process.poll() is None, running.said()[-2000:]
    return False


__all__ = ["TLS", "SecuredConsole", "secured_console", "sign_in"]
