"""The running remediator's API, as the command line asks it: where it is, and its token."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import urllib3
from urllib3.exceptions import InsecureRequestWarning

from core.environment import load_environment
from core.faults import ConfigError
from core.secrets import Secret, from_environment, read_secret_file
from stack.console import console_settings
from stack.containers import TOKENS
from stack.errors import StackError
from stack.home import locate, read_running
from stack.settings import SERVICES

TIMEOUT = (3.0, 15.0)
urllib3.disable_warnings(InsecureRequestWarning)
_IN_DOCKER = "With Docker: docker compose exec remediator python -m stack …"


@dataclass(frozen=True)
class RemediatorAPI:
    """One remediator."""

    url: str
    token: Secret

    def get(self, path: str) -> dict[str, Any]:
        """Ask for something. Raises StackError."""
        return self._ask("GET", path, None)

    def send(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Have something done. Raises StackError, with the remediator's own words where it refuses."""
        return self._ask(method, path, body)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        try:
            with requests.Session() as session:
                session.trust_env = False
                session.verify = False  # it is on this machine, and its certificate for other names
                answer = session.request(
                    method,
                    f"{self.url}{path}",
                    json=body,
                    headers={"Authorization": f"Bearer {self.token.reveal()}"},
                    timeout=TIMEOUT,
                    allow_redirects=False,
                )
        except requests.RequestException as error:
            raise StackError(
                f"the remediator does not answer at {self.url} ({type(error).__name__}): is it running? "
                f"./sitemedic up starts it; --dir names another folder. {_IN_DOCKER}"
            ) from error
        return _read(answer, self.url)


def _read(answer: requests.Response, url: str) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise StackError(f"what answers at {url} is no remediator (status {answer.status_code})")
    if answer.status_code == 401:
        raise StackError(
            f"the remediator at {url} was started with another API_TOKEN than this one. {_IN_DOCKER}"
        )
    if answer.status_code != 200:
        raise StackError(str(found.get("error") or f"the remediator answered {answer.status_code}"))
    return found


def remediator_api(folder: Path) -> RemediatorAPI:
    """Return the remediator of a folder, or of the container that this runs in.

    Raises StackError or ConfigError.
    """
    environ = load_environment(folder)
    given, tls = from_environment("API_TOKEN", environ), console_settings(environ).tls
    if (TOKENS / "secrets").is_dir():
        return RemediatorAPI(_here(str(SERVICES["remediator"]), tls), given or _kept(TOKENS))
    home = locate(folder)
    running = read_running(home)
    url = running.urls.get("remediator") if running is not None else None
    url = url or _here(environ.get("REMEDIATOR_PORT") or str(SERVICES["remediator"]), tls)
    return RemediatorAPI(url.rstrip("/"), given or _kept(home.data))


def _here(port: str, tls: bool) -> str:
    return f"{'https' if tls else 'http'}://127.0.0.1:{port.strip()}"


def _kept(data: Path) -> Secret:
    path = data / "secrets" / "api_token"
    try:
        return read_secret_file(path)
    except ConfigError as error:
        raise StackError(
            f"no API_TOKEN in .env, and none in {path}: was ./sitemedic up ever run in this folder? "
            f"--dir names another one. {_IN_DOCKER}"
        ) from error
