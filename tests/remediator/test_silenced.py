"""A silence is respected also while Alertmanager has no alert of it: it, or Prometheus, was restarted."""

from pathlib import Path

import pytest

from remediator.clients.silenced import Matcher, Silence, Silenced
from tests.remediator.doubles import Lab, lab, slower
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
