"""Send one test notification through a real Alertmanager, to a receiver as it is rendered."""

import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stack.causes import cause, failures
from stack.deliveries import fault
from stack.errors import StackError
from stack.loopback import answers, get, post
from stack.masking import Mask, written
from stack.processes import kill_session, start
from stack.programs import find_program
from stack.render import render_one
from stack.services import without_secrets
from stack.settings import Settings

ALERT = "SitemedicTest"
"""The alert's name, from which the templates know that it is a test."""

_READY = 20.0  # seconds for Alertmanager to start
_PATIENCE = 45.0  # seconds for a verdict; Alertmanager itself waits 10 s for an answer
_EVERY = 5.0  # seconds between two signs of life
_COUNTED = 0.25  # seconds: Alertmanager counts a request a moment before it counts it as failed
_INTEGRATIONS = {
    "mail": "email",
    "slack": "slack",
    "telegram": "telegram",
    "ntfy": "webhook",
    "webhook": "webhook",
    "pagerduty": "pagerduty",
    "heartbeat": "webhook",
}
RECEIVERS = tuple(_INTEGRATIONS)
"""What can be tested."""

Say = Callable[[str], None]


def where(settings: Settings, receiver: str, mail_to: tuple[str, ...] = ()) -> str:
    """Return in a few words where a notification goes, without any secret."""
    given = settings.receivers
    if receiver == "mail":
        return f"{', '.join(mail_to)} through {settings.smtp.server.address}" if settings.smtp else "nobody"
    if receiver == "telegram" and given.telegram:
        return f"chat {given.telegram.chat} of Telegram"
    if receiver == "pagerduty":
        return "PagerDuty"
    host = getattr(given, receiver).host
    return f"Slack ({host})" if receiver == "slack" else f"{receiver} at {host}"


def send_test(settings: Settings, receiver: str, mail_to: tuple[str, ...], say: Say) -> bool:
    """Send one test notification, say how it went, and return whether it was taken.

    Nothing is left running. Raises StackError when Alertmanager itself does not run.
    """
    place = where(settings, receiver, mail_to)
    say(f"Sending a test to {place} …")
    if receiver == "mail" and settings.smtp and (refused := fault(settings.smtp, mail_to)):
        say(f"Not sent: {refused}")
        return False
    with (
        TemporaryDirectory(prefix="sitemedic-") as folder,
        _alertmanager(settings, receiver, mail_to, Path(folder)) as one,
    ):
        wrong = one.send(receiver, settings, max(1, len(mail_to)), say)
    say(f"Not sent: {wrong}" if wrong else f"Sent to {place}. Look whether it has arrived.")
    return not wrong


@contextmanager
def _alertmanager(
    settings: Settings, receiver: str, mail_to: tuple[str, ...], home: Path
) -> Iterator["_Alertmanager"]:
    config, log = render_one(settings, receiver, mail_to, home), home / "alertmanager.log"
    url = f"http://127.0.0.1:{_free_port()}"
    argv = (
        str(find_program("alertmanager") or "alertmanager"),
        f"--config.file={config}",
        f"--storage.path={home / 'state'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        f"--web.external-url={settings.alertmanager.url}",
        "--web.route-prefix=/",
        "--cluster.listen-address=",
    )
    mask = Mask(home / "secrets")
    try:
        process = start(argv, without_secrets(os.environ), home, log, mask)
    except OSError as error:
        raise StackError(f"Alertmanager cannot be started: {error}") from error
    try:
        one = _Alertmanager(url, log, process, mask)
        one.wait_ready()
        yield one
    finally:
        _stop(process)


@dataclass(frozen=True)
class _Alertmanager:
    url: str
    log: Path
    process: "subprocess.Popen[bytes]"
    mask: Mask

    def wait_ready(self) -> None:
        deadline = time.monotonic() + _READY
        while not answers(f"{self.url}/-/ready"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise StackError(f"Alertmanager does not start:\n{self._log()[-2000:]}")
            time.sleep(0.05)

    def send(self, receiver: str, settings: Settings, count: int, say: Say) -> str | None:
        """Send the test, in `count` notifications; return what is wrong, or None."""
        began = datetime.now(UTC)
        self._post(receiver, began)
        wrong = self._verdict(receiver, settings, count, say)
        if receiver == "pagerduty" and not wrong:  # nobody shall have to close it by hand
            self._post(receiver, began, over=True)
            wrong = self._verdict(receiver, settings, 2 * count, say)
        return wrong

    def _post(self, receiver: str, began: datetime, over: bool = False) -> None:
        host = socket.gethostname()
        alert: dict[str, Any] = {
            "labels": {"alertname": ALERT, "severity": "info"},
            "annotations": {
                "summary": f"this is only a test from {host}",
                "description": f"Somebody ran ./sitemedic {receiver} test on {host}. Nothing is down.",
            },
            "startsAt": began.isoformat(),
        }
        if over:
            alert["endsAt"] = datetime.now(UTC).isoformat()
        post(f"{self.url}/api/v2/alerts", [alert])

    def _verdict(self, receiver: str, settings: Settings, count: int, say: Say) -> str | None:
        """Wait until `count` notifications were taken, or one was not."""
        integration = _INTEGRATIONS[receiver]
        begun = told = time.monotonic()
        while time.monotonic() - begun < _PATIENCE:
            text = get(f"{self.url}/metrics")
            if _count("failed_total", integration, text):
                return self._cause(receiver, settings)
            if _count("total", integration, text) >= count:
                time.sleep(_COUNTED)
                if _count("failed_total", integration, get(f"{self.url}/metrics")):
                    return self._cause(receiver, settings)
                return None
            if time.monotonic() - told >= _EVERY:
                told = time.monotonic()
                say(f"  waiting for the answer ({told - begun:.0f} s)")
            time.sleep(0.05)
        return f"no answer after {_PATIENCE:.0f} s: {cause(receiver, 'timeout')}"

    def _cause(self, receiver: str, settings: Settings) -> str:
        """Return what went wrong; Alertmanager counts a failure before it writes why."""
        deadline = time.monotonic() + 5.0
        while time.monotonic() < deadline:
            for failure in failures(self._log().splitlines(), settings.receivers.only(receiver)):
                return f"{cause(receiver, failure.words)}\n  Alertmanager's own words: {failure.words}"
            time.sleep(0.05)
        return f"{cause(receiver, '')}\n  Alertmanager's own words:\n{self._log()[-1000:]}"

    def _log(self) -> str:
        return self.mask(self.log.read_text(errors="replace")) if self.log.exists() else ""


def _count(what: str, integration: str, text: str) -> float:
    found = re.search(
        rf'^alertmanager_notification_requests_{what}\{{[^}}]*integration="{integration}"[^}}]*\}} (\S+)',
        text,
        re.MULTILINE,
    )
    return float(found[1]) if found else 0.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(3.0)
    kill_session(process.pid)
    process.wait()
    deadline = time.monotonic() + 1.0
    while not written(process) and time.monotonic() < deadline:
        time.sleep(0.01)
