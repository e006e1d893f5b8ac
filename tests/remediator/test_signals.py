"""The end is asked for by a signal, which the kernel may give to any thread of the process."""

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.ports import free_port
from tests.remediator.doubles import SITES
from tests.remediator.test_cli import TOKENS
from tests.waiting import until

TGKILL = 234  # x86-64; aarch64: 131
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of tgkill(2) is x86-64's")
def test_a_signal_that_another_thread_gets_ends_it_too(tmp_path: Path) -> None:
    (tmp_path / "sites.yml").write_text(SITES)
    port = free_port()
    process = subprocess.Popen(
        [
            sys.executable, "-m", "stack", "remediator", f"--config.file={tmp_path}/sites.yml",
            f"--storage.url=sqlite:///{tmp_path}/r.db", f"--web.listen-address=127.0.0.1:{port}",
        ],
        env={**os.environ, **TOKENS}, cwd=ROOT, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}/-/healthy"
        until(lambda: requests.get(url, timeout=2).status_code == 200, 120, "the remediator")
        others = [int(one.name) for one in Path(f"/proc/{process.pid}/task").iterdir()]
        other = next(one for one in others if one != process.pid)
        assert ctypes.CDLL(None).syscall(TGKILL, process.pid, other, signal.SIGTERM) == 0
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
