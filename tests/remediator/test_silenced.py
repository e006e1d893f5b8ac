"""A silence is respected also while Alertmanager has no alert of it: it, or Prometheus, was restarted."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from remediator.clients.alertmanager import AlertmanagerClient
from remediator.clients.silenced import Matcher, Silence, Silenced
from remediator.clients.silences import Silences
from remediator.metrics import Metrics
from remediator.timing import Timing
from tests.remediator.doubles import Lab, lab, served, slower
from tests.waiting import until

OF_WWW = Silence("1", (Matcher("site", "www"), Matcher("alertname", "Site.*", regex=True)))
OF_A_SERVER = Silence("2", (Matcher("server", "web"), Matcher("alertname", "SiteDown")))


@pytest.mark.parametrize(
    ("silence", "said"),
    [
        (OF_WWW, True),
        (OF_A_SERVER, None),
        (Silence("3", (Matcher("site", "shop"),)), False),
        (Silence("3", (Matcher("site", "www", equal=False),)), False),
        (Silence("3", (Matcher("site", "w+", regex=True),)), True),
        (Silence("3", (Matcher("site", "w", regex=True),)), False),
        (Silence("3", (Matcher("site", r"\pL(", regex=True),)), True),
        (Silence("3", (Matcher("site", "[[:alpha:]]+", regex=True),)), True),
        (Silence("3", (Matcher("site", r"\pL\pL", regex=True),)), False),
        (Silence("3", (Matcher("site", "w|ww", regex=True),)), False),
        (Silence("3", (Matcher("alertname", "SiteSlow"), Matcher("server", "web"))), False),
        (Silence("3", (Matcher("alertname", "ContainerDown"),)), False),
    ],
)
def test_a_silence_covers_a_site_by_what_its_matchers_ask_for(silence: Silence, said: bool | None) -> None:
    assert silence.covers("www") is said


def test_an_alert_that_is_there_says_itself_whether_it_is_silenced() -> None:
    every = (OF_WWW, OF_A_SERVER)
    assert Silenced({"www": frozenset({"1"})}, every).covers("www")
    assert Silenced({}, every, frozenset({"www"})).covers("www") is False
    assert Silenced().covers("www") is False


def test_a_silence_that_covered_an_alert_before_covers_it_while_it_is_gone() -> None:
    found = Silenced({}, (OF_A_SERVER,))
    assert found.covers("www") is None
    assert found.covers("www", frozenset({"2"})) is True
    assert found.covers("www", frozenset({"9"})) is None


def silence(at_work: Lab, **labels: str) -> None:
    matchers = [{"name": name, "value": value, "isRegex": False} for name, value in labels.items()]
    told = {"id": "1", "status": {"state": "active"}, "matchers": matchers}
    at_work.alertmanager.silences = [told, {**told, "id": "0", "status": {"state": "expired"}}]


def test_nothing_is_done_in_a_silence_whose_alert_has_gone_from_alertmanager(tmp_path: Path) -> None:
    with lab(tmp_path) as at_work:
        silence(at_work, site="www")
        until(lambda: at_work.remediator.silenced("www"), 20, "the silence")
        at_work.exporter.failing["www"] = "status"
        at_work.post("www")
        at_work.decided("www", "silenced", 20)
        assert at_work.ledger.lines() == []
        at_work.alertmanager.silences = []
        at_work.wait("www", "recovered", 30)


@pytest.mark.full
def test_a_silence_by_other_labels_holds_a_lost_alert_that_it_covered_for_as_long_as_it_lasts(
    tmp_path: Path,
) -> None:
    with lab(tmp_path, timing=slower(silences_max_age=2.0)) as at_work:
        silence(at_work, server="web")
        at_work.alertmanager.silenced.add("www")
        until(lambda: at_work.remediator.silenced("www"), 20, "the silence")
        at_work.alertmanager.silenced.clear()
        at_work.exporter.failing["www"] = at_work.exporter.failing["shop"] = "status"
        at_work.post("www", "shop")
        at_work.wait("shop", "recovered", 30)  # nobody knows whether it covers this one: soon let go
        assert at_work.incident("www")["state"] == "open"
        assert len(at_work.ledger.lines()) == 1


class Told:
    """An Alertmanager's alerts and silences, what was asked of it, and a clock."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        self.silences: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str]] = []
        self.time = 1000.0

    def answer(self, path: str, query: object, _body: bytes) -> tuple[int, Any]:
        self.asked.append((path, str(query)))
        return 200, self.alerts if path == "/api/v2/alerts" else self.silences

    def fires(self, alert: str, *silenced_by: str, **labels: str) -> None:
        status = {"state": "active", "silencedBy": list(silenced_by), "inhibitedBy": []}
        self.alerts.append({"labels": {"alertname": alert, "site": "www", **labels}, "status": status})

    def silence(self, **labels: str) -> None:
        matchers = [{"name": name, "value": value, "isRegex": False} for name, value in labels.items()]
        self.silences = [{"id": "1", "status": {"state": "active"}, "matchers": matchers}]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def silences(told: Told) -> Iterator[Silences]:
    with served(told.answer) as url:
        yield Silences(AlertmanagerClient(url), Metrics([]), Timing(), lambda: told.time)


