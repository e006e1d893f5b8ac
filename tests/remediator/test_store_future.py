"""Rows that a wrong clock has dated ahead do not hold anything for as long as it was wrong."""

from dataclasses import replace
from pathlib import Path

from remediator.guards import GUARDS
from remediator.guards.verdict import Allow
from remediator.model.facts import Step
from remediator.store.database import Store
from remediator.store.future import bring_back
from remediator.store.storm import last_storm, note_storm
from tests.remediator.databases import storage_url
from tests.remediator.deciding import FACTS, NOW


def test_a_storm_that_was_dated_a_year_ahead_has_its_cooldown_from_now_on(tmp_path: Path) -> None:
    store = Store(storage_url(tmp_path))
    store.prepare()
    with store.write() as connection:
        note_storm(connection, "canaries_fail", "", NOW + 365 * 86400)
        assert bring_back(connection, NOW, 60.0) == 1
        storm = last_storm(connection)
        assert bring_back(connection, NOW, 60.0) == 0
    store.close()
    assert storm is not None
    facts, step = replace(FACTS, storm=storm), Step("restart_container", "restart_container")
    assert not isinstance(GUARDS["storm_cooldown"](facts, step, NOW + 119), Allow)
    assert isinstance(GUARDS["storm_cooldown"](facts, step, NOW + 120), Allow)
