from pathlib import Path

import pytest

from core.files import write_first, write_whole


def test_a_file_is_written_anew_with_its_mode(tmp_path: Path):
    path = tmp_path / "state"
    path.write_text("of before, and longer")
    path.chmod(0o644)
    assert write_whole(path, "günstig\n", 0o600) == path
    assert (path.read_text("utf-8"), path.stat().st_mode & 0o777) == ("günstig\n", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_whoever_reads_meanwhile_keeps_the_whole_old_one(tmp_path: Path):
    path = tmp_path / "state"
    write_whole(path, "old")
    with path.open() as reader:
        write_whole(path, "new")
        assert (reader.read(), path.read_text()) == ("old", "new")


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    path = tmp_path / "state"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half of it, then what no file can hold: \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_of_two_that_write_first_the_first_ones_stays(tmp_path: Path):
    path = tmp_path / "key"
    write_first(path, "first\n")
    write_first(path, "second\n")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("first\n", 0o600)
    assert list(tmp_path.iterdir()) == [path]
