"""Each invariant sees what breaks it in a ledger, and lets the same pass where it is allowed."""

from collections import Counter

import pytest

from stack.campaign.accounts import ACCOUNTS
from stack.campaign.database import Book
from stack.campaign.history import History
from stack.campaign.invariants import CHECKS
from stack.campaign.ledger import Kind, Ledger

PLACES = {f"web-{number:02}-{letter}": f"web-{number:02}" for number in range(1, 31) for letter in "abc"}
SITE, SERVER = "web-05-a", "web-05"


class Story(Ledger):
    """A ledger whose times are told."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 100.0

    def now(self) -> float:
        return self.at

    def down(self, *sites: str, at: float = 100.0, reason: str | None = "status") -> None:
        self.at = at
        for site in sites or (SITE,):
            self.add(Kind.SEEN, site, reason=reason)

    def probe(self, at: float, passed: bool = False, site: str = SITE) -> None:
        self.at = at
        self.add(Kind.PROBE, site, passed=passed)

    def act(self, begin: float, end: float, what: str = "restart", container: str = "app-a") -> None:
        site = "" if what in ("reboot", "boot") else f"{SERVER}-{container[-1]}"
        for at, ended in ((begin, False), (end, True)):
            self.at = at
            told = {"what": what, "container": "" if not site else container, "ended": ended}
            self.add(Kind.EFFECT, SERVER, **(told if ended else {**told, "site": site}))

    def restart(self, begin: float, container: str = "app-a") -> None:
        """One with a probe that failed just before."""
        self.probe(begin - 0.5, site=f"{SERVER}-{container[-1]}")
        self.act(begin, begin + 0.7, container=container)

    def forbid(self, at: float, why: str, on: bool = True) -> None:
        self.at = at
        self.add(Kind.FORBIDDEN, SITE, why=why, on=on, at_once=False)

    def canaries(self, at: float, answering: bool) -> None:
        self.at = at
        self.add(Kind.CANARIES, "all", answering=answering)

    def broken(self) -> set[str]:
        history = History(self, PLACES)
        return {one.invariant for check in CHECKS.values() for one in check(history)}


@pytest.fixture
def story() -> Story:
    return Story()


def test_a_restart_after_a_failed_probe_breaks_nothing(story: Story) -> None:
    story.down()
    story.restart(102)
    assert story.broken() == set()


def test_an_act_without_a_probe_is_seen(story: Story) -> None:
    story.down()
    story.act(102, 103)
    assert story.broken() == {"fresh_probe"}


def test_an_act_after_a_probe_that_passed_is_seen(story: Story) -> None:
    story.down()
    story.probe(101)
    story.probe(101.5, passed=True)
    story.act(102, 103)
    assert story.broken() == {"fresh_probe"}


def test_an_act_long_after_its_probe_is_seen(story: Story) -> None:
    story.down()
    story.probe(101)
    story.act(115, 116)
    assert story.broken() == {"fresh_probe"}


def test_one_act_more_than_the_budget_is_seen(story: Story) -> None:
    story.down()
    for begin in (102, 122, 142):
        story.restart(begin)
    assert story.broken() == set()
    story.restart(162)
    assert story.broken() == {"attempt_budget"}


def test_an_act_before_the_cooldown_is_over_is_seen(story: Story) -> None:
    story.down()
    story.restart(102)
    story.restart(105)
    assert story.broken() == {"cooldown"}


def test_an_act_in_a_storm_is_seen_and_one_where_a_server_holds_all_that_fails_is_not(story: Story) -> None:
    story.down(*list(PLACES)[:50])
    story.restart(102)
    assert story.broken() == {"max_unhealthy"}


def test_an_act_that_was_decided_on_before_the_storm_is_none_in_it(story: Story) -> None:
    story.down(SITE)
    story.down(*[site for site in list(PLACES)[:50] if site != SITE], at=101.5)
    story.restart(102)
    assert story.broken() == set()


def test_an_act_while_no_canary_answers_is_seen(story: Story) -> None:
    story.canaries(100, False)
    story.down()
    story.restart(102)
    assert story.broken() == {"canaries"}
    story.canaries(103, True)
    assert story.broken() == {"canaries"}


def test_two_acts_at_once_on_one_server_are_seen(story: Story) -> None:
    story.down(SITE, f"{SERVER}-b")
    story.probe(101, site=f"{SERVER}-b")
    story.probe(101)
    story.at = 102
    for letter in "ab":
        told = {"what": "restart", "container": f"app-{letter}", "site": f"{SERVER}-{letter}"}
        story.add(Kind.EFFECT, SERVER, **told, ended=False)
    story.at = 103
    for letter in "ab":
        story.add(Kind.EFFECT, SERVER, what="restart", container=f"app-{letter}", ended=True)
    assert story.broken() == {"server_lease"}


def test_a_reboot_under_a_neighbour_that_is_well_is_seen_and_one_where_all_fail_is_not(story: Story) -> None:
    story.down(SITE, f"{SERVER}-b")
    story.probe(101)
    story.act(102, 104, "reboot")
    assert story.broken() == {"neighbours"}
    story.down(f"{SERVER}-c", at=101)
    assert story.broken() == set()


def test_a_boot_that_is_not_allowed_is_seen(story: Story) -> None:
    sites = [f"web-20-{letter}" for letter in "abc"]
    story.down(*sites)
    story.probe(101, site=sites[0])
    story.at = 102
    story.add(Kind.EFFECT, "web-20", what="boot", container="", site="", ended=False)
    assert story.broken() == {"may_reboot"}


@pytest.mark.parametrize("why", ["paused", "maintenance", "silenced", "observed", "removed", "unapproved"])
def test_an_act_on_what_must_not_be_touched_is_seen(why: str, story: Story) -> None:
    story.forbid(99, why)
    story.down()
    story.restart(102)
    story.forbid(104, why, on=False)
    assert story.broken() == {why}


def test_an_act_that_was_under_way_when_it_was_forbidden_is_none(story: Story) -> None:
    story.down()
    story.forbid(101.9, "paused")
    story.restart(102)
    assert story.broken() == set()


def test_a_login_at_a_changed_host_key_is_seen(story: Story) -> None:
    story.add(Kind.COMMAND, SERVER, line="(login)", fault="key_changed")
    assert story.broken() == {"host_key"}


def accounts(story: Story, book: Book) -> set[str]:
    history = History(story, PLACES)
    return {one.invariant for account in ACCOUNTS.values() for one in account(history, book)}


def attempt(**values: object) -> dict[str, object]:
    usual = {"server": SERVER, "target": "app-a", "action": "restart_container", "acted_at": 1.0}
    return {**usual, **values}


def test_an_effect_that_no_attempt_accounts_for_is_seen(story: Story) -> None:
    story.restart(102)
    story.restart(120)
    assert accounts(story, Book([], [attempt(), attempt()], Counter())) == set()
    assert accounts(story, Book([], [attempt()], Counter())) == {"once"}


def test_a_notification_that_was_accepted_and_is_not_stored_is_seen(story: Story) -> None:
    story.add(Kind.ACCEPTED, "digest", sites={})
    assert accounts(story, Book([], [], Counter({"digest": 1}))) == set()
    assert accounts(story, Book([], [], Counter())) == {"accepted"}


def test_a_site_that_was_told_to_be_down_and_has_no_incident_is_seen(story: Story) -> None:
    story.add(Kind.ACCEPTED, "digest", sites={SITE: "firing"})
    assert accounts(story, Book([], [], Counter({"digest": 1}))) == {"accepted"}


def test_an_incident_that_nobody_has_is_seen(story: Story) -> None:
    row = {"id": 7, "site": SITE, "state": "needs_human", "reason": None, "detail": ""}
    assert accounts(story, Book([row], [], Counter())) == {"ends"}
    story.add(Kind.TOLD, SITE, alert="SiteNeedsHuman", incident="7")
    assert accounts(story, Book([row], [], Counter())) == set()


def test_a_remediator_that_ends_by_itself_is_seen(story: Story) -> None:
    story.add(Kind.PROCESS, "ended", code=1, excused=True)
    assert accounts(story, Book([], [], Counter())) == set()
    story.add(Kind.PROCESS, "ended", code=1, excused=False)
    assert accounts(story, Book([], [], Counter())) == {"lives"}
