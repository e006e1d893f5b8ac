"""The commands `docker` and `sitemedic-wrapper` of the demo's server: hand their arguments to the machine.

Run as a script (`python -I -S docker_shim.py CONTROL_URL TOKEN_FILE COMMAND ARGV…`), therefore of the
standard library alone. What is answered is decided in `demo/docker_cli.py` and `demo/wrapper.py`.
"""

import http.client
import json
import os
import select
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

NO_DAEMON = (
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
)
_PATIENCE = 300.0  # seconds for what ends
_ENDLESS = ("events",)


def ask(control: str, token: str, command: str, argv: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield what a command writes and how it ends, as it comes; raises OSError or HTTPException."""
    patience = None if tuple(argv) == _ENDLESS else _PATIENCE
    connection = http.client.HTTPConnection(urlsplit(control).netloc, timeout=patience)
    try:
        connection.request(
            "POST",
            f"/{command}",
            json.dumps({"argv": list(argv)}),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise http.client.HTTPException(f"status {response.status}")
        for line in response:
            yield json.loads(line)
    finally:
        connection.close()


def main(arguments: Sequence[str]) -> int:
    """Run one command of the server."""
    control, token_file, command, *argv = arguments
    status = 1
    try:
        if tuple(argv) == _ENDLESS:
            threading.Thread(target=_end_with_the_session, daemon=True).start()
        token = Path(token_file).read_text(encoding="utf-8").strip()
        for words in ask(control, token, command, argv):
            sys.stdout.write(words.get("stdout", ""))
            sys.stdout.flush()
            sys.stderr.write(words.get("stderr", ""))
            status = words.get("exit_status", status)
    except BrokenPipeError:
        return 1
    except (OSError, http.client.HTTPException, ValueError):
        print(NO_DAEMON, file=sys.stderr)
        return 1
    return int(status)


def _end_with_the_session() -> None:
    """End when nobody reads any more: sshd does not tell a command that its session is over."""
    reader = select.poll()
    reader.register(sys.stdout.fileno(), 0)  # errors and hang-ups are told always
    reader.poll()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
