"""Outages and restarts in the real parts, from the site to the mail: one mail says DOWN, one RECOVERED."""

import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.alerting_chain import Chain, alerting_chain
from tests.exporter.running import Site, site
from tests.waiting import until

pytestmark = pytest.mark.needs("prometheus", "prometheus-alertmanager")

DOWN, RECOVERED = "[DOWN] www: answered 500", "[RECOVERED] www"
ODD = ("Bücher ☃ 本", r"a+b.*(c)|[d]^$?", "<b>bold<i> & {{ .x }}", "long " * 19 + "name")


@pytest.fixture
def www() -> Iterator[Site]:
    with site() as found:
        yield found


def watched(name: str, web: Site, **keys: Any) -> dict[str, Any]:
    return {"name": name, "url": web.url, **keys}


def healthy(name: str, web: Site) -> dict[str, Any]:
    """Return a site that only stands beside those that fail: one late answer of it is no outage."""
    return watched(name, web, alert={"after": "1m"})


def seen_down(chain: Chain, web: Site) -> None:
    chain.sees("www")
    web.status = 500
    chain.down_and_mailed(DOWN)


def recovers(chain: Chain, web: Site, seconds: float = 60) -> None:
    """Mend the site; exactly one mail follows, and the webhook hears of it."""
    assert chain.outages == [DOWN]
    web.status = 200
    chain.wait_for_outages(2, seconds)
    until(lambda: chain.posted("resolved"), 30, "the webhook's resolve")
    chain.evaluations(4)
    assert chain.outages == [DOWN, RECOVERED]
    assert chain.prometheus.metric("prometheus_rule_evaluation_failures_total") == 0


def told_once(chain: Chain, names: Collection[str]) -> None:
    """Check that people and the webhook hear of each site's end, and heard of each outage once."""
    until(lambda: set(chain.posted("resolved")) == set(names), 60, "the webhook's resolves")
    until(lambda: all(chain.told(name)[-1] == "resolved" for name in names), 60, "their ends")
    chain.evaluations(5)
    assert {name: chain.told(name) for name in names} == dict.fromkeys(names, ("firing", "resolved"))
    assert set(chain.posted("firing")) == set(chain.posted("resolved")) == set(names)


def evaluated_slowly(chain: Chain, every: int) -> float:
    """Have the rules evaluated this rarely (seconds); return when they were last, a moment ago."""
    chain.evaluate_every(every)
    evaluated = chain.evaluated_at()
    for _ in range(2):
        after = evaluated
        evaluated = until(lambda after=after: chain.evaluated_at(after), every + 30, "an evaluation")
    return evaluated


def started_too_late(chain: Chain, evaluated: float, every: int) -> None:
    """Start everything with the sites as they are now, Prometheus once it has missed an evaluation."""
    chain.render()
    chain.pace(every)
    chain.start("exporter", "alertmanager")
    until(lambda: time.time() > evaluated + every + 0.5, every + 5, "the evaluation that is missed")
    chain.start("prometheus")
    chain.sees("www")
    assert chain.evaluated_at() == 0.0


@pytest.mark.full
def test_reasons_edits_names_and_a_killed_exporter_tell_nobody_a_second_time(
    tmp_path: Path, www: Site
) -> None:
    names = ("www", "edited", *ODD)
    with (
        site() as well,
        alerting_chain(
            tmp_path, [healthy("well", well), *(watched(name, www) for name in ("gone", "before", *names))]
        ) as chain,
    ):
        chain.sees("www")
        www.status = 500
        until(lambda: all(chain.told(name) for name in ("gone", "before", *names)), 60, "all to be told")
        chain.stop("exporter", kill=True)
        chain.evaluations(2)
        www.status = 502
        chain.start("exporter")
        www.delay = 1.0
        chain.edit(
            chain.sites
            | {
                "sites": [
                    healthy("well", well),
                    watched("after", www),
                    *(watched(name, www) for name in names if name != "edited"),
                    watched("edited", www, group="other", alert={"severity": "warning", "after": "1s"}),
                ]
            }
        )
        until(lambda: chain.told("after"), 60, "the new name to be told")
        www.status, www.delay = 200, 0.0
        everyone = {"gone", "before", "after", *names}
        told_once(chain, everyone)
        assert chain.told("well") == ()
        assert {alert["labels"]["severity"] for alert in chain.webhook.alerts("firing")} == {"critical"}
        assert chain.prometheus.metric("prometheus_rule_evaluation_failures_total") == 0


@pytest.mark.full
@pytest.mark.timeout(600)
def test_six_minutes_without_an_exporter_say_neither_recovered_nor_down_again(
    tmp_path: Path, www: Site
) -> None:
    with site() as well, alerting_chain(tmp_path, [watched("www", www), healthy("well", well)]) as chain:
        seen_down(chain, www)
        chain.stop("exporter", kill=True)
        # Prometheus looks back five minutes: what lasts longer, lasts by the rules alone.
        chain.evaluations(375)
        assert chain.outages == [DOWN]
        assert "[SITEMEDIC] The exporter does not answer" in chain.subjects
        assert chain.posted("resolved") == []
        chain.start("exporter")
        until(lambda: "[RESOLVED] ExporterDown" in chain.subjects, 30, "the exporter's own mail")
        chain.evaluations(5)
        assert chain.outages == [DOWN]
        www.status = 200
        chain.wait_for_outages(2, 30)
        chain.evaluations(5)
        assert chain.outages == [DOWN, RECOVERED]
        assert set(chain.posted("firing")) == {"www"}


