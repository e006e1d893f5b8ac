"""Whether an outage can have been mailed, out of Alertmanager's counters: case by case."""

from dataclasses import replace

import pytest

from remediator.model.mail_flow import (
    Ended,
    MailCounts,
    MailFlow,
    Patience,
    Verdict,
    after_look,
    first_look,
    judge,
)

PATIENCE = Patience(lag=30, quiet=300)
Look = tuple[float, str]
"""When, and what has happened since the last look."""


def count(counts: MailCounts, events: str) -> MailCounts:
    """Count what happened, letter by letter.

    b: a notification begins. x: a request fails. g: it is given up. o: a request succeeds, which ends its
    notification. R: Alertmanager is started anew.
    """
    for event in events:
        match event:
            case "b":
                counts = replace(counts, begun=counts.begun + 1)
            case "x":
                counts = replace(counts, requests=counts.requests + 1, failed=counts.failed + 1)
            case "g":
                counts = replace(counts, given_up=counts.given_up + 1)
            case "o":
                counts = replace(counts, requests=counts.requests + 1)
            case "R":
                counts = MailCounts(counts.process + 1)
    return counts


def flows(looks: list[Look]) -> list[MailFlow]:
    """Return what is known after each look."""
    counts = MailCounts(1.0, begun=40, requests=60, failed=20, given_up=0)
    found = [first_look(counts, 0)]
    for now, events in looks:
        counts = count(counts, events)
        found.append(after_look(found[-1], counts, now))
    return found


def said(looks: list[Look], ended: Ended, now: float | None = None) -> Verdict:
    """Judge as the service does: at every look from the incident's end on, until something is said."""
    return first_said(flows(looks if now is None else [*looks, (now, "")]), ended)


def first_said(found: list[MailFlow], ended: Ended) -> Verdict:
    verdicts = (
        judge(one, ended, one.looked_at, PATIENCE) for one in found if one.looked_at >= ended.closed_at
    )
    return next((verdict for verdict in verdicts if verdict is not Verdict.WAIT), Verdict.WAIT)


SHORT = Ended(100, 140)
"""An incident from 100 to 140; what follows happens to its own mail unless it says otherwise."""

LOST: dict[str, list[Look]] = {
    "refused and given up": [(115, "bx"), (130, "xxx"), (145, "x"), (175, "xg")],
    "given up at the incident's end": [(115, "bx"), (138, "xg"), (145, "")],
    "given up, and the mail server back, between two looks": [(115, "bx"), (139, ""), (170, "xgbo")],
    "given up, then another's success": [(115, "bx"), (150, "x"), (175, "g"), (180, "bo")],
    "away for hours before": [(10, "bxxx"), (80, "gb"), (115, "bxx"), (150, "gb"), (180, "gx")],
    "another's success before the first failure": [(105, "bo"), (115, "bx"), (150, "xx"), (175, "g")],
    "a request that hangs until it is given up": [(115, "b"), (145, ""), (180, ""), (260, "xg")],
    "Alertmanager started anew while it tries": [(115, "bx"), (150, "R"), (155, "")],
    "Alertmanager started anew after its end, while it tries": [(115, "bx"), (145, "x"), (150, "R")],
    "first tried just after its end": [(138, ""), (141, ""), (150, "bx"), (200, "xg")],
    "Alertmanager started anew, then mails flow": [(115, "bx"), (150, "R"), (170, "bo")],
    "Alertmanager away at its end": [(101, ""), (160, "R")],
    "Alertmanager away at its end, and mails flow then": [(101, ""), (160, "Rbo")],
    "looked at only long after, all mended": [(95, ""), (1000, "bxxxgbo")],
}


@pytest.mark.parametrize("case", LOST)
def test_a_mail_that_was_given_up_after_the_outage_is_found(case: str) -> None:
    assert said(LOST[case], SHORT, now=5000) is Verdict.UNTOLD


