"""What `init` must know to write the first sites.yml and .env."""

from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
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

    @property
    def lacks_password(self) -> bool:
        """Say whether there is a login whose password the user still has to write down."""
        return bool(self.username) and not self.password_file and not (self.password or Secret("")).reveal()


@dataclass(frozen=True)
class Healing:
    """The container that a site runs in, and how its server is reached."""

    ssh: str
    container: str
    linode: int | None = None
    may_reboot: bool = False


@dataclass(frozen=True)
class Answers:
    """Everything that is asked; None or empty is: not wanted now."""

    url: str
    name: str
    email: str = ""
    mail: Mail | None = None
    healing: Healing | None = None
    canaries: tuple[str, ...] = ()


def whole_url(text: str) -> str:
    """Return an address as sites.yml wants it; https where it names no protocol. Raises ValueError."""
    cleaned = text.strip()
    url = cleaned if "://" in cleaned else f"https://{cleaned}"
    prober_of(url)
    parts = urlsplit(url)
    return parts._replace(path="/").geturl() if parts.scheme.startswith("http") and not parts.path else url


def name_of(url: str) -> str:
    """Return a short name for a site: `https://www.shop.example.com/` is `shop`."""
    host = urlsplit(url).hostname or "site"
    with suppress(ValueError):
        return str(ip_address(host))
    return host.removeprefix("www.").split(".")[0] or "site"
