"""A remediator at work or idle; and the suites of the store, of healing and of crashes on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.programs import find_program
from tests.postgres_server import PostgresServer, postgres_server
from tests.remediator import databases
from tests.remediator.doubles import Lab, lab

ON_BOTH = {
    "test_store",
    "test_durable_audit",
    "test_durable_history",
    "test_healing",
    "test_ingest",
    "test_late_alerts",
    "test_crashes",
}
QUICK = {"test_store", "test_durable_audit"}
"""Quick enough on PostgreSQL too to run always; the others do so with --full."""
SQLITES_OWN = {
    "test_where_there_is_no_database_none_is_made",
    "test_an_older_database_gets_the_triggers_too",
    "test_the_database_is_its_owners_alone",
    "test_a_read_only_database_is_told",
    "test_a_database_that_cannot_be_is_told",
    "test_no_sqlite_only_sql_stands_outside_its_own_file",
    "test_writing_is_durable_and_readers_are_not_held_up",
    "test_a_locked_database_is_a_503_soon_and_work_goes_on_after",
    "test_a_full_disk_is_a_503_and_leaves_nothing_half_done",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    module = metafunc.module.__name__.rpartition(".")[2]
    if module not in ON_BOTH or metafunc.function.__name__ in SQLITES_OWN:
        return
    marks = [pytest.mark.needs("postgres", "initdb")]
    if module not in QUICK:
        marks.append(pytest.mark.full)
    both = ["sqlite", pytest.param("postgresql", marks=marks)]
    metafunc.parametrize("database", both, indirect=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for the whole session: each `url()` is a database of its own."""
    if find_program("postgres") is None:
        pytest.skip("not installed here: postgres")
    with postgres_server() as server:
        yield server


@pytest.fixture(autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Have the test's databases on the kind that it is run for; SQLite unless told otherwise."""
    kind = getattr(request, "param", "sqlite")
    if kind == "sqlite":
        yield kind
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    made: dict[Path, str] = {}

    def place(folder: Path) -> str:
        if folder not in made:
            made[folder] = server.url()
        return made[folder]

    databases.use(place)
    yield kind
    databases.leave()


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[Lab]:
    """A remediator with everything around it, which heals."""
    with lab(tmp_path) as found:
        yield found


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Lab]:
    """A lab whose reconciler does not run: only what the request itself does is seen."""
    with lab(tmp_path, start=False) as found:
        yield found
