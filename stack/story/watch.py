"""Follow one break from snapshot to snapshot: which steps have happened, and what should not have. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stack.story.plan import AFTER, Plan, Step, disorder
from stack.story.seen import AttemptSeen, IncidentSeen, SiteSeen, Snapshot

ALWAYS_FIRING = frozenset({"Watchdog"})
OF_HEALING = frozenset({"ContainerDown"})
"""What an act may bring about by itself: it stops the container, or the server boots without it."""
_UNHAPPY = ("failed", "abandoned")
_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\S+Z ")  # `docker logs --timestamps` puts one before each line


@dataclass(frozen=True)
class Moment:
    """Something happened `at` seconds after the break; `step` None: a remark that nothing waits for."""

    at: float
    step: Step | None
    text: str


@dataclass(frozen=True)
class Before:
    """What was there already when the site was broken: none of it belongs to the story."""

    last_mail: int
    last_incident: int
    firing: frozenset[tuple[str, str]]
    starts: int


class Watch:
    """The story so far. Hand it one snapshot after the other."""

    def __init__(self, plan: Plan, site: str, broken_at: float, before: Before) -> None:
        self.plan = plan
        self.times: dict[Step, float] = {}
        self.problems: list[str] = []
        self._site = site
        self.broken_at = broken_at
        self._before = before
        self._remarks: set[str] = set()
        self._known_mails: set[int] = set()

    @property
    def missing(self) -> tuple[Step, ...]:
        """Return the steps that have yet to happen."""
        return tuple(step for step in self.plan.steps if step not in self.times)

    @property
    def stuck_at(self) -> tuple[Step, ...]:
        """Return the missing steps that nothing else is missing before."""
        missing = self.missing
        return tuple(step for step in missing if not set(AFTER.get(step, ())) & set(missing))

    @property
    def awaits_mending(self) -> bool:
        """Tell whether all that a broken site causes has happened, and nobody is to heal it."""
        return Step.MENDED in self.missing and set(self.missing) <= {
            Step.MENDED,
            Step.RESOLVED,
            Step.RESOLVED_MAIL,
        }

    def verdict(self) -> list[str]:
        """Return everything that is wrong with the story as it is; nothing missing is told here."""
        return self.problems + disorder(self.times)

    def begin(self) -> Moment:
        """Tell of the break itself."""
        return self._step(Step.BROKEN, self.broken_at, self.plan.broken)

    def mended(self, at: float) -> Moment:
        """Tell that the demo has mended the site, which the remediator is right to leave alone."""
        return self._step(Step.MENDED, at, "by the demo itself: slowness is told, and nothing is restarted")

    def take(self, seen: Snapshot) -> list[Moment]:
        """Return what is new in a snapshot, in the order of its time."""
        readers: tuple[Callable[[Snapshot], Iterator[Moment]], ...] = (
            self._read_site,
            self._read_alerts,
            self._read_incidents,
            self._read_machine,
            self._read_mails,
        )
        moments = [moment for read in readers for moment in read(seen)]
        return sorted(moments, key=lambda moment: moment.at)

    def _read_site(self, seen: Snapshot) -> Iterator[Moment]:
        site = seen.site
        if site is None or Step.SEEN in self.times:
            return
        since = site.failing_since if self.plan.heals else site.slow_since
        if since and since > self.broken_at - 1.0:
            yield self._step(Step.SEEN, max(since, self.broken_at), _finding(site, self.plan.heals))

    def _read_alerts(self, seen: Snapshot) -> Iterator[Moment]:
        if seen.firing is None:
            return
        wanted = (self.plan.alert, self._site)
        if wanted in seen.firing and Step.ALERT not in self.times:
            opened = [one.opened_at for one in seen.incidents or () if one.id > self._before.last_incident]
            told = min([seen.time, *opened, *self._mailed(seen, Step.MAIL)])  # by these it had fired already
            yield self._step(Step.ALERT, told, f"Prometheus: {self.plan.alert}")
        for name, site in seen.firing - self._before.firing - {wanted}:
            if name not in ALWAYS_FIRING and not (name in OF_HEALING and self.plan.heals):
                self._problem(f"the alert {name} fires too" + (f" ({site})" if site else ""))
        if wanted not in seen.firing and Step.ALERT in self.times and Step.RESOLVED not in self.times:
            if self.plan.heals and Step.ACTION not in self.times:
                self._problem(f"{self.plan.alert} ended although nothing was done")
            elif self.plan.heals or Step.MENDED in self.times:
                ended = min([seen.time, *self._mailed(seen, Step.RESOLVED_MAIL)])
                yield self._step(Step.RESOLVED, ended, f"Prometheus: {self.plan.alert} has ended")

    def _read_mails(self, seen: Snapshot) -> Iterator[Moment]:
        for mail in seen.mails or ():
            if mail.id <= self._before.last_mail or mail.id in self._known_mails:
                continue
            self._known_mails.add(mail.id)
            step = self._step_of_mail(mail.subject)
            text = f"“{mail.subject}” to {', '.join(mail.to)}"
            if step is None:
                self._problem(f"an unexpected mail: {text}")
            elif step in self.times:
                self._problem(f"the same mail again: {text}")
            else:
                yield self._step(step, mail.received, text)

    def _mailed(self, seen: Snapshot, step: Step) -> list[float]:
        new = (mail for mail in seen.mails or () if mail.id > self._before.last_mail)
        return [mail.received for mail in new if self._step_of_mail(mail.subject) is step]

    def _step_of_mail(self, subject: str) -> Step | None:
        if self._site not in subject:
            return None
        if subject.startswith(self.plan.resolved_mail):
            return Step.RESOLVED_MAIL
        return Step.MAIL if subject.startswith(self.plan.mail) else None

    def _read_incidents(self, seen: Snapshot) -> Iterator[Moment]:
        for incident in seen.incidents or ():
            if incident.id <= self._before.last_incident:
                continue
            if not self.plan.heals:
                self._problem(f"incident {incident.id} was opened, though slowness is nothing to heal")
                continue
            if incident.site != self._site:
                self._problem(f"incident {incident.id} is about {incident.site}")
                continue
            yield from self._read_incident(incident, seen.time)

    def _read_incident(self, incident: IncidentSeen, now: float) -> Iterator[Moment]:
        if Step.INCIDENT not in self.times:
            yield self._step(
                Step.INCIDENT, incident.opened_at, f"the remediator opens incident {incident.id}"
            )
        elif f"incident {incident.id}" not in self._remarks:
            self._problem(f"a second incident, {incident.id}, was opened")
        self._remarks.add(f"incident {incident.id}")
        if (found := _first_evidence(incident)) and Step.EVIDENCE not in self.times:
            yield self._step(Step.EVIDENCE, found[0], describe_evidence(found[1]))
        yield from self._read_attempts(incident.attempts, now)
        if incident.state == "needs_human":
            self._problem(f"the remediator gives up and asks a human: {incident.reason}: {incident.detail}")
        if incident.state == "recovered" and incident.closed_at and Step.PROVED not in self.times:
            if incident.outcome != "healed":
                self._problem(f"the incident ended {incident.outcome}, not by what the remediator did")
            yield self._step(Step.PROVED, incident.closed_at, incident.detail or "fresh probes pass")

    def _read_attempts(self, attempts: tuple[AttemptSeen, ...], now: float) -> Iterator[Moment]:
        done = tuple(one.action for one in attempts)
        if not any(done == way[: len(done)] for way in self.plan.actions):
            self._problem(f"it was not to be healed like this: {', then '.join(done)}")
        for one in attempts:
            if one.acted_at and Step.ACTION not in self.times:
                yield self._step(Step.ACTION, one.acted_at, f"{one.action} on server demo")
            elif one.acted_at and one is not attempts[0]:
                yield from self._remark(f"attempt {one.id}", one.acted_at, f"then {one.action}")
            if one.stage in _UNHAPPY:
                self._problem(f"the attempt {one.action} {one.stage}: {one.detail}")
            elif one.stage == "verifying" and one.detail:
                yield from self._remark(f"settled {one.id}", now, one.detail)

    def _read_machine(self, seen: Snapshot) -> Iterator[Moment]:
        machine = seen.machine
        if machine is None or not self.plan.heals:
            return
        if machine.power == "booting":
            yield from self._remark("boots", seen.time, "the server boots")
        if machine.power == "running" and "boots" in self._remarks:
            yield from self._remark("booted", seen.time, "SSH is back; the container still has to be started")
        if machine.starts > self._before.starts and machine.container == "running":
            yield from self._remark("started", seen.time, "the container runs anew")

    def _step(self, step: Step, at: float, text: str) -> Moment:
        self.times[step] = at - self.broken_at
        return Moment(self.times[step], step, text)

    def _remark(self, key: str, at: float, text: str) -> Iterator[Moment]:
        if key not in self._remarks:
            self._remarks.add(key)
            yield Moment(at - self.broken_at, None, text)

    def _problem(self, text: str) -> None:
        if text not in self.problems:
            self.problems.append(text)


def _finding(site: SiteSeen, failing: bool) -> str:
    if failing:
        return f"by the exporter: {site.reason}" + (f" ({site.detail})" if site.detail else "")
    took = f"{site.duration:.2f} s" if site.duration else "too long"
    return f"by the exporter: it took {took}"


def _first_evidence(incident: IncidentSeen) -> tuple[float, Mapping[str, Any]] | None:
    kept = [(one.created_at, one.evidence) for one in incident.attempts if one.evidence]
    found = [*incident.looks, *((float(evidence.get("time") or at), evidence) for at, evidence in kept)]
    return min(found, key=lambda one: one[0]) if found else None


def describe_evidence(evidence: Mapping[str, Any]) -> str:
    """Say in a line what was found on the server before anything was touched."""
    words = [f"SSH {'lets us in' if evidence.get('ssh') == 'ok' else evidence.get('ssh') or 'not asked'}"]
    if container := evidence.get("container"):
        words.append(f"container {container.get('status')}")
        if container.get("status") != "running":
            words[-1] += f" (exit status {container.get('exit_code')})"
    linode = evidence.get("linode")
    if linode and evidence.get("ssh") != "ok":
        words.append(f"Linode {linode.get('status')}")
    if tail := evidence.get("log_tail"):
        words.append(f"last logged: {_STAMP.sub('', str(tail[-1]))[:70]}")
    return ", ".join(words)
