"""What a command prints to where nobody reads, nothing fits or nothing is open; run as people run it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = "größe-東"
SITES = f'sites: [{{name: {NAME}, url: "http://127.0.0.1:1/"}}]\n'


def shell(tmp_path, line, *words, **environ):
    """Run `line` with the command as "$@"."""
    (tmp_path / "sites.yml").write_text(SITES, "utf-8")
    return subprocess.run(
        ("sh", "-c", line, "sh", sys.executable, "-m", "stack", *words),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"} | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("unbuffered", ["", pytest.param("1", marks=pytest.mark.full)])
def test_a_full_disk_behind_it_is_told_in_one_line(tmp_path, unbuffered):
    done = shell(tmp_path, '"$@" >/dev/full', "config", "schema", PYTHONUNBUFFERED=unbuffered)
    assert done.stderr == b"sitemedic: what it prints cannot be written: No space left on device\n"
    assert done.returncode == 1


@pytest.mark.full
def test_a_full_disk_behind_both_outputs_still_ends_with_1(tmp_path):
    assert shell(tmp_path, '"$@" >/dev/full 2>/dev/full', "config", "schema").returncode == 1


@pytest.mark.full
def test_a_reader_that_has_seen_enough_is_no_fault(tmp_path):
    done = shell(tmp_path, '"$@" | head -1', "config", "schema", PYTHONUNBUFFERED="")
    assert (done.stdout, done.stderr) == (b"{\n", b"")


@pytest.mark.parametrize("closed", [pytest.param(">&-", marks=pytest.mark.full), ">&- 2>&-"])
def test_with_its_output_closed_a_check_ends_as_ever(tmp_path, closed):
    done = shell(tmp_path, f'"$@" {closed}', "check", "http://127.0.0.1:1/")
    assert (done.returncode, done.stderr) == (1, b"")


def test_no_file_or_connection_takes_the_place_of_a_closed_output(tmp_path):
    told = (
        "from core.output import make_sure; make_sure(); import os; "
        "open('places', 'w').write(' '.join(os.readlink(f'/proc/self/fd/{n}') for n in range(3)))"
    )
    line = f'"$1" -c "{told}" <&- >&- 2>&-'
    assert shell(tmp_path, line).returncode == 0
    assert (tmp_path / "places").read_text().split() == [os.devnull] * 3


@pytest.mark.full
def test_what_the_locale_cannot_show_is_shown_otherwise_and_is_no_fault(tmp_path):
    done = shell(tmp_path, '"$@"', "config", "show", NAME, PYTHONUTF8="1", PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"gr\xf6\xdfe-\\u6771" in done.stdout


@pytest.mark.full
def test_a_name_that_came_in_bytes_of_no_character_is_repeated_without_a_traceback(tmp_path):
    done = shell(tmp_path, '"$@"', "config", "show", b"gr\xf6\xdfe", PYTHONUTF8="1")
    assert b"has no site 'gr\\udcf6\\udcdfe'" in done.stderr


@pytest.mark.full
def test_a_file_that_cannot_be_written_is_told_without_a_traceback(tmp_path):
    (tmp_path / "data").write_text("no folder")
    done = shell(tmp_path, '"$@"', "up")
    assert done.stderr == f"sitemedic: cannot write to {tmp_path}/data: File exists\n".encode()
