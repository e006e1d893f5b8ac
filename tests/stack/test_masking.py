"""What a service writes goes through the mask, and no secret of the folder comes out."""

import os
import sys
from pathlib import Path

import pytest

from stack.masking import Mask, written
from stack.processes import start
from tests.waiting import until


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "telegram_token").write_text("123456:planted-token")
    (tmp_path / "secrets" / "webhook_url").write_text("https://hooks.example/planted-path?key=planted")
    (tmp_path / "secrets" / "heartbeat_url").write_text("https://hc-ping.example/planted-uuid/")
    (tmp_path / "secrets" / "smtp_password").write_text("a")
    return tmp_path / "secrets"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("a dull line", "a dull line"),
        (
            "POST https://hooks.example/planted-path?key=planted: 404",
            "POST https://hooks.example/********: 404",
        ),
        ("dial /bot123456:planted-token/sendMessage", "dial /bot********/sendMessage"),
        ("HTTP://HC-PING.EXAMPLE/planted-uuid refused", "HTTP://HC-PING.EXAMPLE/******** refused"),
    ],
)
def test_secrets_are_masked_and_the_host_stays(folder, said, shown):
    assert Mask(folder)(said) == shown


def test_a_secret_that_is_set_later_is_masked_too(folder):
    mask = Mask(folder)
    (folder / "ntfy_url").write_text("https://ntfy.example/later-topic")
    assert "later" not in mask("https://ntfy.example/later-topic is gone")


def test_a_folder_that_is_not_there_masks_nothing(tmp_path):
    assert Mask(tmp_path / "none")("said") == "said"


def test_a_log_that_takes_nothing_more_kills_nobody_who_writes_into_it(folder):
    words = "import sys\nfor _ in range(100): print('x' * 9999, flush=True)\nsys.exit(7)"
    process = start((sys.executable, "-c", words), os.environ, Path("/"), Path("/dev/full"), Mask(folder))
    assert process.wait(30) == 7


def test_what_a_process_writes_is_masked_in_its_log(folder, tmp_path):
    log = tmp_path / "service.log"
    words = "print('token 123456:planted-token'); import sys; print('no newline', end='', file=sys.stderr)"
    process = start((sys.executable, "-c", words), os.environ, Path("/"), log, Mask(folder))
    assert process.wait(20) == 0
    until(lambda: written(process), 20, "the log to be written")
    assert log.read_text() == "no newlinetoken ********\n" or log.read_text() == "token ********\nno newline"
