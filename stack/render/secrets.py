"""The files that hold passwords, so that no configuration does that can do without."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.files import write_whole
from core.secrets import Secret
from stack.receivers import WebAddress
from stack.render.ntfy import ntfy_url
from stack.settings import Settings

READS_ADDRESSES = (0, 26)
"""The first Alertmanager that reads a webhook's address and Telegram's token from files."""

_WEBHOOK = "webhook_token"
_SMTP = "smtp_password"


@dataclass(frozen=True)
class SecretFiles:
    """Where the services see the files; in compose, not where they are written."""

    folder: Path
    addresses: bool = False  # whether Alertmanager reads addresses of webhooks from files

    @property
    def webhook_token(self) -> str:
        """Return the path of what Alertmanager shows the remediator."""
        return self.path(_WEBHOOK)

    @property
    def smtp_password(self) -> str:
        """Return the path of what Alertmanager shows the mail server."""
        return self.path(_SMTP)

    def path(self, name: str) -> str:
        """Return the path of a secret."""
        return str(self.folder / name)

    def entry(self, key: str, name: str, settings: Settings) -> dict[str, str]:
        """Return `key` of a configuration: as a file, or as itself for an old Alertmanager."""
        if self.addresses:
            return {f"{key}_file": self.path(name)}
        secret = _secrets(settings)[name]
        return {key: secret.reveal()} if secret else {}


def write_secrets(settings: Settings, folder: Path) -> list[Path]:
    """Write each secret to its file (mode 0600), and remove what is not set any more."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = []
    for name, secret in _secrets(settings).items():
        if secret is None:
            (folder / name).unlink(missing_ok=True)
        else:
            written.append(write_whole(folder / name, secret.reveal(), 0o600))
    return written


def _secrets(settings: Settings) -> Mapping[str, Secret | None]:
    given = settings.receivers
    return {
        _WEBHOOK: settings.webhook_token,
        _SMTP: settings.smtp.password if settings.smtp else None,
        "slack_url": given.slack.url if given.slack else None,
        "telegram_token": given.telegram.token if given.telegram else None,
        "pagerduty_routing_key": given.pagerduty.routing_key if given.pagerduty else None,
        **_address("ntfy", given.ntfy),
        "ntfy_url": Secret(ntfy_url(given.ntfy.url.reveal(), settings.public_url)) if given.ntfy else None,
        **_address("webhook", given.webhook),
        **_address("heartbeat", given.heartbeat),
    }


def _address(receiver: str, address: WebAddress | None) -> dict[str, Secret | None]:
    return {
        f"{receiver}_url": address.url if address else None,
        f"{receiver}_password": address.password if address else None,
    }
