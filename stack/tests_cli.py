"""`./sitemedic test`: the checks and the tests, and a closing word on what was skipped."""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from stack.packages import PackageError, ensure, plan

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = (
    "prometheus",
    "promtool",
    "alertmanager",
    "amtool",
    "blackbox_exporter",
    "nsd",
    "sshd",
    "ssh-keygen",
    "dockerd",
    "busybox",
    "mmdebstrap",
    "postgres",
    "initdb",
    "libfaketime",
)
SOURCES = ("core", "exporter", "remediator", "stack", "demo", "grafana", "benchmarks")
CHECKS = {
    "ruff check": ("ruff", "check", "."),
    "ruff format": ("ruff", "format", "--check", "."),
    "mypy --strict": ("mypy", "--strict", *(word for name in SOURCES for word in ("-p", name))),
}

TESTS_FAILED = 1
"""pytest's exit status where tests ran and some failed."""
MOST_RETRIED = 10
"""Failed tests that may be a busy machine's doing; more are not tried again."""


@click.command("test", context_settings={"ignore_unknown_options": True})
@click.option("--full", is_flag=True, help="Run the long tests too.")
@click.option("--yes", is_flag=True, help="Install missing packages without asking.")
@click.argument("pytest_args", nargs=-1, type=click.UNPROCESSED, metavar="[PYTEST ARGS]...")
def test_command(full: bool, yes: bool, pytest_args: tuple[str, ...]) -> None:
    """Run Sitemedic's own checks and tests.

    Programs that the tests need come from Debian's packages (as root; it asks where there is a
    terminal). With arguments for pytest, such as tests/core -k duration, only those tests are run,
    without the checks.
    """
    missing = _install(yes)
    failed = [] if pytest_args else [name for name in CHECKS if not _check(name)]
    tests = _run_tests(full, pytest_args)
    click.echo()
    if missing:
        click.echo(f"Not installed here, and so the tests that need it were skipped: {', '.join(missing)}")
    if not full and not pytest_args:
        click.echo("The long tests were not run: ./sitemedic test --full runs them too.")
    for name in failed:
        click.echo(f"FAILED: {name}")
    if tests != 0:
        click.echo(f"FAILED: pytest (exit status {tests})")
    sys.exit(1 if failed or tests != 0 else 0)


def _install(yes: bool) -> tuple[str, ...]:
    """Install what the tests need, and return what is missing all the same."""
    try:
        ensure(PROGRAMS, yes=yes, say=click.echo)
    except PackageError as error:
        click.echo(str(error), err=True)
        if os.environ.get("CI"):  # there, skipping would pass for having been tested
            sys.exit(1)
    return plan(PROGRAMS).programs


def _check(name: str) -> bool:
    done = subprocess.run(
        (sys.executable, "-m", *CHECKS[name]), cwd=ROOT, capture_output=True, text=True, check=False
    )
    click.echo(f"{name}: {'ok' if done.returncode == 0 else 'FAILED'}")
    if done.returncode != 0:
        click.echo(done.stdout + done.stderr)
    return done.returncode == 0


def _run_tests(full: bool, pytest_args: tuple[str, ...]) -> int:
    """Return pytest's exit status; what failed beside others, and passes alone, is told but fails nothing."""
    if pytest_args:
        return _pytest(full, *pytest_args)
    # Most tests wait for real programs: one more at once than there are cores, each file in one process.
    # Some long ones look at how soon things are done: then as many as there are cores. Files in their order:
    # those that take long come before the many that do not.
    workers = "auto" if full else str((os.cpu_count() or 1) + 1)
    with TemporaryDirectory(prefix="sitemedic-tests-") as folder:
        remembering = ("-o", f"cache_dir={folder}")
        status = _pytest(full, *remembering, "-n", workers, "--dist", "loadfile", "--no-loadscope-reorder")
        failed = _failed(Path(folder))
        if status != TESTS_FAILED or not 0 < len(failed) <= MOST_RETRIED:
            return status
        click.echo(f"\n{len(failed)} failed beside other tests on a busy machine: once more, each alone.")
        status = _pytest(full, *remembering, "--last-failed", "--last-failed-no-failures", "none")
        for name in sorted(failed - _failed(Path(folder))):
            click.echo(f"UNSTEADY: {name} failed beside other tests and passed alone")
    return status


def _pytest(full: bool, *arguments: str) -> int:
    command = [sys.executable, "-m", "pytest", *(("--full",) if full else ()), *arguments]
    folder = Path.cwd() if Path.cwd().is_relative_to(ROOT) else ROOT
    return subprocess.run(command, cwd=folder, check=False).returncode


def _failed(cache: Path) -> frozenset[str]:
    """Return the tests that failed in the last run, by pytest's own record."""
    try:
        return frozenset(json.loads((cache / "v/cache/lastfailed").read_text("utf-8")))
    except FileNotFoundError:
        return frozenset()
