"""The launcher, in a copy whose lock files are empty: no package is fetched."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import os, sys
print(os.getcwd(), *sys.argv[1:])
sys.exit(3)
"""


@pytest.fixture
def copy(tmp_path):
    """A clone with empty lock files, whose command line prints the folder and the arguments."""
    root = tmp_path / "clone"
    (root / "stack").mkdir(parents=True)
    shutil.copy(ROOT / "sitemedic", root)
    for name in ("__init__.py", "bootstrap.py", "packages.py", "programs.py", "errors.py"):
        shutil.copy(ROOT / "stack" / name, root / "stack")
    (root / "stack" / "__main__.py").write_text(PROGRAM)
    (root / "requirements.lock").write_text("# nothing\n")
    (root / "requirements-dev.lock").write_text("# nothing more\n")
    (root / "requirements-stress.lock").write_text("# nothing else\n")
    return root


def command(root, *arguments):
    return (str(root / "sitemedic"), *arguments)


def environment(**more):
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")} | more


def run(root, *arguments, cwd=None, **more):
    return subprocess.run(
        command(root, *arguments),
        cwd=cwd or root,
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_first_use_makes_the_environment_and_the_second_finds_it(copy, tmp_path):
    done = run(copy, "up", "a b", cwd=tmp_path)
    assert "first use: making .venv" in done.stderr
    assert done.stdout == f"{tmp_path} up a b\n"
    assert done.returncode == 3
    again = run(copy, "up")
    assert again.stderr == ""
    assert again.returncode == 3

    link = tmp_path / "bin" / "medic"
    link.parent.mkdir()
    link.symlink_to("../clone/sitemedic")
    linked = subprocess.run(
        (link, "x"), cwd="/", env=environment(), capture_output=True, text=True, check=False
    )
    assert linked.stdout == "/ x\n"

    (copy / "requirements.lock").write_text("# changed\n")
    changed = run(copy).stderr
    assert "installing 0 packages of requirements.lock" in changed
    assert "making .venv" not in changed  # a stack may be running out of it
    assert (copy / ".venv" / "requirements.lock").read_text() == "# changed\n"

    assert not (copy / ".venv" / "requirements-dev.lock").exists()
    assert "requirements-dev.lock" in run(copy, "test").stderr
    assert run(copy, "test").stderr == ""

    assert not (copy / ".venv" / "requirements-stress.lock").exists()
    assert "requirements-stress.lock" in run(copy, "stress", "cpu").stderr
    assert run(copy, "stress", "cpu").stderr == ""


@pytest.mark.full
def test_names_are_utf_8_whatever_the_locale(copy):
    done = run(copy, "größe", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.stdout == f"{copy} größe\n"


def test_an_interrupted_install_is_begun_anew(copy):
    (copy / ".venv" / "bin").mkdir(parents=True)
    (copy / ".venv" / "bin" / "python").symlink_to("/usr/bin/false")
    (copy / ".venv" / "half").touch()
    done = run(copy, "up")
    assert "making .venv anew" in done.stderr
    assert done.returncode == 3
    assert not (copy / ".venv" / "half").exists()


@pytest.mark.full
def test_two_first_uses_at_once_make_one_environment(copy):
    both = [
        subprocess.Popen(command(copy), env=environment(), stderr=subprocess.PIPE, text=True, cwd=copy)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=100)[1] for process in both]
    assert [process.returncode for process in both] == [3, 3]
    assert sum("making .venv" in text for text in said) == 1


def test_a_python_that_is_too_old_is_told(copy, tmp_path):
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\nexit 1\n')
    old.chmod(0o755)
    done = run(copy, PATH=f"{tmp_path}:{os.defpath}", SITEMEDIC_PYTHON="python3")
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed and was not found (have: Python 3.9.2)" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr


@pytest.mark.full
def test_a_package_index_that_does_not_answer_is_told(copy):
    (copy / "requirements.lock").write_text("nosuch==1.0 --hash=sha256:" + "0" * 64 + "\n")
    done = run(copy, PIP_INDEX_URL="http://127.0.0.1:9/", PIP_CONFIG_FILE="/dev/null", PIP_RETRIES="0")
    assert done.returncode == 1
    assert "could not be fetched" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_written_is_told(copy, monkeypatch):
    (copy / ".venv.lock").mkdir()  # root may write everywhere, but not into a folder as a file
    done = run(copy)
    assert done.returncode == 1
    assert f"cannot write to {copy}" in done.stderr
    assert "Traceback" not in done.stderr
