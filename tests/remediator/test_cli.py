"""What the command says when it cannot start: one clear message and exit 1, never a traceback."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from core.servers.schema import PART as SERVERS
from exporter.schema import PART as EXPORTER
from remediator.cli import remediator_command
from remediator.configuration.schema import PART
from tests.remediator.doubles import SITES

TOKENS = {"WEBHOOK_TOKEN": "w" * 20, "API_TOKEN": "a" * 20}


def run(folder: Path, *arguments: str, environ: dict[str, str] = TOKENS) -> Result:
    (folder / "sites.yml").write_text(SITES)
    flags = [f"--config.file={folder}/sites.yml", f"--storage.url=sqlite:///{folder}/r.db", *arguments]
    names = [
        f"{name}{end}" for name in ("WEBHOOK_TOKEN", "API_TOKEN", "LINODE_TOKEN") for end in ("", "_FILE")
    ]
    clean: dict[str, str | None] = dict.fromkeys(names)
    return CliRunner().invoke(
        remediator_command, flags, env={**clean, **environ}, obj=(EXPORTER, SERVERS, PART)
    )


def told(result: Result) -> str:
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    return result.output


def test_missing_tokens_are_all_told_with_their_mend(tmp_path: Path) -> None:
    output = told(run(tmp_path, environ={}))
    assert "WEBHOOK_TOKEN: not set" in output
    assert "set API_TOKEN_FILE" in output


def test_a_token_given_twice_is_told(tmp_path: Path) -> None:
    assert "not both" in told(run(tmp_path, environ={**TOKENS, "API_TOKEN_FILE": "/x"}))


def test_a_faulty_file_is_told_with_its_path(tmp_path: Path) -> None:
    other = tmp_path / "other.yml"
    other.write_text(SITES.replace("server: db", "server: dbb"))
    assert "recover" in told(run(tmp_path, f"--config.file={other}"))


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "something listens there already" in told(
            run(tmp_path, f"--web.listen-address=127.0.0.1:{port}")
        )


@pytest.mark.parametrize("url", ["sqlite:////proc/nowhere/r.db", "nonsense"])
def test_storage_that_cannot_be_written_is_told(tmp_path: Path, url: str) -> None:
    assert "cannot" in told(run(tmp_path, f"--storage.url={url}"))


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a database at all\n" * 100)
    assert "not a database" in told(run(tmp_path, f"--storage.url=sqlite:///{tmp_path}/text.db"))


def test_a_wrong_flag_is_a_usage_error(tmp_path: Path) -> None:
    assert run(tmp_path, "--web.listen-address=nowhere").exit_code == 2
    assert run(tmp_path, "--nonsense").exit_code == 2


def test_the_remediator_never_imports_the_exporter() -> None:
    code = "import sys, remediator.cli; sys.exit(any(n.split('.')[0] == 'exporter' for n in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, env=dict(os.environ)).returncode == 0
