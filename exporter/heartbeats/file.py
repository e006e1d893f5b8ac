"""What of heartbeats survives a restart: the key their tokens are derived from, and what was heard."""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.faults import ConfigError
from core.files import unwritable, write_first, write_whole
from core.secrets import Secret, read_secret_file
from exporter.watched import Heartbeat

KEY_VARIABLE = "HEARTBEAT_KEY"
_KEY, _BOOK = "heartbeat.key", "heartbeats.json"
_TOKEN_LENGTH = 27
"""Characters of a derived token: 160 bits."""


def usual_folder(config_file: Path) -> Path:
    """Return the exporter's state folder where nobody says another: beside its configuration."""
    return config_file.absolute().parent / "data" / "exporter"


class HeartbeatFile:
    """The key and the book, in `folder`; nothing is written before there is a heartbeat site."""

    def __init__(self, folder: Path, key: Secret | None = None) -> None:
        self._folder = folder
        self._key = key

    @property
    def is_new(self) -> bool:
        """Say whether no heartbeat has ever been kept here."""
        return not (self._folder / _KEY).exists() and not (self._folder / _BOOK).exists()

    @property
    def path(self) -> Path:
        """Return where the book is."""
        return self._folder / _BOOK

    def token(self, heartbeat: Heartbeat) -> str:
        """Return the token of a job's address. Raises ConfigError where there is no key to derive it from."""
        if heartbeat.token is not None:
            return heartbeat.token.reveal()
        if self._key is None:
            self._key = self._kept_key()
        digest = hmac.digest(
            self._key.reveal().encode(), b"heartbeat:" + heartbeat.name.encode(), hashlib.sha256
        )
        return base64.urlsafe_b64encode(digest).decode()[:_TOKEN_LENGTH]

    def read(self) -> Mapping[str, Any] | None:
        """Return what was written last, None where there is nothing. Raises OSError, ValueError."""
        try:
            found = json.loads((self._folder / _BOOK).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        if not isinstance(found, dict):
            raise ValueError("it is no JSON object")
        return found

    def write(self, book: Mapping[str, Any]) -> None:
        """Write the book, whole or not at all. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, json.dumps(book), 0o600)

    def _kept_key(self) -> Secret:
        path = self._folder / _KEY
        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_first(path, f"{secrets.token_hex(32)}\n")
        except OSError as error:
            raise ConfigError.single(str(path), "", _no_key(error, path)) from error
        return read_secret_file(path)


def _no_key(error: OSError, path: Path) -> str:
    return (
        f"the heartbeat sites' key cannot be kept here: {unwritable(error, path)}. Let the exporter write to "
        f"this folder (--storage.path names another), set {KEY_VARIABLE}_FILE, or give each such site a "
        "token_file"
    )
