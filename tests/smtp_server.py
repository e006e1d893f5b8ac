"""A real SMTP server for a test, that keeps what it is handed."""

import email
import email.policy
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.ports import free_port
from tests.waiting import until


@dataclass(frozen=True)
class Mail:
    """A mail as it was handed over."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    encrypted: bool = False

    @property
    def subject(self) -> str:
        """Return the subject."""
        return str(self.message["Subject"])

    def body(self, kind: str = "plain") -> str:
        """Return the text of a mail: `plain` or `html`."""
        part = self.message.get_body((kind,))
        assert part is not None, f"no {kind} part"
        content = part.get_content()
        assert isinstance(content, str)
        return content


@dataclass
class Mailbox:
    """The server's address and its mails so far, in order."""

    host: str
    port: int
    mails: list[Mail] = field(default_factory=list)
    refused_logins: int = 0

    def wait_for(self, count: int, seconds: float = 15) -> list[Mail]:
        """Return the mails once there are `count` of them."""
        until(lambda: len(self.mails) >= count, seconds, f"{count} mails (so far {len(self.mails)})")
        return list(self.mails)


class _Handler:
    def __init__(self, mailbox: Mailbox, *, login_required: bool, refused: Sequence[str]) -> None:
        self._mailbox = mailbox
        self._refused = refused
        self._login_required = login_required

    async def handle_MAIL(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if self._login_required and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address in self._refused:
            return "550 5.1.1 No such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        encrypted = session.ssl is not None
        self._mailbox.mails.append(Mail(envelope.mail_from, tuple(envelope.rcpt_tos), message, encrypted))
        return "250 OK"


@contextmanager
def smtp_server(
    login: tuple[str, str] | None = None,
    port: int | None = None,
    tls: ssl.SSLContext | None = None,
    refused: Sequence[str] = (),
) -> Iterator[Mailbox]:
    """Run an SMTP server.

    With `login` it takes mail only after AUTH with that name and password, with `tls` only after STARTTLS,
    and never for a `refused` recipient.
    """
    mailbox = Mailbox("127.0.0.1", port or free_port())

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        if given == login:
            return AuthResult(success=True)
        mailbox.refused_logins += 1
        return AuthResult(success=False, handled=False)

    controller = Controller(
        _Handler(mailbox, login_required=login is not None, refused=refused),
        hostname=mailbox.host,
        port=mailbox.port,
        authenticator=authenticate if login else None,
        tls_context=tls,
        require_starttls=tls is not None,
        auth_require_tls=tls is not None,
        # Its LOGIN asks for "User Name", which Alertmanager does not know for a question.
        auth_exclude_mechanism=["LOGIN"],
    )
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
