import io
import json
import logging
from pathlib import Path

import pytest

from core import logs
from core.environment import load_environment
from core.faults import ConfigError
from core.files_watch import FileWatcher


def test_a_changed_replaced_or_removed_file_is_noticed_and_a_touched_one_is_not(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    watcher = FileWatcher([file])
    assert not watcher.changed()
    file.touch()
    assert not watcher.changed()
    (tmp_path / "b").write_text("two")
    (tmp_path / "b").rename(file)
    assert watcher.changed()
    assert not watcher.changed()
    file.unlink()
    assert watcher.changed()


def test_what_is_written_while_files_are_read_is_a_change_still(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("one")
    watcher = FileWatcher([old])
    old.write_text("another")
    new.write_text("new")
    watcher.follow([old, new])
    assert watcher.changed()
    assert not watcher.changed()
    watcher.follow([new])
    old.unlink()
    assert not watcher.changed()


def test_a_new_file_in_a_watched_folder_is_noticed(tmp_path: Path) -> None:
    watcher = FileWatcher([tmp_path])
    (tmp_path / "new").write_text("")
    assert watcher.changed()


@pytest.mark.parametrize("fmt", logs.FORMATS)
def test_a_log_line_is_one_line_of_a_message_and_fields(fmt: str) -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        logs.setup("info", fmt, stream)
        logging.getLogger("x").info("probe late", extra=logs.fields(site="a b", reason=None, text='q"\n'))
    finally:
        root.handlers[:], root.level = before
    line = stream.getvalue()
    assert line.count("\n") == 1
    if fmt == "json":
        entry = json.loads(line)
        assert (entry["msg"], entry["site"], entry["text"]) == ("probe late", "a b", 'q"\n')
        assert "reason" not in entry
    else:
        assert 'level=info logger=x msg="probe late" site="a b" text="q\\"\\n"' in line


def test_files_that_the_dotenv_file_names_are_looked_for_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("A_FILE=keys/a\nB_FILE=/etc/b\nC_FILE=\nD_FILE=keys/d\nE=keys/e\n")
    monkeypatch.setenv("D_FILE", "here/d")
    found = load_environment(tmp_path)
    assert [found[name] for name in ("A_FILE", "B_FILE", "C_FILE", "D_FILE", "E")] == [
        str(tmp_path / "keys/a"), "/etc/b", "", "here/d", "keys/e",
    ]  # fmt: skip


def test_the_environment_lies_over_the_dotenv_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("A=file\nB='two words'\nC=$A\n")
    monkeypatch.setenv("A", "process")
    found = load_environment(tmp_path)
    assert (found["A"], found["B"], found["C"]) == ("process", "two words", "$A")


@pytest.mark.parametrize(
    "line", ["SMTP_PASSWORD='planted", 'API_TOKEN="planted', "planted planted=1", "=planted"]
)
def test_a_line_of_env_that_cannot_be_read_is_a_fault_and_not_shown(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"A=1\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        load_environment(tmp_path)
    assert ".env: line 2: must be NAME=value" in str(caught.value)
    assert "planted" not in str(caught.value)


def test_an_env_from_windows_and_one_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfMINE='a # b'\r\nOTHER=c\r\n")
    found = load_environment(tmp_path)
    assert (found["MINE"], found["OTHER"]) == ("a # b", "c")
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").mkdir()
    with pytest.raises(ConfigError, match="cannot read this file: Is a directory"):
        load_environment(tmp_path)
