"""What the console shows, and what its forms do."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from remediator.errors import StoreError
from remediator.model.holds import Pause
from remediator.model.incident import Decision, Reason, State, Verb
from remediator.readiness.check import Check, Name, Report
from remediator.store import approvals as store_approvals
from remediator.store.database import add_pause, record
from remediator.store.schema import INCIDENTS
from remediator.store.storm import note_storm
from tests.remediator.console_scene import HOUR, decided, ended, incident, question, scene
from tests.remediator.doubles import API, HOSTILE, Lab, lab
from tests.signing_in import send, sign_in

MAINTENANCE = "maintenance: [{name: backup, from: '00:00', until: '23:59'}]\n"
WORLD = "</pre><script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Lab]:
    with scene(tmp_path) as found:
        sign_in(found.client)
        yield found


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A scene in which nothing is done, only looked at."""
    with scene(tmp_path_factory.mktemp("lab")) as found:
        sign_in(found.client)
        yield found


def asked_of(shown: Lab, path: str, key: str = "") -> Any:
    answer: Any = shown.client.get(f"/api/v1/{path}", headers=API).json
    return answer[key or path]


def test_the_first_page_tells_states_open_incidents_and_what_comes_next(standing: Lab) -> None:
    page = standing.client.get("/").text
    assert "3 of 7 sites down" in page
    assert "A person must approve it: restart the container." in page
    assert "Waits, then: restart the container." in page
    assert "cooldown: the last attempt ended 20s ago" in page
    assert "It would be: restart the container" in page
    assert "approve: shop/web on web-1" in page
    assert page.index(">shop<") < page.index(">tickets<") < page.index(">blog<"), "failing first"


def test_the_bars_are_the_incidents_of_the_last_day(standing: Lab) -> None:
    row = standing.client.get("/?q=tickets").text.partition('class="rows sites"')[2]
    assert row.count('class="down"') == 2
    assert 'aria-label="the last 24 hours: 2 outages"' in row


@pytest.mark.parametrize(
    ("query", "there", "gone"),
    [
        ("q=SHOP", "shop/redis", ">wiki<"),
        ("state=down", ">wiki</a>\n<span>", "shop/redis"),
        ("state=up", "shop/redis", '<span class="quiet">timeout'),
        ("q=%00&page=99999999999999&state=x", "shop/redis", "no such"),
    ],
)
def test_sites_are_filtered(standing: Lab, query: str, there: str, gone: str) -> None:
    sites = standing.client.get(f"/?{query}").text.partition("<h2>Sites</h2>")[2]
    assert there in sites
    assert gone not in sites


def test_many_sites_come_page_by_page_with_the_failing_first(shown: Lab) -> None:
    shown.exporter.sites = tuple(f"s{number:03d}" for number in range(120))
    shown.exporter.failing = {"s117": "timeout"}
    first, last = shown.client.get("/").text, shown.client.get("/?page=9").text
    assert first.count('class="name" href="/site') == 50
    assert first.index("s117") < first.index("s000")
    assert "Page 1 of 3 (120 sites)" in first
    assert "Page 3 of 3" in last
    assert "s116" in last


def test_an_incident_shows_timeline_evidence_log_lines_and_next_step(standing: Lab) -> None:
    page = standing.client.get("/incidents/1").text
    for words in ("SiteDown fires", "exit code", "137", "FATAL: cannot allocate", "Approve or deny", "share"):
        assert words in page


def test_a_line_of_the_timeline_says_its_step_once(shown: Lab) -> None:
    with shown.remediator.store.write() as connection:
        record(connection, time.time(), "settling", "restart_container: settling", 1)
        record(connection, time.time(), "acting", "restart_container: acting: why", 1)
    page = shown.client.get("/incidents/1").text
    timeline = page.partition("<h2>Timeline</h2>")[2].partition("</ol>")[0]
    said = re.findall(r">(settling|acting)</span> <span>(restart.*?)</span>", timeline)[-2:]
    assert said == [("settling", "restart_container"), ("acting", "restart_container: why")]


