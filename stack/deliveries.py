"""Say it plainly when mail cannot be sent: at the start, and while the stack runs."""

import re
import smtplib
import ssl
from collections.abc import Callable
from pathlib import Path

from stack.loopback import get
from stack.settings import Smtp

_FAILED = re.compile(
    r'^alertmanager_notification_requests_failed_total\{[^}]*integration="email"[^}]*\} (\S+)', re.MULTILINE
)
_PATIENCE = 5.0  # seconds for each word with the mail server


def fault(smtp: Smtp) -> str | None:
    """Log in to the mail server as Alertmanager will; return what is wrong and its mend, or None."""
    server = smtp.server
    try:
        with _connected(smtp) as connection:
            if smtp.username is not None and smtp.password is not None:
                connection.login(smtp.username, smtp.password.reveal())
            connection.noop()
    except smtplib.SMTPAuthenticationError as error:
        return f"{server.address} refuses the login ({error.smtp_code}): {_LOGIN}"
    except smtplib.SMTPNotSupportedError as error:
        return f"{server.address}: {error}: look at SMTP_TLS, SMTP_USERNAME and SMTP_PORT in .env"
    except ssl.SSLError as error:
        return f"{server.address}: TLS failed ({error.reason}): look at SMTP_TLS and SMTP_PORT in .env"
    except (OSError, smtplib.SMTPException) as error:
        return f"{server.address} does not answer as a mail server ({error}): {_REACH}"
    return None


_LOGIN = "set SMTP_USERNAME and SMTP_PASSWORD in .env to what your mail provider gave you"
_REACH = "look at SMTP_HOST, SMTP_PORT and SMTP_TLS in .env"


def _connected(smtp: Smtp) -> smtplib.SMTP:
    host, port = smtp.server.host, smtp.server.port
    context = ssl.create_default_context()
    if smtp.tls == "implicit":
        return smtplib.SMTP_SSL(host, port, timeout=_PATIENCE, context=context)
    connection = smtplib.SMTP(host, port, timeout=_PATIENCE)
    try:
        if smtp.tls == "starttls":
            connection.starttls(context=context)
    except BaseException:
        connection.close()
        raise
    return connection


class MailWatch:
    """Notices by Alertmanager's own count and log that mails are not delivered; tells each cause once."""

    def __init__(self, alertmanager: str, log: Path, say: Callable[[str], None]) -> None:
        self._metrics = f"{alertmanager}/metrics"
        self._log = log
        self._say = say
        self._failed = 0.0
        self._told: str | None = None

    def look(self) -> None:
        """Look once. An Alertmanager that does not answer is somebody else's business."""
        try:
            text = get(self._metrics)
        except OSError:
            return
        failed = sum(float(found) for found in _FAILED.findall(text))
        if failed > self._failed:
            told = f"Mail is not delivered: {self._cause()}"
            if told != self._told:
                self._say(told)
            self._told = told
        self._failed = failed

    def forget(self) -> None:
        """Tell the next failure even if it is the same as the last: something was changed."""
        self._told = None

    def _cause(self) -> str:
        try:
            lines = self._log.read_text(errors="replace").splitlines()[-200:]
        except OSError:
            lines = []
        last = next((line for line in reversed(lines) if "email" in line and "err=" in line), "")
        return cause(last) + f" (Alertmanager's own words: {self._log})"


def cause(line: str) -> str:
    """Return what a line of Alertmanager's log about a failed mail means, with the mend."""
    if "unexpected server challenge" in line:
        return (
            "Alertmanager does not understand how the mail server asks for the login (AUTH LOGIN): "
            "have the server offer AUTH PLAIN, or use another server or port (SMTP_HOST, SMTP_PORT in .env)"
        )
    if re.search(r"\b(535|534|530)\b|authentication|auth\b", line, re.IGNORECASE):
        return f"the mail server refuses the login: {_LOGIN}"
    if re.search(r"connect|dial|lookup|timeout|refused|no such host", line, re.IGNORECASE):
        return f"the mail server cannot be reached: {_REACH}"
    if re.search(r"certificate|tls|x509", line, re.IGNORECASE):
        return "TLS with the mail server failed: look at SMTP_TLS, SMTP_PORT and its certificate"
    if re.search(r"\b5\d\d\b", line):
        return "the mail server refuses the mail: look at SMTP_FROM in .env and at email: in sites.yml"
    return "look at the SMTP_ settings in .env"