TOLD: dict[str, list[Look]] = {
    "mailed at once": [(115, "bo"), (150, "bo"), (175, "")],
    "nothing to mail: over before group_wait": [(115, ""), (150, ""), (175, "")],
    "refused once, taken at the second try, between two looks": [(115, "bxo"), (150, "bo")],
    "refused once, taken at the second try, in two looks": [(112, "bx"), (117, "o"), (150, "bo")],
    "taken after the end, in the same flush": [(115, "bx"), (145, "xx"), (150, "o"), (155, "bo")],
    "mails flow again before the end": [(10, "bxx"), (70, "gbx"), (115, "bx"), (125, "oo"), (145, "")],
    "fails only after its own were taken": [(115, "bo"), (141, ""), (150, "bx"), (210, "g")],
    "fails long after": [(115, ""), (175, ""), (180, "bx"), (240, "g")],
    "slow, but taken": [(115, "b"), (145, ""), (180, "o")],
    "Alertmanager started anew while all is well": [(115, "bo"), (125, "R"), (150, "bo"), (175, "")],
    "Alertmanager away at its end, its mail taken before": [(115, "bo"), (160, "Rbo"), (175, "")],
    "Alertmanager started anew while all is well, then refused once": [
        (115, ""),
        (130, "R"),
        (138, "bx"),
        (145, "o"),
    ],
    "a mail to nobody counts as begun for ever": [(115, "bob"), (150, "b"), (175, ""), (445, "")],
}


@pytest.mark.parametrize("case", TOLD)
def test_an_outage_that_was_mailed_or_had_nothing_to_mail_is_never_untold(case: str) -> None:
    assert said(TOLD[case], SHORT, now=5000) is Verdict.TOLD


def test_nothing_is_said_while_the_mail_may_still_get_through() -> None:
    tries: list[Look] = [(115, "bx"), (145, "x")]
    for number in range(20):
        tries.append((175 + 30 * number, "x"))
        assert said(tries, SHORT) is Verdict.WAIT


def test_nothing_is_said_before_the_alert_can_have_ended() -> None:
    assert said([(115, "bo"), (145, "")], SHORT) is Verdict.WAIT


def test_tries_that_have_ceased_without_being_given_up_are_no_loss() -> None:
    assert said([(115, "bx"), (145, "")], SHORT, now=414) is Verdict.WAIT
    assert said([(115, "bx"), (145, "")], SHORT, now=416) is Verdict.TOLD


def test_an_alert_that_had_ended_before_its_incident_was_not_mailed_by_a_later_success() -> None:
    looks: list[Look] = [(105, "bx"), (126, "xg"), (133, "bo"), (142, "")]
    assert said(looks, replace(SHORT, alert_ended=True)) is Verdict.UNTOLD
    assert said(looks, SHORT, now=175) is Verdict.TOLD


def test_while_no_request_fails_no_outage_is_ever_untold() -> None:
    steps = ("", "b", "o", "bo", "bob", "bbo", "bobo")
    looks: list[Look] = [(5.0 * number, steps[number % len(steps)]) for number in range(1, 250)]
    found = flows(looks)
    for opened in range(0, 500, 7):
        for lasted in (1, 5, 9, 20, 61, 300):
            for early in (False, True):
                assert first_said(found, Ended(opened, opened + lasted, early)) is Verdict.TOLD


def test_what_was_given_up_early_in_a_long_outage_says_nothing_of_its_end() -> None:
    looks: list[Look] = [(115, "bx"), (175, "xg"), (200, "bo"), (995, "bx"), (1005, "o")]
    assert said(looks, Ended(100, 1000)) is Verdict.TOLD


def test_what_fails_long_after_says_nothing_of_an_outage_that_is_judged_late() -> None:
    last = flows([(115, ""), (175, ""), (180, "bx"), (240, "g")])[-1]
    assert first_said([last], SHORT) is Verdict.TOLD


def test_what_fails_now_is_known_until_a_success() -> None:
    assert flows([(10, "bx")])[-1].failing
    assert flows([(10, "bx"), (20, "R")])[-1].failing
    assert flows([(10, "bx"), (20, "box")])[-1].failing
    assert not flows([(10, "bx"), (20, "Rbo")])[-1].failing
    assert not flows([(10, "bo"), (20, "R")])[-1].failing
    assert not flows([(10, "bxo")])[-1].failing