def test_history_is_filtered_and_paged(shown: Lab) -> None:
    at = shown.remediator.settings.now() - 100 * HOUR
    with shown.remediator.store.write() as connection:
        rows = [
            {
                "site": "blog",
                "state": State.RECOVERED,
                "opened_at": at,
                "closed_at": at + 9,
                "outcome": "by_itself",
            }
        ]
        connection.execute(insert(INCIDENTS), rows * 60)
    page = shown.client.get("/incidents?site=blog").text
    assert page.count('class="name"') == 50
    assert ">www<" not in page
    further = page.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    rest = shown.client.get(further).text
    assert rest.count('class="name"') == 11
    assert 'rel="next"' not in rest
    humans = shown.client.get("/incidents?outcome=by_a_human").text
    assert [">tickets<" in humans, ">www<" in humans] == [True, False]


def test_a_site_has_its_own_page(standing: Lab) -> None:
    page = standing.client.get("/site?name=shop/api").text
    assert "shop/api on web-1" in page
    assert page.count("Incident ") == 1
    assert "99.9" in page
    assert standing.client.get("/site?name=nowhere").status_code == 404


def test_an_approval_is_given_with_the_name_of_who_is_signed_in(shown: Lab) -> None:
    page = shown.client.get("/approvals").text
    assert "May Sitemedic restart the container for" in page
    assert "cannot allocate" in page.partition("Approve</button>")[0], "the evidence stands before the button"
    answer = send(shown.client, "/approvals/1", "/approvals", verdict="approved")
    assert answer.status_code == 303
    with shown.remediator.store.read() as connection:
        kept = store_approvals.get(connection, 1)
    assert kept is not None
    assert (kept.answer, kept.answered_by) == ("approved", "Ada")
    assert kept.expires_at is not None
    assert 890 < kept.expires_at - time.time() <= 900
    assert "Restart container: approved." in shown.client.get("/approvals").text
    again = send(shown.client, "/approvals/1", verdict="denied")
    assert (again.status_code, "nothing was changed" in shown.client.get("/").text) == (303, True)


def test_a_question_that_is_not_asked_any_more_cannot_be_answered(shown: Lab) -> None:
    ended(shown, 1, 0)
    send(shown.client, "/approvals/1", verdict="approved")
    with shown.remediator.store.read() as connection:
        kept = store_approvals.get(connection, 1)
    assert kept is not None
    assert kept.answer != "approved"


def test_the_api_answers_a_question_once(shown: Lab) -> None:
    (asked,) = asked_of(shown, "approvals")
    assert asked["site"] == "shop"
    assert asked["look"]["evidence"]["container"]["exit_code"] == 137
    path, body = f"/api/v1/approvals/{asked['id']}", {"verdict": "denied", "by": "Bob"}
    assert shown.client.post(path, json={"verdict": "withdrawn", "by": "Bob"}, headers=API).status_code == 400
    assert shown.client.post(path, json={"verdict": "denied", "by": " "}, headers=API).status_code == 400
    assert shown.client.post(path, data="x", headers=API, content_type="text/plain").status_code == 415
    assert '"answered_by":"Bob"' in shown.client.post(path, json=body, headers=API).text
    assert shown.client.post(path, json=body, headers=API).status_code == 409
    assert shown.client.post("/api/v1/approvals/99", json=body, headers=API).status_code == 404


def test_a_pause_is_made_shown_on_every_page_and_ended(shown: Lab) -> None:
    send(shown.client, "/pause", scope="site", site="shop", reason="moving", **{"for": "2h"})
    for path in ("/", "/approvals", "/incidents", "/readiness", "/runbooks/SiteDown"):
        assert "Paused: site:shop</strong> by Ada" in shown.client.get(path).text
    (pause,) = (one for one in asked_of(shown, "pause", "pauses") if one["scope"] == "site:shop")
    assert pause["until"] - pause["since"] == 7200
    assert pause["reason"] == "moving"
    send(shown.client, "/resume", scope="site:shop")
    assert "Paused: site:shop" not in shown.client.get("/").text


def test_a_pause_whose_time_is_over_is_not_shown(shown: Lab) -> None:
    now = shown.remediator.settings.now()
    with shown.remediator.store.write() as connection:
        add_pause(connection, Pause("all", "ann", "", now - 9, now - 1))
        add_pause(connection, Pause("site:www", "ann", "", now - 9, now + 99))
    page = shown.client.get("/").text
    assert "Paused: all" not in page
    assert "Paused: site:www" in page
    assert [one["scope"] for one in asked_of(shown, "pause", "pauses")] == ["server:db-1", "site:www"]


