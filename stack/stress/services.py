"""Which Sitemedic watches, and where the application is that is put under load."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import requests

from core.secrets import read_secret_file
from demo.app.pages import NAME
from stack.errors import StackError
from stack.home import Home, Running
from stack.story.seen import mails_seen
from stack.story.sources import Services, find_stack
from stack.stress.seen import Look, alerts_seen, containers_seen, mailed_seen, sites_seen

_PATIENCE = 5.0
_NOTHING = (
    "{error}. Without a sites.yml in the folder, that is the demo, whose site is the application that the "
    "profiles are made for: then run this in another terminal, in the same folder"
)


@dataclass
class Watcher(Services):
    """The Sitemedic that watches: the one of a folder, or the one at given addresses."""

    given: bool = False
    """Its addresses were given: whether it still runs only its answers tell."""

    def still_runs(self) -> bool:
        """Tell whether it is still the same stack that runs."""
        return self.given or super().still_runs()

    def look(self) -> Look:
        """Ask every service once; what does not answer is None and told among the faults."""
        faults: list[str] = []
        ask = partial(self.ask, faults)
        mailbox = "mailbox" in self.running.urls
        found = Look(
            time=self.clock(),
            sites=ask("exporter", "/api/v1/sites", sites_seen),
            containers=ask("exporter", "/api/v1/containers", containers_seen),
            mails=ask("mailbox", "/api/mails", mails_seen) if mailbox else None,
            mailed=None if mailbox else self._mailed(faults),
            incidents=ask("remediator", "/api/v1/incidents", self.incidents),
            alerts=ask("prometheus", "/api/v1/alerts", alerts_seen),  # last: the cause of the two before
        )
        return Look(**{**vars(found), "faults": tuple(faults)})

    def _mailed(self, faults: list[str]) -> int | None:
        try:
            answer = self._session.get(f"{self.running.urls['alertmanager']}/metrics", timeout=_PATIENCE)
            answer.raise_for_status()
        except requests.RequestException as error:
            faults.append(f"alertmanager does not answer ({type(error).__name__})")
            return None
        return mailed_seen(answer.text)


def find_watcher(folder: Path, urls: Mapping[str, str], site: str, token_file: Path | None = None) -> Watcher:
    """Return the Sitemedic at `urls`, else the one that runs in a folder.

    Raises StackError, and ConfigError where `token_file` cannot be read.
    """
    if urls:
        running = Running(demo=False, pid=0, started=0.0, urls=urls)
        watcher = Watcher(Home(folder, demo=False), running, site, given=True)
        watcher.api_token = read_secret_file(token_file) if token_file is not None else None
        return watcher
    try:
        home, running = find_stack(folder)
    except StackError as error:
        raise StackError(_NOTHING.format(error=error)) from None
    return Watcher(home, running, site)


def need_application(url: str) -> None:
    """Raise StackError unless the demo application answers there, in good health: nothing else is loaded."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.get(f"{url}/health", timeout=_PATIENCE, allow_redirects=False)
            said: Any = answer.json()
        except requests.ConnectionError as error:
            raise StackError(
                f"nothing answers at {url} ({type(error).__name__}): is the demo running?"
            ) from error
        except (requests.RequestException, ValueError):
            said = None
    if not isinstance(said, dict) or said.get("app") != NAME:
        raise StackError(
            f"{url} is not Sitemedic's demo application (its /health does not say so): the profiles ask for "
            "its pages, and nothing else is put under load"
        )
    if not answer.ok:
        raise StackError(
            f"the demo application at {url} is not healthy: {said.get('error', answer.status_code)}"
        )
