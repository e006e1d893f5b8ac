import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter import results_file
from exporter.health import Health
from exporter.results_file import ResultsFile
from tests.waiting import until


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    return tmp_path / "results.jsonl"


def count(health: Health, name: str) -> float:
    return health.registry.get_sample_value(f"sitemedic_exporter_results_file_{name}_total") or 0


def test_lines_arrive_whole_and_in_order(path: Path, health: Health) -> None:
    file = ResultsFile(path, health)
    for number in range(5000):
        file.append(f"line {number}")
    file.close()
    assert path.read_text() == "".join(f"line {number}\n" for number in range(5000))


def test_what_is_there_stays(path: Path, health: Health) -> None:
    path.write_text("before\n")
    file = ResultsFile(path, health)
    file.append("after")
    file.close()
    assert path.read_text() == "before\nafter\n"


def test_a_moved_file_is_followed_by_a_new_one(path: Path, health: Health) -> None:
    file = ResultsFile(path, health)
    file.append("one")
    until(lambda: path.exists() and path.read_text(), 5, "the first line")
    path.rename(path.with_suffix(".1"))
    file.append("two")
    file.close()
    assert path.read_text() == "two\n"


def test_what_waited_for_a_sick_disk_is_written_once_it_is_well(
    path: Path, health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    path.mkdir()
    file = ResultsFile(path, health)
    file.append("one")
    until(lambda: count(health, "errors") >= 2, 5, "two failures")
    path.rmdir()
    file.append("two")
    until(lambda: path.is_file() and path.read_text() == "one\ntwo\n", 5, "both lines")
    file.close()
    assert caplog.text.count("results file cannot be written") == 1
    assert count(health, "dropped_lines") == 0


def test_beyond_what_may_wait_the_oldest_are_dropped_and_counted(
    path: Path, health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_file, "KEPT_LINES", 10)
    path.mkdir()
    file = ResultsFile(path, health)
    for number in range(15):
        file.append(f"line {number}")
    path.rmdir()
    file.close()
    assert path.read_text().endswith("line 13\nline 14\n")
    assert count(health, "dropped_lines") == 15 - len(path.read_text().splitlines())


def test_a_line_that_was_begun_on_a_full_disk_is_ended_there_and_not_elsewhere(
    path: Path, health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    room = [4]

    def write(descriptor: int, data: bytes) -> int:
        if room[0] <= 0:
            raise OSError(28, "No space left on device")
        written = real(descriptor, data[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr(os, "write", write)
    file = ResultsFile(path, health)
    file.append("first line")
    file.append("second line")
    until(lambda: count(health, "errors") >= 1, 5, "the full disk")
    assert path.read_text() == "firs"
    path.rename(path.with_suffix(".1"))
    room[0] = 1000
    until(lambda: path.exists() and path.read_text(), 5, "the new file")
    file.close()
    assert path.read_text() == "second line\n"
    assert count(health, "dropped_lines") == 1
