"""Start a real program for a test, and stop it by its pid."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from stack.programs import find_program
from tests.waiting import until


@dataclass
class Service:
    """A running program with an HTTP address and a log."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def get(self, path: str, **parameters: str) -> requests.Response:
        """Ask the program, and insist on a good answer."""
        answer = requests.get(f"{self.url}{path}", params=parameters, timeout=10)
        answer.raise_for_status()
        return answer

    def post(self, path: str, json: object = None) -> requests.Response:
        """Tell the program something, and insist on a good answer."""
        answer = requests.post(f"{self.url}{path}", json=json, timeout=10)
        answer.raise_for_status()
        return answer

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of its own metric `name` over all series with these labels."""
        total = 0.0
        for line in self.get("/metrics").text.splitlines():
            series, _, value = line.rpartition(" ")
            if series.split("{")[0] == name and all(
                f'{key}="{text}"' in series for key, text in labels.items()
            ):
                total += float(value)
        return total


@contextmanager
def service(
    program: str, arguments: Sequence[str], url: str, log: Path, ready: str, folder: Path | None = None
) -> Iterator[Service]:
    """Run `program` in `folder` until the block ends; `ready` is the path that answers 200 once it serves."""
    found = find_program(program)
    assert found is not None, f"{program} is not installed"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(found), *arguments], stdout=output, stderr=subprocess.STDOUT, cwd=folder
        )
    running = Service(url, process, log)
    try:
        until(lambda: _ready(running, ready), 60, f"{program} to be ready (its log: {log})")
        yield running
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def _ready(running: Service, path: str) -> bool:
    if running.process.poll() is not None:
        said = running.log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"it has ended with {running.process.returncode}: {said}")
    return requests.get(f"{running.url}{path}", timeout=2).status_code == 200