@pytest.mark.full
def test_restarts_of_everything_while_a_site_is_down_make_no_second_mail(tmp_path: Path, www: Site) -> None:
    with site() as well, alerting_chain(tmp_path, [watched("www", www), healthy("well", well)]) as chain:
        seen_down(chain, www)
        for name in ("exporter", "prometheus", "alertmanager"):
            chain.stop(name, kill=name != "alertmanager")
            chain.start(name)
            chain.evaluations(6)
        chain.stop()
        chain.start()
        chain.evaluations(10)
        assert chain.posted("resolved") == []
        recovers(chain, www, 90)


@pytest.mark.full
def test_restarts_of_everything_while_all_is_well_mail_nothing(tmp_path: Path, www: Site) -> None:
    with alerting_chain(tmp_path, [healthy("www", www)]) as chain:
        for name in ("exporter", "prometheus", "alertmanager"):
            chain.sees("www")
            chain.stop(name, kill=True)
            chain.start(name)
        chain.stop(kill=True)
        chain.start()
        chain.sees("www")
        chain.evaluations(8)
        assert chain.outages == []
        assert chain.webhook.requests == []


@pytest.mark.full
@pytest.mark.timeout(240)
def test_what_changes_while_everything_is_off_neither_loses_a_mail_nor_makes_one(
    tmp_path: Path, www: Site
) -> None:
    with (
        site() as other,
        site() as well,
        alerting_chain(
            tmp_path,
            [
                *(healthy(f"well-{number}", well) for number in range(5)),
                watched("www", www),
                watched("lasts", other),
                watched("moves", www, group="old"),
            ],
        ) as chain,
    ):
        chain.sees("www")
        www.status = other.status = 500
        chain.wait_for_outages(3)
        # The worst moment: the new Prometheus scrapes (it takes some 6 s to begin) before it evaluates.
        every = 15
        evaluated = evaluated_slowly(chain, every)
        www.status, other.status = 200, 502
        chain.stop()
        chain.sites["sites"] = [
            *chain.sites["sites"][:5],
            watched("www", www, group="new"),
            watched("lasts", other, group="new"),
            watched("moves", www, url=f"{www.url}elsewhere", group="new"),
        ]
        started_too_late(chain, evaluated, every)
        chain.wait_for_outages(5, 3 * every + 70)
        chain.evaluations(2, every)
        assert sorted(chain.outages[3:]) == ["[RECOVERED] moves", RECOVERED]
        assert set(chain.posted("resolved")) == {"www", "moves"}
        assert chain.prometheus.metric("prometheus_rule_evaluation_failures_total") == 0


@pytest.mark.full
def test_two_hundred_sites_that_fail_at_once_are_a_few_mails_and_two_hundred_webhooks(
    tmp_path: Path, www: Site
) -> None:
    names = {"www", *(f"site-{number}" for number in range(200))}
    with (
        site() as well,
        alerting_chain(
            tmp_path, [healthy("well", well), *(watched(name, www) for name in sorted(names))]
        ) as chain,
    ):
        chain.sees("www")
        www.status = 500
        until(lambda: set(chain.posted("firing")) == names, 40, "the webhook to hear of every site")
        until(lambda: all(chain.told(name) for name in names), 40, "people to hear of every site")
        assert chain.wait_for_outages(1)[0].startswith("[IS IT US?]")
        assert len(chain.outages) <= 2
        chain.stop("exporter", kill=True)
        chain.start("exporter")
        chain.evaluations(5)
        assert len(chain.outages) <= 2
        www.status = 200
        told_once(chain, names)
        until(lambda: chain.outages[-1].startswith("[RECOVERED]"), 20, "the last mail")
        assert len(chain.outages) <= 6


@pytest.mark.full
def test_each_outage_of_a_flapping_site_is_two_mails_and_a_blip_is_none(tmp_path: Path, www: Site) -> None:
    # Longer than a blip is known: a probe, a scrape and an evaluation, late on a machine that is busy.
    with alerting_chain(tmp_path, [watched("www", www, alert={"after": "4s"})]) as chain:
        chain.sees("www")
        for _ in range(6):
            probes = len(www.asked)
            www.status = 500
            until(lambda probes=probes: len(www.asked) > probes, 5, "a failed probe")
            www.status = 200
            chain.sees("www")
        assert chain.outages == []
        for number in range(3):
            www.status = 500
            chain.wait_for_outages(2 * number + 1)
            www.status = 200
            chain.wait_for_outages(2 * number + 2)
        chain.evaluations(4)
        assert chain.outages == [DOWN, RECOVERED] * 3
