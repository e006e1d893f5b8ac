"""Say it plainly when nobody can be told: at the start, and while the stack runs."""

import re
import smtplib
import ssl
from collections.abc import Callable, Sequence
from email.utils import parseaddr
from pathlib import Path

from stack.causes import LOGIN, REACH, RECIPIENT, SENDER, Failure, cause, failures
from stack.loopback import get
from stack.receivers import ReceiverSettings
from stack.settings import Smtp

_FAILED = re.compile(r"^alertmanager_notification_requests_failed_total\{[^}]*\} (\S+)", re.MULTILINE)
_FAILED_MAILS = re.compile(
    r'^alertmanager_notification_requests_failed_total\{[^}]*integration="email"[^}]*\} (\S+)', re.MULTILINE
)
_LOOKED_AT = 200_000  # bytes of the log's end
_PATIENCE = 5.0  # seconds for each word with the mail server


class _RefusedError(Exception):
    """The server does not take a sender or a recipient."""


def fault(smtp: Smtp, recipients: Sequence[str] = ()) -> str | None:
    """Log in to the mail server as Alertmanager will, and ask whether it takes mail for `recipients`.

    Return what is wrong, with the server's code and the mend, or None. No mail is sent.
    """
    server = smtp.server
    try:
        with _connected(smtp) as connection:
            if smtp.username is not None and smtp.password is not None:
                connection.login(smtp.username, smtp.password.reveal())
            if recipients:
                _offer(connection, smtp.sender, recipients)
            connection.noop()
    except _RefusedError as error:
        return f"{server.address} {error}"
    except smtplib.SMTPAuthenticationError as error:
        return f"{server.address} refuses the login ({error.smtp_code}): {LOGIN}"
    except smtplib.SMTPNotSupportedError as error:
        return f"{server.address}: {error}: look at SMTP_TLS, SMTP_USERNAME and SMTP_PORT in .env"
    except ssl.SSLError as error:
        return f"{server.address}: TLS failed ({error.reason}): look at SMTP_TLS and SMTP_PORT in .env"
    except (OSError, smtplib.SMTPException) as error:
        return f"{server.address} does not answer as a mail server ({error}): {REACH}"
    return None


def _offer(connection: smtplib.SMTP, sender: str, recipients: Sequence[str]) -> None:
    connection.ehlo_or_helo_if_needed()
    code, words = connection.mail(parseaddr(sender)[1])
    if code >= 400:
        raise _RefusedError(f"refuses the sender {sender} ({code} {_said(words)}): {SENDER}")
    for recipient in recipients:
        code, words = connection.rcpt(recipient)
        if code >= 400:
            raise _RefusedError(f"refuses the recipient {recipient} ({code} {_said(words)}): {RECIPIENT}")
    connection.rset()


def _said(words: bytes) -> str:
    return " ".join(words.decode(errors="replace").split())[:200]


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


class DeliveryWatch:
    """Notices by Alertmanager's own count and log that something is not delivered; tells each cause once."""

    def __init__(
        self, alertmanager: str, log: Path, say: Callable[[str], None], receivers: ReceiverSettings
    ) -> None:
        self._metrics = f"{alertmanager}/metrics"
        self._log = log
        self._say = say
        self._receivers = receivers
        self._failed = self._failed_mails = 0.0
        self._told: dict[str, str] = {}
        self._begin = 0  # of what counts in the log

    def look(self) -> None:
        """Look once. An Alertmanager that does not answer is somebody else's business."""
        try:
            text = get(self._metrics)
        except OSError:
            return
        failed, mails = _sum(_FAILED, text), _sum(_FAILED_MAILS, text)
        if failed > self._failed:
            found = {failure.receiver: failure for failure in self._failures()}
            if mails > self._failed_mails and "mail" not in found:
                found["mail"] = Failure("mail", "")
            for failure in found.values():
                self._tell(failure)
        self._failed, self._failed_mails = failed, mails

    def forget(self, receivers: ReceiverSettings) -> None:
        """Tell the next failure even if it is the same as the last: something was changed."""
        self._receivers = receivers
        self._told = {}
        self._begin = self._log.stat().st_size if self._log.exists() else 0

    def _tell(self, failure: Failure) -> None:
        told = f"{failure.receiver} is not delivered: {cause(failure.receiver, failure.words)}"
        if self._told.get(failure.receiver) != told:
            self._say(f"{told[0].upper()}{told[1:]} (Alertmanager's own words: {self._log})")
        self._told[failure.receiver] = told

    def _failures(self) -> list[Failure]:
        try:
            with self._log.open("rb") as file:
                size = file.seek(0, 2)
                begin = self._begin if self._begin <= size else 0
                file.seek(max(begin, size - _LOOKED_AT))
                lines = file.read().decode(errors="replace").splitlines()
        except OSError:
            return []
        return list(failures(lines, self._receivers))


def _sum(pattern: re.Pattern[str], text: str) -> float:
    return sum(float(found) for found in pattern.findall(text))
