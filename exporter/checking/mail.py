"""Mail a verdict: by the SMTP server of the environment, else by the machine's own sendmail.

MailError        the mail did not leave; says what to do
"""

import getpass
import shutil
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

from core.faults import ConfigError, Fault, quoted
from core.secrets import Secret, from_environment

TIMEOUT = 20.0
"""Seconds that a mail server may take for any one answer."""

_TLS_PORTS = {"starttls": 587, "implicit": 465, "none": 587}
_SENDMAIL_FOLDERS = ("/usr/sbin", "/usr/lib", "/sbin")


class MailError(Exception):
    """The mail did not leave; the message says what to do."""


@dataclass(frozen=True)
class SMTPServer:
    """Where mail is handed in; read from SMTP_*."""

    host: str
    port: int
    tls: str
    """starttls, implicit or none."""
    username: str | None
    password: Secret | None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "SMTPServer | None":
        """Read SMTP_*; None where SMTP_HOST is not set. Raises ConfigError with every fault."""
        host = environ.get("SMTP_HOST", "").strip()
        if not host:
            return None
        faults: list[Fault] = []
        tls = environ.get("SMTP_TLS", "").strip().lower() or "starttls"
        if tls not in _TLS_PORTS:
            faults.append(_fault("SMTP_TLS", f"must be starttls, implicit or none (got {quoted(tls)})"))
        port_text = environ.get("SMTP_PORT", "").strip() or str(_TLS_PORTS.get(tls, 587))
        port = int(port_text) if port_text.isascii() and port_text.isdigit() else 0
        if not 0 < port < 65536:
            faults.append(_fault("SMTP_PORT", f"must be a port from 1 to 65535 (got {quoted(port_text)})"))
        username, password = environ.get("SMTP_USERNAME") or None, None
        try:
            password = from_environment("SMTP_PASSWORD", environ)
        except ConfigError as error:
            faults.extend(error.faults)
        else:
            if username and password is None:
                faults.append(_fault("SMTP_PASSWORD", "is needed, since SMTP_USERNAME is set"))
        if faults:
            raise ConfigError(faults)
        return cls(host, port, tls, username, password)


def _fault(name: str, message: str) -> Fault:
    return Fault("environment", name, message)


def send(subject: str, text: str, recipients: Sequence[str], environ: Mapping[str, str]) -> None:
    """Mail `text` to `recipients`. Raises MailError; ConfigError when SMTP_* is wrong."""
    server = SMTPServer.from_environment(environ)
    message = _message(subject, text, recipients, environ.get("SMTP_FROM", "").strip() or _own_address())
    if server is not None:
        _send_by_smtp(server, message)
    else:
        _send_by_sendmail(message, recipients, environ)


def _message(subject: str, text: str, recipients: Sequence[str], sender: str) -> EmailMessage:
    message = EmailMessage()
    try:
        message["From"] = sender
        message["To"] = ", ".join(recipients)
        message["Subject"] = " ".join(subject.split())
    except (ValueError, MessageError) as error:
        raise MailError(f"cannot write the mail's head: {error}; check SMTP_FROM and --mail-to") from error
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].rstrip("> ") or None)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message


def _own_address() -> str:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "sitemedic"
    return f"{user}@{socket.getfqdn()}"


def _send_by_smtp(server: SMTPServer, message: EmailMessage) -> None:
    where = f"{server.host}:{server.port}"
    try:
        with _connected(server) as client:
            if server.username and server.password:
                client.login(server.username, server.password.reveal())
            refused = client.send_message(message)
    except OSError as error:  # smtplib's and TLS's own are some too
        raise MailError(_why_not(error, where)) from error
    if refused:
        raise MailError(f"{where} refuses the recipient {', '.join(refused)}: check --mail-to")


def _why_not(error: OSError, where: str) -> str:
    """Return why the server did not take a mail, and what to do."""
    match error:
        case smtplib.SMTPAuthenticationError():
            return (
                f"{where} refuses SMTP_USERNAME and SMTP_PASSWORD ({error.smtp_code}): correct them in .env"
            )
        case smtplib.SMTPNotSupportedError():
            return f"{where}: {error} Set SMTP_TLS to what the server offers."
        case smtplib.SMTPRecipientsRefused():
            return f"{where} refuses the recipient {', '.join(error.recipients)}: check --mail-to"
        case smtplib.SMTPSenderRefused():
            return f"{where} refuses the sender {error.sender}: set SMTP_FROM"
        case ssl.SSLError():
            reason = getattr(error, "reason", None) or error
            return f"{where}: TLS failed ({reason}): check SMTP_TLS, SMTP_PORT and its certificate"
        case smtplib.SMTPException():
            return f"{where} did not take the mail ({_plain(error)}): check SMTP_TLS and SMTP_PORT"
    cause = error.strerror or str(error) or "no answer"
    return f"cannot reach the mail server {where} ({cause}): check SMTP_HOST and SMTP_PORT"


def _plain(error: smtplib.SMTPException) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        words = (
            error.smtp_error.decode(errors="replace")
            if isinstance(error.smtp_error, bytes)
            else error.smtp_error
        )
        return f"{error.smtp_code} {words}"
    return str(error)


def _connected(server: SMTPServer) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if server.tls == "implicit":
        return smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT, context=context)
    client = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT)
    if server.tls == "starttls":
        try:
            client.starttls(context=context)
        except BaseException:
            client.close()
            raise
    return client


def _send_by_sendmail(message: EmailMessage, recipients: Sequence[str], environ: Mapping[str, str]) -> None:
    folders = [environ.get("PATH", ""), *_SENDMAIL_FOLDERS]
    program = shutil.which("sendmail", path=":".join(folders))
    if program is None:
        raise MailError("no way to send mail: set SMTP_HOST in .env, or install a local sendmail")
    try:
        done = subprocess.run(
            [program, "-i", "--", *recipients],
            input=message.as_bytes(), capture_output=True, timeout=TIMEOUT * 3, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MailError(f"{program} did not take the mail: {error}; or set SMTP_HOST in .env") from error
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())[:200]
        raise MailError(
            f"{Path(program).name} ended with {done.returncode} ({said}); or set SMTP_HOST in .env"
        )
