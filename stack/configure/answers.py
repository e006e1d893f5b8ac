"""What `init` must know to write the first sites.yml and .env."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from core.secrets import Secret
from exporter.site_options import prober_of

CANARIES = ("tcp://1.1.1.1:443", "tcp://9.9.9.9:443")
"""Two resolvers of others, by address: they answer whether or not names can be resolved here."""

SERVERS = {
    "gmail": ("smtp.gmail.com", "587"),
    "ses": ("email-smtp.eu-central-1.amazonaws.com", "587"),
}
"""Mail providers that are known by one word: host and port."""


@dataclass(frozen=True)
class Mail:
    """The server that mails are handed to; the password stands here or in a file."""

    host: str
    port: str
    username: str
    sender: str
    password: Secret | None = None
    password_file: str = ""


@dataclass(frozen=True)
class Healing:
    """The container that a site runs in, and how its server is reached."""

    ssh: str
    container: str
    linode: int | None = None
    may_reboot: bool = False


@dataclass(frozen=True)
class Answers:
    """Everything that is asked; None is: not wanted now."""

    url: str
    name: str
    email: str = ""
    mail: Mail | None = None
    healing: Healing | None = None
    canaries: tuple[str, ...] = field(default=CANARIES)


def whole_url(text: str) -> str:
    """Return an address as sites.yml wants it; https where it names no protocol. Raises ValueError."""
    cleaned = text.strip()
    url = cleaned if "://" in cleaned else f"https://{cleaned}"
    prober_of(url)
    if url.startswith("http") and not urlsplit(url).path:
        return f"{url}/"
    return url


def name_of(url: str) -> str:
    """Return a short name for a site: `https://www.shop.example.com/` is `shop`."""
    host = urlsplit(url).hostname or "site"
    if re.fullmatch(r"[\d.:a-f]*[.:][\d.:a-f]+", host):
        return host
    return host.removeprefix("www.").split(".")[0] or "site"
