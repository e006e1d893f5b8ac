"""Outages that nobody could be mailed about: found, kept, told later; and none while mails flow."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from remediator.model.mail_flow import Mailed
from remediator.store import incidents as store_incidents
from remediator.store.database import Store
from remediator.store.schema import METADATA, VERSION
from remediator.store.watched import watched_since
from tests.remediator.doubles import Lab, lab, slower
from tests.signing_in import sign_in
from tests.waiting import until


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[Lab]:
    with lab(tmp_path) as found:
        looked_at(found)
        yield found


def looked_at(at_work: Lab) -> None:
    """Wait until Alertmanager's counters were read, and once more."""
    for _ in range(2):
        before = at_work.alertmanager.looks
        until(lambda before=before: at_work.alertmanager.looks > before, 5, "a look", every=0.01)  # type: ignore[misc]


def breaks(at_work: Lab, *sites: str) -> None:
    at_work.exporter.failing |= dict.fromkeys(sites, "status")
    at_work.post(*sites)


def recovers(at_work: Lab, *sites: str) -> None:
    for site in sites:
        at_work.exporter.failing.pop(site)
        at_work.wait(site, "recovered")


def digests(at_work: Lab) -> list[dict[str, object]]:
    return [alert for alert in at_work.told if alert["labels"]["alertname"] == "SiteOutageUntold"]


def is_mailed(at_work: Lab, site: str, mailed: str) -> None:
    until(
        lambda: at_work.incidents(site)[0]["mailed"] == mailed, 10, f"{site} {mailed or 'told'}", every=0.02
    )


def lost(at_work: Lab, *sites: str) -> None:
    """Have outages come and go while no mail gets through."""
    breaks(at_work, *sites)
    at_work.alertmanager.tries()
    looked_at(at_work)
    recovers(at_work, *sites)
    at_work.alertmanager.gives_up()
    for site in sites:
        is_mailed(at_work, site, "untold")


def test_a_lost_outage_is_posted_until_a_mail_is_taken_and_then_no_more(at_work: Lab) -> None:
    lost(at_work, "blog")
    until(lambda: len(digests(at_work)) >= 2, 5, "the digest, and again")
    number = at_work.incident("blog")["id"]
    alert = digests(at_work)[0]
    assert alert["labels"] == {
        "alertname": "SiteOutageUntold", "site": "blog", "part_of": "blog", "severity": "info",
        "incident": str(number),
    }  # fmt: skip
    notes = alert["annotations"]
    assert isinstance(notes, dict)
    assert set(notes) == {"since", "until", "reason", "summary", "description", "runbook_url"}
    assert notes["reason"] == "status"
    assert "What Sitemedic did: nothing. It came back by itself." in notes["description"]
    assert at_work.metric("sitemedic_outages_untold") == 1
    at_work.alertmanager.delivers()
    is_mailed(at_work, "blog", "told_later")
    looked_at(at_work)
    last = digests(at_work)[-1]
    assert str(last["endsAt"]) > str(digests(at_work)[0]["endsAt"]), "it must outlive its own group_wait"
    posted = len(digests(at_work))
    looked_at(at_work)
    looked_at(at_work)
    assert len(digests(at_work)) == posted
    assert at_work.metric("sitemedic_outages_untold") == 0


def test_what_was_done_is_in_the_digest(at_work: Lab) -> None:
    breaks(at_work, "www")
    at_work.alertmanager.tries()
    looked_at(at_work)
    at_work.wait("www", "recovered")
    at_work.alertmanager.gives_up()
    is_mailed(at_work, "www", "untold")
    until(lambda: digests(at_work), 5, "the digest")
    notes = digests(at_work)[0]["annotations"]
    assert "restart_container on web: succeeded. Sitemedic brought it back." in str(notes)


