"""The public page: what it tells, and all that it does not."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core.faults import ConfigError
from remediator.model.outages import DAY, Outage, percent, pieces, since, uptime
from remediator.model.seen import SiteState
from remediator.store.database import Store
from remediator.store.watched import differs, note_watched, watched_since
from remediator.web import create_app, status
from remediator.web.status import PublicStatus, status_of
from tests.remediator.console_scene import scene
from tests.remediator.doubles import Lab, lab
from tests.waiting import until

NOW = 1_000_000.0
UP, DOWN = SiteState("www", True, "www"), SiteState("www", False, "www", reason="timeout", detail="10.0.0.1")


@pytest.fixture
def public(tmp_path: Path) -> Iterator[Lab]:
    with scene(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with scene(tmp_path_factory.mktemp("lab")) as found:
        yield found


def test_it_is_off_unless_sites_yml_has_it(tmp_path: Path) -> None:
    with lab(tmp_path, start=False) as found:
        assert [found.client.get(path).status_code for path in ("/status", "/status.json")] == [404, 404]


def test_it_tells_state_and_uptime_to_everybody(standing: Lab) -> None:
    answer = standing.client.get("/status.json")
    told = json.loads(answer.text)
    assert answer.headers["Cache-Control"] == "public, max-age=10"
    assert "Set-Cookie" not in answer.headers
    assert told["title"] == "Acme"
    assert {one["name"]: one["state"] for one in told["sites"]} == {"www": "up", "shop": "down", "blog": "up"}
    assert [list(one) for one in told["sites"]] == [["name", "since", "state", "uptime", "watched_since"]] * 3
    assert 0.98 < told["sites"][2]["uptime"]["24h"] < told["sites"][2]["uptime"]["90d"] < 1
    page = standing.client.get("/status")
    assert "Set-Cookie" not in page.headers
    assert "1 of 3 down" in page.text


def test_it_tells_nothing_from_inside(standing: Lab) -> None:
    pages = standing.client.get("/status").text + standing.client.get("/status.json").text
    for inside in (
        "acme.example", "web-1", "shop-web-1", "shop/api", "wiki", "refused", "137", "restart", "approv",
        "Grace", "/incidents", "csrf",
    ):  # fmt: skip
        assert inside not in pages.replace("https://localhost", ""), inside


def test_nobody_can_ask_it_for_another_site(standing: Lab) -> None:
    plain = standing.client.get("/status.json").text
    for asked in ("/status.json?site=wiki", "/status.json?sites[]=wiki", "/status.json?q=wiki"):
        assert standing.client.get(asked).text == plain
    assert standing.client.get("/status/wiki").status_code == 404
    assert standing.client.post("/status", data={"site": "wiki"}).status_code == 405


def test_many_askers_are_one_look(standing: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[PublicStatus] = []

    def counted(*given: Any) -> PublicStatus:
        made.append(status_of(*given))
        return made[-1]

    monkeypatch.setattr(status, "status_of", counted)
    client = create_app(standing.remediator).test_client()
    for _ in range(50):
        assert client.get("/status").status_code == 200
    assert len(made) == 1


def test_it_follows_sites_yml(public: Lab) -> None:
    text = public.sites_file.read_text()
    assert "shop" in public.client.get("/status.json").text
    public.sites_file.write_text(text.replace("sites: [www, shop, blog]", "sites: [www]"))
    public.remediator.reload()
    assert "shop" not in public.client.get("/status.json").text
    public.sites_file.write_text(text.replace("status_page: {title: Acme, sites: [www, shop, blog]}", ""))
    public.remediator.reload()
    assert public.client.get("/status").status_code == 404


def test_a_site_that_is_not_there_is_a_fault(public: Lab) -> None:
    public.sites_file.write_text(public.sites_file.read_text().replace("[www, shop, blog]", "[www, shpo]"))
    with pytest.raises(ConfigError, match=r"status_page.sites\[1\]: there is no site 'shpo'"):
        public.remediator.reload()


@pytest.mark.parametrize(
    ("state", "outages", "told"),
    [
        (UP, (), "up"),
        (DOWN, (), "up"),  # one failed probe is no outage yet
        (DOWN, (Outage(NOW - 50, None, 1),), "down"),
        (UP, (Outage(NOW - 50, None, 1),), "down"),  # until fresh probes prove it
        (None, (), "unknown"),
        (SiteState("www", None, "www"), (), "unknown"),
        (SiteState("www", True, "www", stale=True), (), "unknown"),
        (None, (Outage(NOW - 50, None, 1),), "down"),
    ],
)
def test_a_site_is_up_down_or_unknown(
    state: SiteState | None, outages: tuple[Outage, ...], told: str
) -> None:
    found = status_of("x", ["www"], {"www": state} if state else None, {"www": outages}, {}, NOW)
    assert found.sites[0].state == told


@pytest.mark.parametrize(
    ("outages", "share"),
    [
        ((), 1.0),
        ((Outage(NOW - DAY / 2, None, 1),), 0.5),
        ((Outage(NOW - 2 * DAY, NOW - DAY * 3 / 4, 1),), 0.75),
        ((Outage(NOW - 3 * DAY, NOW - 2 * DAY, 1),), 1.0),
        ((Outage(NOW - DAY / 2, NOW - DAY / 4, 1), Outage(NOW - DAY / 2, NOW - DAY / 4, 2)), 0.75),
        ((Outage(NOW - 9 * DAY, None, 1),), 0.0),
        ((Outage(NOW + 5, NOW + 9, 1), Outage(NOW - 5, NOW - 9, 2)), 1.0),
    ],
)
def test_uptime_is_the_share_without_an_outage(outages: tuple[Outage, ...], share: float) -> None:
    assert uptime(outages, NOW, DAY) == pytest.approx(share)


def test_what_was_before_a_site_was_watched_is_no_part_of_its_share() -> None:
    outages = (Outage(NOW - DAY / 4, NOW - DAY / 8, 1),)
    assert uptime(outages, NOW, 90 * DAY, NOW - DAY / 2) == pytest.approx(0.75)
    assert uptime(outages, NOW, DAY / 8, NOW - DAY / 2) == pytest.approx(1.0)
    assert uptime((Outage(NOW - DAY, None, 1),), NOW, DAY, NOW) == pytest.approx(0.0)
    assert uptime((), NOW, DAY, NOW + DAY) == 1.0


def test_since_when_sites_are_watched_is_kept_and_a_site_that_comes_again_begins_anew(tmp_path: Path) -> None:
    with closing(Store(f"sqlite:///{tmp_path / 'remediator.db'}")) as store:
        store.prepare()
        for at, sites in ((1.0, {"www", "shop"}), (2.0, {"www", "blog"}), (3.0, {"www", "shop"})):
            with store.write() as connection:
                assert differs(connection, sites)
                note_watched(connection, sites, at)
                assert not differs(connection, sites)
        with store.read() as connection:
            assert watched_since(connection, ["www", "shop", "blog"]) == {"www": 1.0, "shop": 3.0}


def test_a_running_remediator_notes_which_sites_are_watched(tmp_path: Path) -> None:
    with lab(tmp_path) as found:

        def known() -> set[str]:
            with found.remediator.store.read() as connection:
                return set(watched_since(connection, found.remediator.policy().sites))

        until(lambda: known() == set(found.remediator.policy().sites), 30, "the sites in the database")
        assert known()


def test_a_share_is_never_told_better_than_it_is() -> None:
    assert [percent(share).replace("\N{NO-BREAK SPACE}", " ") for share in (1.0, 0.99999, 0.98765, 0.0)] == [
        "100 %", "99.99 %", "98.77 %", "0.00 %",
    ]  # fmt: skip


def test_a_short_outage_can_be_seen_and_stays_inside_the_bar() -> None:
    found = pieces((Outage(NOW - 1, None, 1), Outage(NOW - 2 * DAY, NOW - DAY + 1, 2)), NOW, DAY)
    assert [(one.at, one.width) for one in found] == [(0.99, 0.01), (0.0, 0.01)]
    assert pieces((Outage(NOW - 3 * DAY, NOW - 2 * DAY, 3),), NOW, DAY) == []


def test_since_is_the_end_of_the_last_outage_or_the_beginning_of_the_one_that_lasts() -> None:
    assert since(()) is None
    assert since((Outage(1, 5, 1), Outage(7, 9, 2))) == 9
    assert since((Outage(1, 5, 1), Outage(7, None, 2))) == 7
