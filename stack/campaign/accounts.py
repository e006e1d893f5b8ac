"""What must be true between the ledger and the remediator's book, once all is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from remediator.model.incident import CLOSED, State
from stack.campaign.database import Book
from stack.campaign.history import Effect, History
from stack.campaign.invariants import Broken
from stack.campaign.ledger import Kind

END_WITHIN = 8.0
Account = Callable[[History, Book], Iterator[Broken]]


def accepted(history: History, book: Book) -> Iterator[Broken]:
    """Every notification that was answered with 2xx is in the database, as often as it was."""
    taken = Counter(one.subject for one in history.ledger.entries(Kind.ACCEPTED))
    for digest, times in taken.items():
        if book.notifications[digest] < times:
            what = (
                f"{times} times accepted, {book.notifications[digest]} times in the database: {digest[:12]}"
            )
            yield Broken("accepted", what, 0.0)


def opened(history: History, book: Book) -> Iterator[Broken]:
    """Every site that an accepted notification called down, while it was in sites.yml, got an incident."""
    known = {one["site"] for one in book.incidents}
    for one in history.ledger.entries(Kind.ACCEPTED):
        for site, how in one.detail["sites"].items():
            if how == "firing" and site in history.places and site not in known:
                yield Broken("accepted", f"{site} was told to be down, and has no incident", one.at)
    for site in known - history.places.keys():
        yield Broken("unknown", f"an incident of {site}, which sites.yml does not have", 0.0)


def once(history: History, book: Book) -> Iterator[Broken]:
    """Every effect has an attempt of its own: none was made twice, and none by nobody."""
    for server in sorted(set(history.places.values())):
        for power in (False, True):
            effects = [
                one
                for one in history.effects
                if one.server == server and one.power is power and one.what != "start"
            ]
            yield from _each_its_own(effects, _acted(book, server, power), server)


def _acted(book: Book, server: str, power: bool) -> list[dict[str, Any]]:
    return [
        one
        for one in book.attempts
        if one["server"] == server
        and one["acted_at"] is not None
        and (one["action"] in ("reboot_linode", "boot_linode")) is power
    ]


def _each_its_own(effects: list[Effect], attempts: list[dict[str, Any]], server: str) -> Iterator[Broken]:
    done = Counter(one.container for one in effects)
    meant = Counter("" if one["action"] != "restart_container" else one["target"] for one in attempts)
    for container, times in done.items():
        if times > meant[container]:
            words = frozenset({server, *(one.site for one in effects)})
            last = [one for one in effects if one.container == container][-1]
            what = f"{last}: done {times} times by {meant[container]} attempts"
            yield Broken("once", what, last.begin, words)


def ends(history: History, book: Book) -> Iterator[Broken]:
    """Every incident has ended, or a human has been told of it."""
    told = {
        one.detail["incident"]
        for one in history.ledger.entries(Kind.TOLD)
        if one.detail["alert"] == "SiteNeedsHuman"
    }
    for one in book.incidents:
        state = State(one["state"])
        if state in CLOSED or (state is State.NEEDS_HUMAN and str(one["id"]) in told):
            continue
        what = f"incident {one['id']} of {one['site']} is still {state}: {one['reason']} {one['detail']}"
        yield Broken("ends", what, 0.0, frozenset({one["site"], history.places.get(one["site"], "")}))
    for entry in history.ledger.entries(Kind.UNENDED):
        what = f"{entry.subject} in time: {entry.detail['outage']}"
        words = frozenset({entry.subject, history.places.get(entry.subject, "")})
        yield Broken("ends", f"not over {what}", entry.at, words)


def lives(history: History, _book: Book) -> Iterator[Broken]:
    """The remediator never ends by itself, and ends cleanly and quickly when it is asked to."""
    for one in history.ledger.entries(Kind.PROCESS):
        if one.subject == "ended" and not one.detail["excused"]:
            yield Broken("lives", f"the remediator ended by itself with {one.detail['code']}", one.at)
        late = one.subject == "stopped" and (one.detail["code"] != 0 or one.detail["seconds"] > END_WITHIN)
        if late:
            what = f"asked to end, it took {one.detail['seconds']} s and ended with {one.detail['code']}"
            yield Broken("lives", what, one.at)


ACCOUNTS: dict[str, Account] = {
    "accepted": accepted,
    "opened": opened,
    "once": once,
    "ends": ends,
    "lives": lives,
}
