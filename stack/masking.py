"""Keep secrets out of what a service writes.

Alertmanager puts addresses into its error lines: up to 0.25 a webhook's whole one, and for longer Telegram's
with the token in it, when its server is not reached.
"""

import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from core.secrets import MASK

_SHORTEST = 8
"""Characters. What is shorter is masked with the whole address only: "a" stands in every line."""


class Mask:
    """Puts ******** in the place of each secret that a folder holds, as it holds them at that time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, text: str) -> str:
        """Return `text` without the secrets."""
        for secret, masked in self._secrets():
            text = text.replace(secret, masked)
        return text

    def _secrets(self) -> list[tuple[str, str]]:
        found: dict[str, str] = {}
        for path in self._folder.glob("[!.]*"):
            try:
                found.update(_words(path.read_text("utf-8").strip()))
            except (OSError, UnicodeDecodeError):  # removed meanwhile
                continue
        return sorted(found.items(), key=lambda pair: -len(pair[0]))


def _words(secret: str) -> dict[str, str]:
    """Return what to look for and what to put there: of an address all but its host."""
    parts = urlsplit(secret) if secret.startswith(("http://", "https://")) else None
    if parts is None or not parts.netloc:
        return {secret: MASK} if len(secret) >= _SHORTEST else {}
    behind = secret.partition(parts.netloc)[2]
    pieces = {behind, parts.path, parts.path.rstrip("/")}
    return {piece: f"/{MASK}" for piece in pieces if len(piece) >= _SHORTEST} | {
        secret: f"{parts.scheme}://{parts.netloc}/{MASK}"
    }


def copy_masked(process: "subprocess.Popen[bytes]", log: Path, mask: Mask) -> None:
    """Append what `process` writes to `log`, masked, until it ends."""

    def copy() -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                # A disk that takes nothing loses a line; an end that nobody reads would kill the writer.
                with suppress(OSError), log.open("ab", buffering=0) as file:
                    file.write(mask(line.decode(errors="replace")).encode())

    threading.Thread(target=copy, name=f"log of {log.stem}", daemon=True).start()


def written(process: "subprocess.Popen[bytes]") -> bool:
    """Say whether all that an ended process wrote is in its log."""
    return process.stdout is None or process.stdout.closed
