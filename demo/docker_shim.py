"""The `docker` command of the demo's server: hands its arguments to the machine and prints the answer.

Run as a script (`python -I -S docker_shim.py CONTROL_URL TOKEN_FILE ARGV…`), therefore of the standard
library alone. What Docker would answer is decided in `demo/docker_cli.py`.
"""

import http.client
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

NO_DAEMON = (
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
)


def ask(control: str, token: str, argv: Sequence[str]) -> tuple[int, str, str]:
    """Return exit status, stdout and stderr of a docker command; raises OSError or HTTPException."""
    connection = http.client.HTTPConnection(urlsplit(control).netloc, timeout=300)
    try:
        connection.request(
            "POST",
            "/docker",
            json.dumps({"argv": list(argv)}),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        response = connection.getresponse()
        body = response.read()
        if response.status != http.client.OK:
            raise http.client.HTTPException(f"status {response.status}")
        answer = json.loads(body)
        return answer["exit_status"], answer["stdout"], answer["stderr"]
    finally:
        connection.close()


def main(arguments: Sequence[str]) -> int:
    """Run one docker command."""
    control, token_file, *argv = arguments
    try:
        token = Path(token_file).read_text(encoding="utf-8").strip()
        status, stdout, stderr = ask(control, token, argv)
    except (OSError, http.client.HTTPException, ValueError):
        print(NO_DAEMON, file=sys.stderr)
        return 1
    sys.stdout.write(stdout)
    sys.stderr.write(stderr)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
