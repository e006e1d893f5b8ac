"""The files that hold passwords, so that no configuration does."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.secrets import Secret
from stack.render.files import write_whole
from stack.settings import Settings

_WEBHOOK = "webhook_token"
_SMTP = "smtp_password"


@dataclass(frozen=True)
class SecretFiles:
    """Where the services see the files; in compose, not where they are written."""

    folder: Path

    @property
    def webhook_token(self) -> str:
        """Return the path of what Alertmanager shows the remediator."""
        return str(self.folder / _WEBHOOK)

    @property
    def smtp_password(self) -> str:
        """Return the path of what Alertmanager shows the mail server."""
        return str(self.folder / _SMTP)


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
    return {
        _WEBHOOK: settings.webhook_token,
        _SMTP: settings.smtp.password if settings.smtp else None,
    }
