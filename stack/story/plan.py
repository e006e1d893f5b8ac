"""What should happen after each kind of break, in which order, and what would be wrong. Pure values."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """A step of the story, by the word that the timeline shows."""

    BROKEN = "broken"
    SEEN = "seen"
    ALERT = "alert firing"
    MAIL = "mail"
    INCIDENT = "incident"
    EVIDENCE = "evidence"
    ACTION = "action"
    PROVED = "proved healthy"
    MENDED = "mended"
    RESOLVED = "resolved"
    RESOLVED_MAIL = "resolved mail"


@dataclass(frozen=True)
class Plan:
    """What should happen after one kind of break.

    `actions`: the ways it may be healed, each a sequence of actions; empty: nothing may be touched, and the
    demo mends the site itself once it has watched that for a while. `server_answers`: SSH goes on working.
    """

    kind: str
    broken: str
    alert: str
    mail: str
    resolved_mail: str
    actions: tuple[tuple[str, ...], ...]
    server_answers: bool = True

    @property
    def heals(self) -> bool:
        """Tell whether the remediator is to act."""
        return bool(self.actions)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return every step that must happen."""
        if self.heals:
            return tuple(step for step in Step if step is not Step.MENDED)
        untouched = (Step.INCIDENT, Step.EVIDENCE, Step.ACTION, Step.PROVED)
        return tuple(step for step in Step if step not in untouched)


_DOWN = ("SiteDown", "[DOWN]", "[RECOVERED]")
_RESTARTED = (("restart_container",),)
PLANS: Mapping[str, Plan] = {
    plan.kind: plan
    for plan in (
        Plan("bad-response", "the shop answers 500 from now on", *_DOWN, actions=_RESTARTED),
        Plan(
            "unreachable",
            "the whole server hangs: neither its site nor SSH answers",
            *_DOWN,
            actions=(("reboot_linode",), ("reboot_linode", "restart_container")),
            server_answers=False,
        ),
        Plan("wrong-content", "the shop answers 200, but its content is gone", *_DOWN, actions=_RESTARTED),
        Plan("slow", "the shop answers rightly, but late", "SiteSlow", "[SLOW]", "[RESOLVED]", actions=()),
    )
}

AFTER: Mapping[Step, tuple[Step, ...]] = {
    Step.SEEN: (Step.BROKEN,),
    Step.ALERT: (Step.SEEN,),
    Step.MAIL: (Step.ALERT,),
    Step.INCIDENT: (Step.ALERT,),
    Step.EVIDENCE: (Step.INCIDENT,),
    Step.ACTION: (Step.EVIDENCE,),
    Step.PROVED: (Step.ACTION,),
    Step.MENDED: (Step.MAIL,),
    Step.RESOLVED: (Step.ALERT, Step.ACTION, Step.MENDED),
    Step.RESOLVED_MAIL: (Step.MAIL, Step.RESOLVED),
}
"""What must have happened before; only where both belong to the plan. The alert may end before the proof."""

LOGS: Mapping[Step, tuple[str, ...]] = {
    Step.BROKEN: ("machine",),
    Step.SEEN: ("exporter",),
    Step.ALERT: ("prometheus", "exporter"),
    Step.MAIL: ("alertmanager", "mailbox"),
    Step.INCIDENT: ("remediator", "alertmanager"),
    Step.EVIDENCE: ("remediator", "machine"),
    Step.ACTION: ("remediator",),
    Step.PROVED: ("remediator", "exporter"),
    Step.MENDED: ("machine",),
    Step.RESOLVED: ("prometheus", "exporter"),
    Step.RESOLVED_MAIL: ("alertmanager", "mailbox"),
}
"""Which service's log tells why a step is missing."""


def disorder(times: Mapping[Step, float], tolerance: float = 0.5) -> list[str]:
    """Return what happened before it could, in words; times in seconds.

    `tolerance` covers that some steps carry a service's own time and others that of our look at it.
    """
    return [
        f"{step} ({times[step]:.1f} s) came before {earlier} ({times[earlier]:.1f} s)"
        for step, needed in AFTER.items()
        for earlier in needed
        if step in times and earlier in times and times[step] + tolerance < times[earlier]
    ]
