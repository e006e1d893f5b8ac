"""What every test shares: the `full` tier, the `needs` marker, and a real Docker engine."""

from collections.abc import Iterator

import pytest

from stack.programs import find_program
from tests.docker_engine import DockerEngine, running_engine


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the long tests too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not (config.getoption("--full") or "full" in config.getoption("markexpr", "")):
        long = [item for item in items if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        missing = [name for name in marker.args if find_program(name) is None]
        if missing:
            pytest.skip(f"not installed here: {', '.join(missing)}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured: `record_property("measured", …)`."""
    passed = terminalreporter.stats.get("passed", [])
    told = [value for report in passed for name, value in report.user_properties if name == "measured"]
    if told:
        terminalreporter.section("measured")
        for line in told:
            terminalreporter.write_line(str(line))


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    """One for all tests of a file, which says `pytestmark = needs_docker`."""
    with running_engine() as engine:
        yield engine
