"""What the environment says of this machine: addresses, mail, tokens, links."""

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from core.faults import ConfigError, Fault
from core.files import write_first
from core.secrets import Secret, from_environment, read_secret_file
from core.web.bearer import password_fault
from stack.console import ConsoleSettings, console_settings
from stack.receivers import LINES, ReceiverSettings

Target = Literal["local", "compose"]
T = TypeVar("T")

FILE = ".env"
"""Where faults are told to be mended."""

COMPOSE_RENDERED = Path("/etc/sitemedic/rendered")
"""Where the containers of docker-compose.yml see what `render` wrote."""

IMPLICIT_TLS_PORT = 465
"""Alertmanager speaks TLS from the first byte on this port, and on no other (notify/email/email.go)."""

SERVICES = {"exporter": 9115, "prometheus": 9090, "alertmanager": 9093, "remediator": 9096, "grafana": 3000}
"""The services and the ports they listen on unless told otherwise."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_TYPED = 12
"""Random bytes of a password that people type: 16 characters."""
_HOST = re.compile(r"[^\s:/@{}\[\]\x00-\x1f\x7f]+|[0-9A-Fa-f:.]+")
_ADDRESS = re.compile(r"[^@\s{}]+@[^@\s{}]+|[^@<>{}]*<[^@\s<>{}]+@[^@\s<>{}]+>")


@dataclass(frozen=True)
class Endpoint:
    """Where a service is reached by the others."""

    host: str
    port: int
    tls: bool = False

    @property
    def address(self) -> str:
        """Return `host:port`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Return the address as a URL without a path."""
        return f"{'https' if self.tls else 'http'}://{self.address}"


@dataclass(frozen=True)
class Smtp:
    """The server that mails are handed to."""

    server: Endpoint
    sender: str
    username: str | None
    password: Secret | None
    tls: Literal["starttls", "none", "implicit"]


@dataclass(frozen=True)
class Settings:
    """Everything that rendering and starting take from the environment."""

    target: Target
    exporter: Endpoint
    prometheus: Endpoint
    alertmanager: Endpoint
    remediator: Endpoint
    grafana: Endpoint
    smtp: Smtp | None
    webhook_token: Secret
    api_token: Secret
    console_password: Secret
    public_url: str | None
    grafana_url: str | None
    alertmanager_url: str | None
    published: Mapping[str, int]  # service → its port on this machine, in compose too
    receivers: ReceiverSettings = field(default_factory=ReceiverSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)


def load_settings(environ: Mapping[str, str], data: Path, target: Target = "local") -> Settings:
    """Return the settings in `environ`; tokens that it does not set are kept below `data/secrets`.

    Raises ConfigError with every fault.
    """
    reader = _Reader(environ)
    published = {name: reader.port(f"{name.upper()}_PORT", default) for name, default in SERVICES.items()}
    smtp = reader.smtp()
    public_url, grafana_url, alertmanager_url = (
        reader.link(f"{name}_URL") for name in ("PUBLIC", "GRAFANA", "ALERTMANAGER")
    )
    receivers = reader.receivers()
    tokens = {name: reader.secret(name) for name in ("WEBHOOK_TOKEN", "API_TOKEN")}
    password, console = reader.password("CONSOLE_PASSWORD"), reader.console()
    if reader.faults:
        raise ConfigError(reader.faults)
    endpoints = {name: _endpoint(name, port, target) for name, port in published.items()}
    endpoints["remediator"] = replace(endpoints["remediator"], tls=console.tls)
    return Settings(
        target=target,
        smtp=smtp,
        public_url=public_url,
        grafana_url=grafana_url,
        alertmanager_url=alertmanager_url,
        published=published,
        receivers=receivers,
        webhook_token=tokens["WEBHOOK_TOKEN"] or kept_token(data / "secrets" / "webhook_token"),
        api_token=tokens["API_TOKEN"] or kept_token(data / "secrets" / "api_token"),
        console_password=password or kept_token(console_password_file(data), _TYPED),
        console=console,
        **endpoints,
    )


def console_password_file(data: Path) -> Path:
    """Return where the console's password stands when .env does not set it."""
    return data / "secrets" / "console_password"


def kept_token(path: Path, size: int = 32) -> Secret:
    """Return the token of `size` random bytes in `path`, made there (mode 0600) the first time.

    Raises ConfigError.

    Whoever comes second, even at the same time, gets the token of the first.
    """
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_first(path, secrets.token_urlsafe(size) + "\n")
        except OSError as error:
            raise ConfigError.single(str(path), "", f"cannot keep a token here: {error.strerror}") from error
    return read_secret_file(path)


def _is_link(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)


def _endpoint(service: str, published: int, target: Target) -> Endpoint:
    """Return where a service is; in compose, ports are the containers' own and never change."""
    return Endpoint(service, SERVICES[service]) if target == "compose" else Endpoint("127.0.0.1", published)