def test_the_history_says_that_nobody_could_be_mailed_and_then_that_it_was_told(at_work: Lab) -> None:
    lost(at_work, "blog")
    incident = at_work.incident("blog")
    page = f"/incidents/{incident['id']}"
    sign_in(at_work.client)
    assert "Nobody could be mailed about this" in at_work.client.get(page).text
    assert "nobody could be mailed" in at_work.client.get("/incidents").text
    assert [one["kind"] for one in incident["timeline"]][-1] == "untold"
    until(lambda: digests(at_work), 5, "the digest")
    at_work.alertmanager.delivers()
    is_mailed(at_work, "blog", "told_later")
    assert "told later" in at_work.client.get(page).text
    assert [one["kind"] for one in at_work.incident("blog")["timeline"]][-1] == "told_later"


def test_of_two_outages_the_one_that_was_mailed_is_not_in_the_digest(at_work: Lab) -> None:
    breaks(at_work, "blog", "wiki")
    at_work.alertmanager.tries()
    looked_at(at_work)
    recovers(at_work, "blog")
    at_work.alertmanager.gives_up()
    is_mailed(at_work, "blog", "untold")
    at_work.alertmanager.delivers()
    looked_at(at_work)
    recovers(at_work, "wiki")
    is_mailed(at_work, "wiki", "")
    is_mailed(at_work, "blog", "told_later")
    assert {alert["labels"]["site"] for alert in digests(at_work)} == {"blog"}  # type: ignore[index]


def test_an_earlier_success_does_not_tell_of_what_is_posted_later(at_work: Lab) -> None:
    at_work.alertmanager.delivers()
    lost(at_work, "blog")
    until(lambda: len(digests(at_work)) >= 3, 5, "the digest, again and again")
    assert at_work.incidents("blog")[0]["mailed"] == "untold"


def test_while_mails_flow_nothing_is_untold(at_work: Lab) -> None:
    for _ in range(3):
        breaks(at_work, "blog")
        at_work.alertmanager.delivers()
        looked_at(at_work)
        recovers(at_work, "blog")
        at_work.alertmanager.delivers()
        is_mailed(at_work, "blog", "")
    assert digests(at_work) == []


def test_where_alertmanager_has_nobody_to_mail_to_nothing_is_untold(at_work: Lab) -> None:
    at_work.alertmanager.mails = False
    looked_at(at_work)
    breaks(at_work, "blog")
    at_work.alertmanager.tries()
    at_work.alertmanager.starts_anew()
    looked_at(at_work)
    recovers(at_work, "blog")
    is_mailed(at_work, "blog", "")
    assert digests(at_work) == []


def test_a_site_that_has_left_the_file_is_nothing_to_tell_of(at_work: Lab) -> None:
    breaks(at_work, "blog")
    at_work.alertmanager.tries()
    looked_at(at_work)
    at_work.sites_file.write_text(
        "\n".join(line for line in at_work.sites_file.read_text().splitlines() if "blog" not in line)
    )
    at_work.wait("blog", "removed")
    assert at_work.incidents("blog")[0]["mailed"] == ""


def test_while_alertmanager_is_away_nothing_is_decided(at_work: Lab) -> None:
    breaks(at_work, "blog", "wiki")
    at_work.alertmanager.delivers()
    looked_at(at_work)
    at_work.alertmanager.gone = True
    until(lambda: at_work.metric("sitemedic_remediator_problems_total", problem="alertmanager"), 5, "it told")
    recovers(at_work, "blog", "wiki")
    assert at_work.incidents("blog")[0]["mailed"] == "unclear"
    at_work.alertmanager.gone = False
    is_mailed(at_work, "blog", "")
    is_mailed(at_work, "wiki", "")


def test_a_look_that_falls_between_two_counters_is_no_success(at_work: Lab) -> None:
    lost(at_work, "blog")
    until(lambda: digests(at_work), 5, "the digest")
    at_work.alertmanager.requests += 1  # the failure of it is counted a moment later
    at_work.alertmanager.late_failures = 1
    looked_at(at_work)
    looked_at(at_work)
    assert at_work.incidents("blog")[0]["mailed"] == "untold"


