"""Who is told beside the mails, as .env names them: Slack, Telegram, ntfy, PagerDuty, a webhook, a heartbeat.

One line each; that line is a secret as a whole, since most of these addresses are passwords by themselves.
A parser raises ValueError with the mend; its text never holds a piece of the value.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from core.secrets import Secret

TELEGRAM_API = "https://api.telegram.org"
PAGERDUTY_API = "https://events.pagerduty.com/v2/enqueue"

_HOST_OF_SLACK = re.compile(r"hooks\.slack(-gov)?\.com")
_BOT_TOKEN = re.compile(r"\d+:[A-Za-z0-9_-]{30,}")
_CHAT = re.compile(r"-?\d{1,18}")
_TOPIC = re.compile(r"/[-_A-Za-z0-9]{1,64}")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9a-f:.]+(%25[A-Za-z0-9._-]+)?")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ROUTING_KEY = re.compile(r"[A-Za-z0-9]{32}")


@dataclass(frozen=True)
class WebAddress:
    """Where something is posted to. The URL is without login; only the host may be shown."""

    url: Secret
    host: str
    username: str = ""  # without one, the password is a bearer token
    password: Secret | None = None


@dataclass(frozen=True)
class Telegram:
    """A bot and the chat it writes to."""

    token: Secret
    chat: int
    api_url: str = TELEGRAM_API


@dataclass(frozen=True)
class PagerDuty:
    """A service's integration of PagerDuty."""

    routing_key: Secret
    api_url: str = PAGERDUTY_API


@dataclass(frozen=True)
class ReceiverSettings:
    """The receivers beside mail; None where .env does not set them."""

    slack: WebAddress | None = None
    telegram: Telegram | None = None
    ntfy: WebAddress | None = None
    webhook: WebAddress | None = None
    pagerduty: PagerDuty | None = None
    heartbeat: WebAddress | None = None

    def names(self) -> tuple[str, ...]:
        """Return which are set."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name) is not None)

    def only(self, name: str) -> "ReceiverSettings":
        """Return these with no other than `name`."""
        return ReceiverSettings(**{name: getattr(self, name)})


def slack(text: str) -> WebAddress:
    """Read SLACK_WEBHOOK_URL."""
    found = _web_address(text, "https://hooks.slack.com/services/…")
    if _HOST_OF_SLACK.fullmatch(found.host) and not urlsplit(text).path.startswith("/services/"):
        raise ValueError("must be the address of an incoming webhook: https://hooks.slack.com/services/…")
    if found.password is not None:
        raise ValueError("must be without a login: https://hooks.slack.com/services/…")
    return found


def telegram(text: str) -> Telegram:
    """Read TELEGRAM: `<bot token>@<chat id>`."""
    token, _, chat = text.rpartition("@")
    if not _BOT_TOKEN.fullmatch(token):
        raise ValueError("must be the bot's token, @ and the chat's number, such as 123456:AA…@-100123456789")
    if not _CHAT.fullmatch(chat):
        raise ValueError(
            "after the @ stands the chat's number, not its name: https://api.telegram.org/bot<token>/getUpdates"
            " shows it as chat.id once somebody has written there"
        )
    return Telegram(Secret(token), int(chat))


def ntfy(text: str) -> WebAddress:
    """Read NTFY_URL: a topic's address, with a login or `:token@` where the server wants one."""
    found = _web_address(text, "https://ntfy.sh/your-topic")
    if not _TOPIC.fullmatch(urlsplit(text).path.rstrip("/")) or urlsplit(text).query:
        raise ValueError(
            "must be the address of one topic (letters, digits, - and _), such as https://ntfy.sh/your-topic"
        )
    return found


def webhook(text: str) -> WebAddress:
    """Read WEBHOOK_URL: any address that takes Alertmanager's JSON."""
    return _web_address(text, "https://example.com/alerts")


def heartbeat(text: str) -> WebAddress:
    """Read HEARTBEAT_URL: what is posted to for as long as alerts can get out."""
    return _web_address(text, "https://hc-ping.com/your-uuid")


def pagerduty(text: str) -> PagerDuty:
    """Read PAGERDUTY_ROUTING_KEY."""
    if not _ROUTING_KEY.fullmatch(text):
        raise ValueError(
            "must be the 32 letters and digits of an Events API v2 integration (Service → Integrations)"
        )
    return PagerDuty(Secret(text))


class Line(NamedTuple):
    """A line of .env: its name, how it looks, and what reads it."""

    variable: str
    example: str
    read: Callable[[str], object]


LINES = {
    "slack": Line("SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/…", slack),
    "telegram": Line("TELEGRAM", "123456789:AA…@-1001234567890", telegram),
    "ntfy": Line("NTFY_URL", "https://ntfy.sh/your-topic", ntfy),
    "webhook": Line("WEBHOOK_URL", "https://example.com/alerts", webhook),
    "pagerduty": Line("PAGERDUTY_ROUTING_KEY", "the 32 characters of the integration key", pagerduty),
    "heartbeat": Line("HEARTBEAT_URL", "https://hc-ping.com/your-uuid", heartbeat),
}
"""receiver → its line of .env"""

VARIABLES = tuple(line.variable for line in LINES.values())


def _web_address(text: str, example: str) -> WebAddress:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError(f"must be an address such as {example}") from None
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(parts.hostname or ""):
        raise ValueError(f"must be an address such as {example}")
    if (
        parts.fragment
        or not text.isascii()
        or not text.isprintable()
        or not set(text).isdisjoint(" {}\"'<>`\\")
    ):
        raise ValueError("must be an address without quotes, braces, spaces and #; write them as %22, %7B …")
    if _ESCAPE.search(text):
        raise ValueError("holds a % that no two hexadecimal digits follow: write the sign itself as %25")
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if username and not password:
        raise ValueError("a login needs a password: https://name:password@…, or https://:token@… for a token")
    if not (username + password).isprintable():
        raise ValueError("the login holds a control character: write it again")
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return WebAddress(Secret(bare), parts.hostname or "", username, Secret(password) if password else None)