Ask = Callable[[Silences], bool | None]


def at_an_act(silences: Silences) -> bool | None:
    return silences.covers_now("www")


def at_a_decision(silences: Silences) -> bool | None:
    silences.look()
    return silences.covers("www")


ASKED = pytest.mark.parametrize("ask", [at_an_act, at_a_decision])


@ASKED
@pytest.mark.parametrize("labels", [{"alertname": "SiteDown", "site": "www"}, {"reason": "status"}])
def test_a_silenced_site_stays_so_while_only_its_containers_alert_is_back_after_a_restart(
    told: Told, silences: Silences, ask: Ask, labels: dict[str, str]
) -> None:
    told.silence(**labels)
    told.fires("SiteDown", "1")
    told.fires("ContainerDown")
    assert ask(silences) is True
    told.alerts = []
    assert ask(silences) is True
    told.fires("ContainerDown")
    told.time += 400.0
    assert ask(silences) is True
    told.alerts = []
    assert ask(silences) is True
    told.fires("SiteDown")
    assert ask(silences) is False
    told.alerts = []
    told.silence(alertname="SiteDown", site="shop")
    assert ask(silences) is False


@ASKED
@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"alertname": "SiteDown", "site": "www"}, True),
        ({"alertname": "SiteDown", "server": "web"}, True),
        ({"alertname": "SiteDown", "severity": "warning"}, False),
        ({"group": "backoffice"}, False),
        ({"alertname": "SiteDown", "reason": "status"}, True),
        ({"alertname": "SiteSlow"}, False),
    ],
)
def test_before_a_site_is_told_to_be_down_a_silence_of_that_holds_already(
    told: Told, silences: Silences, ask: Ask, labels: dict[str, str], said: bool
) -> None:
    told.silence(**labels)
    told.fires("ContainerDown", server="web", severity="critical", name="nginx")
    assert ask(silences) is said


@ASKED
def test_a_silence_of_a_containers_alert_holds_until_its_site_is_told_to_be_down(
    told: Told, silences: Silences, ask: Ask
) -> None:
    told.silence(alertname="ContainerDown")
    told.fires("ContainerDown", "1")
    assert ask(silences) is True
    told.fires("SiteDown")
    assert ask(silences) is False


def test_before_an_act_an_alert_that_is_there_is_all_that_is_asked_for(
    told: Told, silences: Silences
) -> None:
    told.silence(alertname="SiteDown", site="www")
    told.fires("SiteDown", "1")
    assert silences.covers_now("www") is True
    [(path, query)] = told.asked
    assert path == "/api/v2/alerts"
    assert "www" in query
    told.alerts = []
    assert silences.covers_now("www") is True
    assert [path for path, _ in told.asked[1:]] == ["/api/v2/alerts", "/api/v2/silences"]


def test_without_a_silence_no_alert_is_asked_for_by_the_chore(told: Told, silences: Silences) -> None:
    told.fires("SiteDown")
    silences.look()
    assert [path for path, _ in told.asked] == ["/api/v2/silences"]
    assert silences.covers("www") is False


def test_what_was_asked_before_an_act_holds_for_the_next_decision_too(told: Told, silences: Silences) -> None:
    silences.look()
    told.time += 1.0
    told.fires("SiteDown", "1")
    assert silences.covers_now("www") is True
    assert silences.covers("www") is True
    assert silences.covers("shop") is False
    told.time += 1.0
    told.alerts = []
    silences.look()
    assert silences.covers("www") is False


def test_a_clock_that_was_set_back_makes_no_answer_the_newest_for_ever(
    told: Told, silences: Silences
) -> None:
    told.fires("SiteDown", "1")
    assert at_an_act(silences) is True
    told.time -= 3600.0
    told.alerts = []
    assert at_a_decision(silences) is False


def test_an_alert_that_is_lost_a_second_time_is_held_as_long_as_the_first_time(
    told: Told, silences: Silences
) -> None:
    told.silence(severity="warning")
    assert at_a_decision(silences) is True
    told.time += 400.0
    assert at_a_decision(silences) is False
    told.fires("SiteDown")
    silences.look()
    told.alerts = []
    assert at_a_decision(silences) is True
