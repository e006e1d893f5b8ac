"""What failed beside other tests is tried once more, alone; what fails again, fails."""

from pathlib import Path

import pytest

from stack import tests_cli

CONFTEST = 'def pytest_addoption(parser):\n    parser.addoption("--full", action="store_true")\n'
TESTS = """
import pathlib

import pytest

MARK = pathlib.Path(__file__).with_name("been-here")


@pytest.mark.parametrize("number", range({unsteady}))
def test_unsteady(number):
    mark = MARK.with_name(f"been-here-{{number}}")
    there = mark.exists()
    mark.touch()
    assert there


def test_steady():
    assert {sound}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:schemathesis -p no:hypothesispytest\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    monkeypatch.setattr(tests_cli, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(project: Path, unsteady: int, *, sound: bool = True) -> int:
    (project / "test_it.py").write_text(TESTS.format(unsteady=unsteady, sound=sound))
    return tests_cli._run_tests(False, ())


def test_what_passes_alone_is_told_and_fails_nothing(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(project, unsteady=1) == 0
    told = capfd.readouterr().out
    assert "1 failed beside other tests on a busy machine: once more, each alone." in told
    assert "UNSTEADY: test_it.py::test_unsteady[0] failed beside other tests and passed alone" in told


def test_what_fails_again_fails(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(project, unsteady=1, sound=False) == tests_cli.TESTS_FAILED
    told = capfd.readouterr().out
    assert "UNSTEADY: test_it.py::test_unsteady[0]" in told
    assert "FAILED test_it.py::test_steady" in told


@pytest.mark.full
def test_many_failures_are_no_busy_machine(project: Path) -> None:
    assert run(project, unsteady=tests_cli.MOST_RETRIED + 1) == tests_cli.TESTS_FAILED
    assert run(project, unsteady=tests_cli.MOST_RETRIED + 1) == 0
