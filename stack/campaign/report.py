"""What a campaign has shown: counts out of the ledger, the invariants, and how to replay what broke."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from stack.campaign.accounts import ACCOUNTS
from stack.campaign.database import Book
from stack.campaign.history import History
from stack.campaign.invariants import CHECKS, Broken
from stack.campaign.ledger import Kind

MOST_TOLD = 10
HANDS_OFF = ("paused", "maintenance", "observed", "unwatched", "removed", "human", "silenced", "unapproved")


@dataclass(frozen=True)
class About:
    """Which campaign it was, and the command that replays it."""

    seed: int
    storage: str
    command: str
    note: str = ""


@dataclass(frozen=True)
class Report:
    """A campaign's ledger, summed up."""

    about: About
    seconds: float
    counts: dict[str, dict[str, int]]
    checked: dict[str, int]
    broken: tuple[Broken, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as it is written to a file."""
        broken = [{"invariant": one.invariant, "what": one.what, "at": one.at} for one in self.broken]
        return {
            **asdict(self.about),
            "seconds": round(self.seconds, 1),
            "counts": self.counts,
            "checked": self.checked,
            "broken": broken,
        }


def report(history: History, book: Book, about: About, over: bool = True) -> Report:
    """Check every invariant, and sum up; one that is not `over` has not ended every incident."""
    broken = [one for check in CHECKS.values() for one in check(history)]
    accounts = {name: one for name, one in ACCOUNTS.items() if over or name != "ends"}
    broken += [one for account in accounts.values() for one in account(history, book)]
    counts, checked = _counts(history, book), _checked(history, book)
    return Report(about, history.ledger.now(), counts, checked, tuple(broken))


def lines(found: Report, history: History) -> Iterator[str]:
    """Tell it to people."""
    about = found.about
    yield f"campaign of {found.seconds:.0f} s on {about.storage}, seed {about.seed}"
    for name, counted in found.counts.items():
        told = ", ".join(
            f"{what} {times}" for what, times in sorted(counted.items(), key=lambda one: -one[1])
        )
        yield f"  {name + ':':<15}{told or 'none'}"
    failed = {one.invariant for one in found.broken}
    yield "invariants, and how often they were put to the test:"
    for name, times in found.checked.items():
        yield f"  {'BROKEN' if name in failed else 'holds':<7}{name:<16}{times}"
    yield from (f"  BROKEN {name}" for name in sorted(failed - found.checked.keys()))
    if about.note:
        yield f"note: {about.note}"
    for one in found.broken[:MOST_TOLD]:
        yield f"\nBROKEN {one.invariant}: {one.what}"
        yield from (f"    {line}" for line in history.ledger.around(one.at, set(one.words)))
    if len(found.broken) > MOST_TOLD:
        yield f"\n… and {len(found.broken) - MOST_TOLD} more"
    if found.broken:
        yield f"\nreplay with: {about.command}"


def _counts(history: History, book: Book) -> dict[str, dict[str, int]]:
    ledger = history.ledger
    begun = [one for one in ledger.entries(Kind.OUTAGE) if one.detail["on"]]
    faults = [one for one in ledger.entries(Kind.FAULT) if one.detail["on"]]
    probes = ledger.entries(Kind.PROBE)
    return {
        "outages": Counter(one.subject for one in begun),
        "faults": Counter(one.subject for one in faults),
        "process": Counter(one.subject for one in ledger.entries(Kind.PROCESS)),
        "acts": Counter(one.what for one in history.effects),
        "attempts": Counter(f"{one['action']} {one['stage']}" for one in book.attempts),
        "incidents": Counter(str(one["outcome"] or one["state"]) for one in book.incidents),
        "probes": Counter("passed" if one.detail["passed"] else "failed" for one in probes),
        "notifications": {
            "accepted": len(ledger.entries(Kind.ACCEPTED)),
            "stored": sum(book.notifications.values()),
        },
        "told": Counter(one.detail["alert"] for one in ledger.entries(Kind.TOLD)),
    }


def _checked(history: History, book: Book) -> dict[str, int]:
    """Return how often each invariant was put to the test: acts, or what could have been broken."""
    effects, ledger = history.effects, history.ledger
    forbidden = Counter(one.why for spans in history.forbidden().values() for one in spans)
    acts = len(effects)
    return {
        "fresh_probe": acts,
        "attempt_budget": acts,
        "cooldown": acts,
        "max_unhealthy": acts,
        "canaries": acts,
        "server_lease": acts,
        "neighbours": sum(one.what == "reboot" for one in effects),
        "may_reboot": sum(one.power for one in effects),
        **{why: forbidden[why] for why in HANDS_OFF},
        "needs": forbidden["needs"],
        "host_key": sum(one.subject == "host_key" for one in ledger.entries(Kind.FAULT)) // 2,
        "once": acts,
        "accepted": len(ledger.entries(Kind.ACCEPTED)),
        "ends": len(book.incidents),
        "lives": len(ledger.entries(Kind.PROCESS)),
    }
