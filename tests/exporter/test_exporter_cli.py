import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from exporter.cli import exporter_command
from tests.exporter.running import write

GOOD = {"sites": [{"name": "a", "url": "tcp://127.0.0.1:1"}]}


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """The command sends logs to its own standard error, which ends with it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def exporter_ends(*flags: str) -> tuple[int, str]:
    """Return the exit status and what was said of an exporter that must not start."""
    done = CliRunner().invoke(exporter_command, list(flags), prog_name="exporter")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def test_a_taken_port_is_one_clear_message(tmp_path: Path) -> None:
    config = tmp_path / "sites.yml"
    write(config, GOOD)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        status, said = exporter_ends(f"--config.file={config}", f"--web.listen-address={address}")
    assert status == 1
    assert said.count("\n") == 1
    assert f"cannot listen on {address}: something listens there already" in said


def test_an_address_that_is_not_ours_is_one_clear_message(tmp_path: Path) -> None:
    config = tmp_path / "sites.yml"
    write(config, GOOD)
    status, said = exporter_ends(f"--config.file={config}", "--web.listen-address=192.0.2.1:9115")
    assert status == 1
    assert "cannot listen on 192.0.2.1:9115" in said


def test_a_bad_configuration_is_told_whole(tmp_path: Path) -> None:
    config = tmp_path / "sites.yml"
    write(config, {"sites": [{"name": "a", "url": "ftp://a"}, {"name": "b"}]})
    status, said = exporter_ends(f"--config.file={config}")
    assert status == 1
    first, second = said.splitlines()
    assert first.startswith("sites.yml: sites[0].url: must begin with one of http://, https://, tcp://")
    assert second == "sites.yml: sites[1].url: is required"


def test_a_missing_configuration_says_what_to_do(tmp_path: Path) -> None:
    status, said = exporter_ends(f"--config.file={tmp_path / 'sites.yml'}")
    assert status == 1
    assert said == "sites.yml: cannot be read: No such file or directory (make one: ./sitemedic init)\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_configuration_says_what_to_do(tmp_path: Path) -> None:
    config = tmp_path / "sites.yml"
    write(config, GOOD)
    config.chmod(0)
    status, said = exporter_ends(f"--config.file={config}")
    assert status == 1
    assert "check its permissions" in said


@pytest.mark.parametrize(
    "flags",
    [
        ["--web.listen-address=9115"],
        ["--web.listen-address=127.0.0.1:0"],
        ["--web.listen-address=127.0.0.1:x"],
        ["--timeout-offset=-1"],
        ["--log.level=loud"],
        ["--config.fiel=x"],
        ["surplus"],
    ],
)
def test_a_wrong_flag_is_a_usage_error(flags: list[str]) -> None:
    assert exporter_ends(*flags)[0] == 2


def test_help_names_every_flag() -> None:
    status, said = exporter_ends("--help")
    assert status == 0
    for flag in (
        "--config.file",
        "--web.listen-address",
        "--results.file",
        "--timeout-offset",
        "--log.level",
    ):
        assert flag in said
