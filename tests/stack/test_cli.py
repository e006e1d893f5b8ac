import importlib
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from core.faults import ConfigError
from stack import cli
from stack.errors import StackError

ROOT = Path(__file__).parents[2]


def test_help_names_every_command_and_imports_none():
    before = set(sys.modules)
    shown = CliRunner().invoke(cli.main, ["--help"])
    assert shown.exit_code == 0
    for name, (_, line) in cli.COMMANDS.items():
        assert name in shown.output
        assert line in shown.output
    loaded = set(sys.modules) - before
    assert not {module for module in loaded if module.split(".")[0] in ("exporter", "remediator", "demo")}


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help_that_says_what_it_does(name):
    shown = CliRunner().invoke(cli.main, [name, "--help"])
    assert shown.exit_code == 0, shown.output
    assert f"Usage: main {name}" in shown.output


def test_an_unknown_command_is_a_usage_error():
    shown = CliRunner().invoke(cli.main, ["upp"])
    assert shown.exit_code == 2
    assert "No such command 'upp'" in shown.output


def test_an_unknown_option_is_a_usage_error():
    assert CliRunner().invoke(cli.main, ["up", "--nosuch"]).exit_code == 2


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (
            ConfigError.single("sites.yml", "sites[0].url", "is needed"),
            "sites.yml: sites[0].url: is needed\n",
        ),
        (StackError("port 9090 is taken"), "sitemedic: port 9090 is taken\n"),
    ],
)
def test_an_expected_error_is_one_message_and_status_1(monkeypatch, capsys, error, shown):
    @click.command()
    def broken():
        raise error

    module = importlib.import_module("stack.up_cli")
    monkeypatch.setattr(module, "up_command", broken)
    monkeypatch.setattr(sys, "argv", ["sitemedic", "up"])
    with pytest.raises(SystemExit) as ended:
        cli.run()
    assert ended.value.code == 1
    assert capsys.readouterr().err == shown


def test_a_command_whose_parts_dockers_image_leaves_out_says_so(monkeypatch):
    monkeypatch.delitem(sys.modules, "stack.demo_cli", raising=False)
    monkeypatch.setitem(sys.modules, "demo.configuration", None)
    with pytest.raises(StackError, match="`demo` is not part of Docker's image"):
        CliRunner().invoke(cli.main, ["demo", "slow"], catch_exceptions=False)


@pytest.mark.parametrize("while_asking", [False, True])
def test_ctrl_c_ends_any_command_with_status_130_and_no_traceback(monkeypatch, while_asking):
    @click.command()
    def waiting():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            if while_asking:
                raise click.Abort from None  # as click.prompt does
            raise

    monkeypatch.setattr(importlib.import_module("stack.demo_cli"), "demo_command", waiting)
    ended = CliRunner().invoke(cli.main, ["demo"])
    assert (ended.exit_code, ended.output.strip()) == (130, "Aborted!")


def test_a_question_that_nobody_answers_is_status_1(monkeypatch):
    @click.command()
    def asking():
        click.prompt("Name")

    monkeypatch.setattr(importlib.import_module("stack.demo_cli"), "demo_command", asking)
    assert CliRunner().invoke(cli.main, ["demo"], input="").exit_code == 1


EARLY = """
import os, signal, sys
class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "stack.cli":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupted())
import runpy
runpy.run_module("stack", run_name="__main__")
"""


def test_ctrl_c_while_all_is_still_imported_shows_no_traceback():
    done = subprocess.run(
        (sys.executable, "-c", EARLY), cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