def test_a_remediator_killed_after_an_outage_was_found_lost_tells_it_after_its_restart(
    tmp_path: Path,
) -> None:
    with lab(tmp_path, timing=slower(notify=60)) as first:
        looked_at(first)
        lost(first, "blog")
    with lab(tmp_path) as second:
        until(lambda: digests(second), 5, "the digest")
        second.alertmanager.process = 9  # another one by now
        second.alertmanager.delivers()
        is_mailed(second, "blog", "told_later")


_DIES = """
import os, signal, sys
from pathlib import Path
from remediator.store import mail as store_mail
from tests.remediator.doubles import lab
from tests.remediator.test_untold import breaks, lost, looked_at

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def dies_at(connection, incidents, mailed, *rest, **more):
    if incidents and mailed == sys.argv[2]:
        die()
    return mark(connection, incidents, mailed, *rest, **more)

with lab(Path(sys.argv[1])) as at_work:
    looked_at(at_work)
    mark = store_mail.mark
    store_mail.mark = dies_at
    if sys.argv[2] == "posted":
        store_mail.mark_posted = die
    lost(at_work, "blog")
    at_work.alertmanager.delivers()
    looked_at(at_work)
    at_work.remediator.reconciler.stop(30)
    raise SystemExit("it has not died")
"""


@pytest.mark.parametrize(
    "where",
    [
        "posted",
        pytest.param("untold", marks=pytest.mark.full),
        pytest.param("told_later", marks=pytest.mark.full),
    ],
)
def test_sigkill_between_any_two_steps_loses_no_outage(tmp_path: Path, where: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _DIES, str(tmp_path), where], check=False, timeout=60, capture_output=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())}, text=True,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    with lab(tmp_path) as second:
        second.alertmanager.tries()  # what the one before had counted too
        second.alertmanager.gives_up()
        is_mailed(second, "blog", "untold")
        until(lambda: digests(second), 5, "the digest")
        second.alertmanager.delivers()
        is_mailed(second, "blog", "told_later")


def test_a_database_of_the_version_before_is_brought_to_this_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    store = Store(url)
    store.prepare()
    with store.write() as connection:
        store_incidents.open_incidents(connection, {"www": ""}, 1.0, "")
        connection.execute(text("DROP TABLE mail_flow"))
        triggers = connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all()
        for name in triggers:
            connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(text("DROP TABLE approvals"))
        connection.execute(text("DROP TABLE storms"))
        connection.execute(text("ALTER TABLE pauses DROP COLUMN until"))
        ends = ("incidents_by_end", "attempts_by_end_on_site", "attempts_by_end_on_server")
        for index in ("incidents_by_mailed", *ends):
            connection.execute(text(f"DROP INDEX {index}"))
        for column in ("outage", "mailed", "mailed_at", "alert"):
            connection.execute(text(f"ALTER TABLE incidents DROP COLUMN {column}"))
        connection.execute(text("DROP TABLE watched"))
        connection.execute(text("UPDATE meta SET value = 1 WHERE name = 'schema_version'"))
    store.prepare()
    fresh = Store(f"sqlite:///{tmp_path}/new.db")
    fresh.prepare()
    with store.read() as old, fresh.read() as new:
        (kept,) = store_incidents.listing(old)
        assert (kept.site, kept.mailed, kept.outage) == ("www", Mailed.TOLD, "")
        assert watched_since(old, ["www"]) == {"www": kept.opened_at}
        assert old.scalar(text("SELECT value FROM meta WHERE name = 'schema_version'")) == VERSION
        for table in METADATA.tables:
            columns = f"SELECT name, type, \"notnull\" FROM pragma_table_info('{table}') ORDER BY name"
            assert old.execute(text(columns)).all() == new.execute(text(columns)).all()
            indexes = f"SELECT name FROM pragma_index_list('{table}') ORDER BY name"
            assert old.execute(text(indexes)).all() == new.execute(text(indexes)).all()
    store.close()
    fresh.close()