@dataclass
class _Reader:
    """Read the environment piece by piece, and collect what is wrong with it."""

    environ: Mapping[str, str]
    faults: list[Fault] = field(default_factory=list)

    def port(self, name: str, default: int) -> int:
        text = self._text(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
            self._fault(name, f"must be a port from 1 to 65535 (got {text!r})")
            return default
        return int(text)

    def secret(self, name: str) -> Secret | None:
        return self._collected(lambda: from_environment(name, self.environ))

    def password(self, name: str) -> Secret | None:
        """Return a password that people type."""
        found = self.secret(name)
        if found is not None and (fault := password_fault(found)):
            self._fault(name, fault)
        return found

    def console(self) -> ConsoleSettings:
        return self._collected(lambda: console_settings(self.environ)) or ConsoleSettings()

    def receivers(self) -> ReceiverSettings:
        found: dict[str, Any] = {}
        for receiver, line in LINES.items():
            if (secret := self.secret(line.variable)) is not None:
                try:
                    found[receiver] = line.read(secret.reveal().strip())
                except ValueError as error:  # its text holds no piece of the secret
                    self._fault(line.variable, str(error))
        return ReceiverSettings(**found)

    def link(self, name: str) -> str | None:
        """Return an address that people open; it is written into mails."""
        text = self._text(name)
        if text is None:
            return None
        if "@" in text:  # and the value is not shown
            self._fault(name, "must not hold a password: it is written into mails")
        elif not _is_link(text):
            self._fault(name, f"must be an address such as https://status.example.com (got {text!r})")
        elif not set(text).isdisjoint("{}\"'<> `\\"):
            self._fault(name, f"must be without quotes, braces and spaces (got {text!r})")
        return text.rstrip("/")

    def smtp(self) -> Smtp | None:
        host = self._text("SMTP_HOST")
        if host is None:
            set_alone = [
                name
                for name in ("SMTP_USERNAME", "SMTP_PASSWORD", "SMTP_PASSWORD_FILE", "SMTP_FROM")
                if self._text(name)
            ]
            for name in set_alone:
                self._fault(name, "set SMTP_HOST too, or no mail can be sent")
            return None
        if not _HOST.fullmatch(host):
            got = "" if "@" in host else f" (got {host!r})"  # smtp://name:password@host
            self._fault("SMTP_HOST", f"must be a host name; its port goes into SMTP_PORT{got}")
        tls = self._tls()
        port = self.port("SMTP_PORT", IMPLICIT_TLS_PORT if tls == "implicit" else 587)
        if (tls == "implicit") != (port == IMPLICIT_TLS_PORT):
            self._fault(
                "SMTP_PORT",
                "port 465 and SMTP_TLS=implicit go together, for nothing else: "
                f"Alertmanager speaks TLS from the start on 465 only (got {port}, SMTP_TLS={tls})",
            )
        username, password = self._login(host, tls)
        return Smtp(Endpoint(host, port), self._sender(username), username, password, tls)

    def _tls(self) -> Literal["starttls", "none", "implicit"]:
        text = self._text("SMTP_TLS") or ("implicit" if self._text("SMTP_PORT") == "465" else "starttls")
        match text.lower():
            case "starttls" | "none" | "implicit" as tls:
                return tls
        self._fault("SMTP_TLS", f"must be starttls, implicit or none (got {text!r})")
        return "starttls"

    def _login(self, host: str, tls: str) -> tuple[str | None, Secret | None]:
        username, password = self._text("SMTP_USERNAME"), self.secret("SMTP_PASSWORD")
        if (username is None) != (password is None):
            missing = "SMTP_USERNAME" if username is None else "SMTP_PASSWORD"
            self._fault(missing, "SMTP_USERNAME and SMTP_PASSWORD (or SMTP_PASSWORD_FILE) go together")
        if username and tls == "none" and host not in LOOPBACK:
            self._fault("SMTP_TLS", "none would send the password in the open: set starttls or implicit")
        return username, password

    def _sender(self, username: str | None) -> str:
        sender = self._text("SMTP_FROM") or (username if username and "@" in username else None)
        if sender is None:
            self._fault("SMTP_FROM", "set it to the address that mails come from, such as medic@example.com")
            return ""
        if not _ADDRESS.fullmatch(sender):
            self._fault("SMTP_FROM", f"must be one address, such as medic@example.com (got {sender!r})")
        return sender

    def _text(self, name: str) -> str | None:
        return self.environ.get(name, "").strip() or None

    def _collected(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except ConfigError as error:
            self.faults.extend(error.faults)
            return None

    def _fault(self, name: str, message: str) -> None:
        self.faults.append(Fault(FILE, name, message))
