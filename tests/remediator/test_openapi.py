"""The HTTP API is what its description says, whatever is sent: held by schemathesis."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from waitress.server import create_server

from remediator.web import create_app
from tests.remediator.doubles import SITES, Lab, lab

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).parent / "schemathesis"
DESCRIPTION = ROOT / "remediator/web/openapi.yml"
WEBHOOK = ("--include-tag", "webhook")
API = ("--exclude-tag", "webhook", "--exclude-checks", "positive_data_acceptance")
"""A name may be well written and not stand in sites.yml."""
APPROVE = SITES.replace("container: nginx}", "container: nginx, mode: approve}")


@contextmanager
def serving(at_work: Lab) -> Iterator[str]:
    """Serve a lab's application as the remediator does."""
    server = create_server(create_app(at_work.remediator), host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        server.close()
        thread.join(10)


def explored(url: str, token: str, part: tuple[str, ...], count: int, folder: Path) -> str:
    """Have schemathesis send `count` requests for each operation; return what it found, empty for nothing."""
    done = subprocess.run(
        [
            str(PROGRAM), "run", str(DESCRIPTION), "--url", url, *part,
            "--header", f"Authorization: Bearer {token}",
            "--max-examples", str(count), "--generation-deterministic",
            "--no-color", "--phases", "examples,coverage,fuzzing", "--request-timeout", "30",
        ],
        capture_output=True, text=True, cwd=folder, check=False, timeout=900,
    )  # fmt: skip
    (folder / "schemathesis.txt").write_text(done.stdout)
    return "" if done.returncode == 0 else done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.full
@pytest.mark.timeout(1000)
@pytest.mark.parametrize(("part", "token"), [(WEBHOOK, "webhook-token"), (API, "api-token")])
def test_the_api_is_what_its_description_says(tmp_path: Path, part: tuple[str, ...], token: str) -> None:
    with lab(tmp_path, APPROVE) as at_work, serving(at_work) as url:
        at_work.exporter.failing |= {"shop": "dns", "www": "status"}
        at_work.post("shop", "www")
        at_work.wait("www", "awaiting_approval")
        at_work.wait("shop", "needs_human")
        assert explored(url, token, part, 50, tmp_path) == ""
        assert all(line.startswith("restart_container www ") for line in at_work.ledger.lines())