def test_a_storm_and_a_window_stand_on_every_page(tmp_path: Path) -> None:
    with lab(tmp_path, start=False) as found:
        found.sites_file.write_text(found.sites_file.read_text() + MAINTENANCE)
        found.remediator.reload()
        with found.remediator.store.write() as connection:
            note_storm(
                connection, "canaries_fail", "none of 1 canaries answers", found.remediator.settings.now()
            )
        sign_in(found.client)
        page = found.client.get("/pause").text
    assert "Healing is suspended." in page
    assert "none of 1 canaries answers" in page
    assert "Maintenance: backup" in page


def test_the_console_is_there_without_an_exporter_and_without_incidents(tmp_path: Path) -> None:
    with lab(tmp_path, start=False) as found:
        found.exporter.gone = True
        sign_in(found.client)
        assert "The exporter does not answer" in found.client.get("/").text
        assert "Nothing waits for an answer" in found.client.get("/approvals").text


def test_what_the_world_wrote_is_shown_as_text(shown: Lab) -> None:
    shown.exporter.sites = (WORLD,)
    shown.exporter.failing = {WORLD: WORLD}
    evidence = {"log_tail": [WORLD], "problems": [WORLD], WORLD: {"x": WORLD}}
    number, asked = question(shown, WORLD, evidence)
    held = Decision(Verb.REFUSE, Reason.PAUSED, WORLD, WORLD, WORLD, numbers={WORLD: [WORLD]})
    other = incident(shown, f"{WORLD}2", 10, WORLD[:20])
    decided(shown, other, held, State.OBSERVING)
    ended(shown, other, 1)
    send(shown.client, "/logout")
    sign_in(shown.client, WORLD[:50])
    send(shown.client, "/pause", scope="all", reason=WORLD)
    paths = [
        "/", f"/?q={WORLD}", "/approvals", f"/incidents/{number}", f"/incidents/{other}", "/incidents",
        "/incidents?state=open", f"/incidents?site={WORLD}", "/pause", f"/pause?scope={WORLD}", f"/{WORLD}",
    ]  # fmt: skip
    for path in paths:
        page = shown.client.get(path).text
        assert "<script" not in page, path
        assert "<img" not in page, path
        assert "onerror=alert(1)>" not in page.replace("&#34;", '"').replace("onerror=alert(1)&gt;", ""), path
    site = shown.client.get("/site", query_string={"name": WORLD})
    assert (site.status_code, "<script" in site.text) == (200, False)
    assert asked


def test_evidence_of_a_real_look_is_shown_as_text(tmp_path: Path) -> None:
    with lab(tmp_path) as at_work:
        at_work.exporter.failing["www"] = "timeout"
        at_work.post("www")
        number = at_work.wait("www", "recovered", 20)["id"]
        sign_in(at_work.client)
        page = at_work.client.get(f"/incidents/{number}").text
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "Over: Sitemedic healed it." in page


def test_without_the_database_a_page_says_so_and_programs_too(
    standing: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise StoreError("the database cannot be used now")

    monkeypatch.setattr(standing.remediator.store, "read", gone)
    monkeypatch.setattr(standing.remediator.store, "write", gone)
    page = standing.client.get("/")
    assert (page.status_code, page.mimetype) == (503, "text/html")
    assert "the database cannot be used now" in page.text
    answer = standing.client.post("/api/v1/pause", json={"scope": "all"}, headers=API)
    assert (answer.status_code, answer.json) == (503, {"error": "the database cannot be used now"})


def test_readiness_shows_what_is_wrong_first_with_its_mend(
    standing: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Report(None, (Check(Name.SSH, True, "in"), Check(Name.DOCKER, False, WORLD, "start it", "web-1")))
    monkeypatch.setattr(standing.remediator.readiness, "report", lambda: found)
    page = standing.client.get("/readiness").text
    assert page.index("docker</strong> on web-1") < page.index("ssh</strong>")
    assert "start it" in page
    assert "<script" not in page
    monkeypatch.setattr(standing.remediator.readiness, "report", lambda: Report(None, ()))
    assert "Not checked yet" in standing.client.get("/readiness").text
