"""The demo's mailbox: an SMTP server that keeps what it gets, in memory and as .eml files."""

import email
import email.policy
import hmac
import logging
import time
import warnings
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from core.logs import fields
from core.secrets import Secret

log = logging.getLogger(__name__)

KEPT_MAILS = 500
MAX_MAIL_BYTES = 5_000_000
_RECEIVED, _SENDER, _RECIPIENTS = "X-Mailbox-Received", "X-Mailbox-From", "X-Mailbox-To"


@dataclass(frozen=True)
class Mail:
    """A mail as it was handed in; `sender` and `recipients` are the envelope's, `received` unix seconds."""

    id: int
    received: float
    sender: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    html: str | None

    def to_json(self) -> dict[str, Any]:
        """Return what /api/mails shows."""
        return {
            "id": self.id,
            "received": self.received,
            "from": self.sender,
            "to": list(self.recipients),
            "subject": self.subject,
            "text": self.text,
        }


class Mailbox:
    """The newest mails, kept below `folder` so that a restart shows them again."""

    def __init__(self, folder: Path, kept: int = KEPT_MAILS) -> None:
        self._folder = folder
        self._mails: deque[Mail] = deque()
        self._kept = kept
        self._next = 1

    def open(self) -> None:
        """Make the folder and read what is in it."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in sorted(self._folder.glob("*.eml")):
            if path.stem.isdigit():
                self._mails.append(_parse(int(path.stem), path.read_bytes()))
        self._next = self._mails[-1].id + 1 if self._mails else 1
        self._drop_old()

    def add(self, sender: str, recipients: Sequence[str], content: bytes) -> Mail:
        """Keep one mail; raises OSError when it cannot be written."""
        number, self._next = self._next, self._next + 1
        head = f"{_RECEIVED}: {time.time():.3f}\r\n{_SENDER}: {_line(sender)}\r\n"
        head += f"{_RECIPIENTS}: {_line(', '.join(recipients))}\r\n"
        whole = head.encode("utf-8", "replace") + content
        path = self._path(number)
        path.touch(mode=0o600)
        path.write_bytes(whole)
        mail = _parse(number, whole)
        self._mails.append(mail)
        self._drop_old()
        return mail

    def mails(self, after: int = 0) -> list[Mail]:
        """Return the mails with a higher id than `after`, newest first."""
        return [mail for mail in reversed(self._mails) if mail.id > after]

    def mail(self, number: int) -> Mail | None:
        """Return one mail."""
        return next((mail for mail in self._mails if mail.id == number), None)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}.eml"

    def _drop_old(self) -> None:
        while len(self._mails) > self._kept:
            self._path(self._mails.popleft().id).unlink(missing_ok=True)


class _Handler:
    """aiosmtpd's handler: a mail is answered with 250 once it is written."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        raw = content if isinstance(content, bytes) else str(content).encode()
        try:
            mail = self._mailbox.add(envelope.mail_from or "", envelope.rcpt_tos, raw)
        except OSError as error:
            log.warning("mail not kept", extra=fields(reason=error.strerror))
            return "452 Insufficient system storage"
        log.info("mail received", extra=fields(mail=mail.id, subject=mail.subject))
        return "250 OK"


def make_smtp(mailbox: Mailbox, username: str | None, password: Secret | None) -> SMTP:
    """Make the protocol of one connection; with a user name, mails are taken after AUTH only."""

    def authenticate(
        _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        right = (
            isinstance(data, LoginPassword)
            and username is not None
            and password is not None
            and hmac.compare_digest(data.login, username.encode())
            and hmac.compare_digest(data.password, password.reveal().encode())
        )
        if not right:
            log.warning("wrong SMTP user or password")
        return AuthResult(success=right, handled=False)

    wanted = username is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # AUTH without TLS: this is the loopback
        return SMTP(
            _Handler(mailbox),
            data_size_limit=MAX_MAIL_BYTES,
            enable_SMTPUTF8=True,
            hostname="mailbox.demo",
            ident="Sitemedic demo mailbox",
            authenticator=authenticate if wanted else None,
            auth_required=wanted,
            auth_require_tls=False,
            # Alertmanager takes LOGIN where it is offered, and does not know aiosmtpd's words for it.
            auth_exclude_mechanism=["LOGIN"] if wanted else ["LOGIN", "PLAIN"],
        )


def _line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")


def _parse(number: int, raw: bytes) -> Mail:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    recipients = tuple(one.strip() for one in str(message[_RECIPIENTS] or "").split(",") if one.strip())
    try:
        received = float(str(message[_RECEIVED]))
    except ValueError:
        received = 0.0
    html = _content(message, "html")
    text = _content(message, "plain")
    subject = str(message["Subject"] or "(no subject)")
    return Mail(number, received, str(message[_SENDER] or ""), recipients, subject, text or "", html)


def _content(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body((kind,))
    if part is None:
        return None
    try:
        return str(part.get_content())
    except (LookupError, ValueError):  # an unknown charset or a broken encoding
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else str(payload)
