"""The demo's story: break the site, print what happens as it happens, say whether it was right."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from stack.errors import StackError
from stack.promise import new_users_rhythm
from stack.story.plan import LOGS, Plan, Step
from stack.story.screen import Screen
from stack.story.seen import Snapshot
from stack.story.sources import Demo
from stack.story.watch import Before, Watch

EVERY = 0.15
"""Seconds between two looks at all services."""
QUIET = 4.0
"""Seconds that are watched on when all has happened, for what should not happen."""
READY_WITHIN = 90.0
"""Seconds until the demo must be healthy before it is broken."""


@dataclass
class Story:
    """One run of the story. Its only side effects are on the demo and on the screen."""

    demo: Demo
    plan: Plan
    screen: Screen
    timeout: float
    _last: Snapshot | None = field(default=None, init=False)

    def run(self) -> int:
        """Return 0 when everything that should have happened did, and nothing else; raises StackError."""
        with _alone(self.demo):
            before = self._wait_until_ready()
            self.screen.title(f"DEMO {self.plan.kind}", self.demo.running.urls)
            broken = False
            try:
                broken = True
                watch = Watch(self.plan, self.demo.site, self.demo.break_(self.plan.kind), before)
                self.screen.moment(watch.begin())
                self._follow(watch)
                broken = Step.RESOLVED in watch.missing
            except KeyboardInterrupt:
                self.screen.note("interrupted")
                return 1
            finally:
                if broken and self.demo.still_runs():
                    self._restore()
            return self._conclude(watch)

    def _wait_until_ready(self) -> Before:
        deadline = time.monotonic() + READY_WITHIN
        mended = False
        while True:
            seen = self.demo.snapshot()
            if seen.machine and (seen.machine.fault or seen.machine.power != "running") and not mended:
                self.screen.note("The demo is still broken from before: mending it first")
                self.demo.mend()
                mended = True
                continue
            if (reason := unready(seen, self.demo.site)) is None:
                return _before(seen)
            if time.monotonic() > deadline:
                raise StackError(
                    f"the demo is not healthy after {READY_WITHIN:g} s, so it was not broken: {reason}. "
                    f"Its logs: {self.demo.log('exporter').parent}"
                )
            self.screen.waiting(f"waiting for a healthy demo: {reason}")
            time.sleep(EVERY)

    def _follow(self, watch: Watch) -> None:
        deadline = time.monotonic() + self.timeout
        quiet_until: float | None = None
        while time.monotonic() < deadline:
            time.sleep(EVERY)
            self._last = seen = self.demo.snapshot()
            if seen.faults and not self.demo.still_runs():
                raise StackError("the demo was stopped meanwhile: start it again with ./sitemedic up")
            for moment in watch.take(seen):
                self.screen.moment(moment)
            if watch.problems:
                return
            pausing = watch.awaits_mending or not watch.missing
            quiet_until = (quiet_until or time.monotonic() + QUIET) if pausing else None
            self.screen.clock(seen.time, watch)
            if quiet_until is None or time.monotonic() < quiet_until:
                continue
            if not watch.missing:
                return
            self.demo.mend()
            self.screen.moment(watch.mended(self.demo.clock()))

    def _restore(self) -> None:
        try:
            self.demo.mend()
        except StackError as error:
            self.screen.note(f"The site could not be mended: {error}")
        else:
            self.screen.note("The demo's site was mended")

    def _conclude(self, watch: Watch) -> int:
        wrong = watch.verdict()
        for problem in wrong:
            self.screen.wrong(problem)
        if watch.missing and not watch.problems:
            self._tell_missing(watch)
        good = not wrong and not watch.missing
        promised = new_users_rhythm().break_to_action(self.plan.server_answers)
        self.screen.summary(good, summary(watch, promised))
        return 0 if good else 1

    def _tell_missing(self, watch: Watch) -> None:
        for step in watch.stuck_at:
            logs = ", ".join(str(self.demo.log(name)) for name in LOGS[step])
            self.screen.wrong(f"within {self.timeout:g} s there was no: {step}. Read {logs}")
        later = [step for step in watch.missing if step not in watch.stuck_at]
        if later:
            self.screen.wrong(f"and so neither: {', '.join(later)}")
        for fault in self._last.faults if self._last else ():
            self.screen.wrong(fault)
        incidents = self._last.incidents if self._last else ()
        if incidents and incidents[-1].closed_at is None and incidents[-1].decided:
            self.screen.note(f"The remediator's last decision: {incidents[-1].decided}")


def unready(seen: Snapshot, site: str) -> str | None:
    """Say why the demo cannot be broken now; None when it can."""
    if seen.faults:
        return seen.faults[0]
    assert seen.machine is not None
    assert seen.firing is not None
    assert seen.incidents is not None
    assert seen.mails is not None
    checks: tuple[tuple[Callable[[], bool], str], ...] = (
        (lambda: seen.machine is not None and seen.machine.fault is None, "the site is broken"),
        (lambda: seen.site is not None and seen.site.success is True, "the exporter sees the site fail"),
        (lambda: not any(about == site for _, about in seen.firing or ()), "an alert still fires"),
        (lambda: all(one.closed_at for one in seen.incidents or ()), "an incident is still open"),
        (lambda: not _mail_pending(seen, site), "the mail about its recovery is still to come"),
    )
    return next((reason for good, reason in checks if not good()), None)


def _mail_pending(seen: Snapshot, site: str) -> bool:
    about = [mail for mail in seen.mails or () if site in mail.subject]
    over = ("[RECOVERED]", "[RESOLVED]")
    return bool(about) and not about[-1].subject.startswith(over) and seen.time - about[-1].received < 15


def summary(watch: Watch, promised: float) -> str:
    """Say how long it took from the break to the action, and how long it may take a new user, in seconds."""
    with_defaults = f"with a new user's defaults: ≤ {promised:.0f} s"
    if (acted := watch.times.get(Step.ACTION)) is not None:
        return f"break → action {acted:.1f} s (demo timings); {with_defaults}"
    if not watch.plan.heals and Step.MAIL in watch.times:
        return f"break → mail {watch.times[Step.MAIL]:.1f} s (demo timings), and nothing was touched"
    return f"break → action: none (demo timings); {with_defaults}"


def _before(seen: Snapshot) -> Before:
    return Before(
        last_mail=max((mail.id for mail in seen.mails or ()), default=0),
        last_incident=max((one.id for one in seen.incidents or ()), default=0),
        firing=seen.firing or frozenset(),
        starts=seen.machine.starts if seen.machine else 0,
    )


@contextmanager
def _alone(demo: Demo) -> Iterator[None]:
    with (demo.home.data / "story.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(
                "another ./sitemedic demo is breaking this site: wait until it is done"
            ) from None
        yield
