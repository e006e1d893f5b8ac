"""Follow a load from look to look: what happened, and when, on one line of time. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from demo.stress.profiles import Profile
from demo.stress.told import Progress
from stack.story.seen import IncidentSeen, MailSeen
from stack.stress.seen import Look

_OVER = ("[RESOLVED]", "[RECOVERED]")


class Kind(StrEnum):
    """What a moment is about, by the word that the timeline shows."""

    LOAD = "load"
    SITE = "site"
    CONTAINER = "container"
    ALERT = "alert firing"
    RESOLVED = "resolved"
    MAIL = "mail"
    INCIDENT = "incident"
    ACTION = "action"
    HUMAN = "to a human"


@dataclass(frozen=True)
class Moment:
    """Something happened at a time; `alerts` names those that it is about."""

    time: float
    kind: Kind
    text: str
    alerts: tuple[str, ...] = ()


@dataclass
class Peak:
    """The most that a container has used: cores and bytes."""

    cpu: float = 0.0
    memory: int = 0
    memory_limit: int | None = None


@dataclass
class Timeline:
    """What has happened since `before` was looked at. Hand it one look after the other."""

    profile: Profile
    before: Look
    moments: list[Moment] = field(default_factory=list)
    peaks: dict[str, Peak] = field(default_factory=dict)
    last: Look = field(init=False)
    _known: set[object] = field(default_factory=set)
    _opened: set[int] = field(default_factory=set)
    _firing: set[tuple[str, str]] = field(default_factory=set)
    _failing: dict[str, str] = field(default_factory=dict)
    _mailed: int | None = None

    def __post_init__(self) -> None:
        self.last = self.before
        self._known |= {("mail", mail.id) for mail in self.before.mails or ()}
        self._known |= {("incident", one.id) for one in self.before.incidents or ()}
        self._known |= {("attempt", one.id) for all_ in self.before.incidents or () for one in all_.attempts}
        self._old_alerts = {one.key for one in self.before.alerts or () if one.firing}
        self._states = {one.name: one.state for one in self.before.containers or ()}
        self._mailed = self.before.mailed

    @property
    def firing(self) -> list[str]:
        """Return the alerts that the load has brought about and that fire now."""
        return sorted({name for name, _ in self._firing})

    @property
    def pending(self) -> bool:
        """Tell whether an alert is about to fire."""
        return any(not one.firing for one in self.last.alerts or ())

    @property
    def healing(self) -> bool:
        """Tell whether the remediator is still at work."""
        new = (one for one in self.last.incidents or () if one.id in self._opened)
        return any(one.closed_at is None and one.state != "needs_human" for one in new)

    @property
    def expected(self) -> list[str]:
        """Return the alerts that the profile leads to, less those that fired before it: these go on."""
        old = {one.name for one in self.before.alerts or () if one.firing}
        return [name for name in self.profile.expects if name not in old]

    @property
    def missing(self) -> list[str]:
        """Return what is expected and has not been seen: alerts, and their mails."""
        fired, mailed = self._named(Kind.ALERT), self._named(Kind.MAIL)
        absent = [name for name in self.expected if name not in fired]
        if self.before.mails is not None:
            absent += [f"a mail about {name}" for name in self.expected if name not in mailed]
        return absent

    def _named(self, kind: Kind) -> set[str]:
        return {name for moment in self.moments if moment.kind is kind for name in moment.alerts}

    def loaded(self, time: float, text: str) -> None:
        """Note what the load does."""
        self._add([Moment(time, Kind.LOAD, text)])

    def progressed(self, progress: Progress) -> None:
        """Note that all visitors are there."""
        if progress.users >= self.profile.users and "all there" not in self._known:
            self._known.add("all there")
            self.loaded(progress.at, f"all {progress.users} visitors are there")

    def take(self, look: Look) -> list[Moment]:
        """Return what is new in a look, in the order of its time."""
        self.last = look
        readers: tuple[Callable[[Look], Iterator[Moment]], ...] = (
            self._read_sites,
            self._read_containers,
            self._read_alerts,
            self._read_mails,
            self._read_incidents,
        )
        return self._add([moment for read in readers for moment in read(look)])

    def _add(self, moments: list[Moment]) -> list[Moment]:
        self.moments = sorted([*self.moments, *moments], key=lambda one: one.time)
        return sorted(moments, key=lambda one: one.time)

    def _read_sites(self, look: Look) -> Iterator[Moment]:
        for name, site in (look.sites or {}).items():
            state = "fails" if site.failing_since else "slow" if site.slow_since else ""
            if state == self._failing.get(name, ""):
                continue
            self._failing[name] = state
            since = max(site.failing_since or site.slow_since or look.time, self.before.time)
            why = {
                "fails": f"{name} fails: {site.detail or site.reason}",
                "slow": f"{name} answers late ({1000 * (site.duration or 0):.0f} ms)",
            }
            yield Moment(since, Kind.SITE, why.get(state, f"{name} answers as it should again"))

    def _read_containers(self, look: Look) -> Iterator[Moment]:
        for one in look.containers or ():
            peak = self.peaks.setdefault(one.name, Peak())
            peak.cpu, peak.memory = max(peak.cpu, one.cpu or 0.0), max(peak.memory, one.memory or 0)
            peak.memory_limit = one.memory_limit
            if one.state != self._states.get(one.name, one.state):
                yield Moment(look.time, Kind.CONTAINER, f"{one.name} is {one.state}")
            self._states[one.name] = one.state

    def _read_alerts(self, look: Look) -> Iterator[Moment]:
        if look.alerts is None:
            return
        firing = {one.key: one for one in look.alerts if one.firing}
        self._old_alerts &= set(firing)
        for key, one in firing.items():
            if key not in self._firing and key not in self._old_alerts:
                self._firing.add(key)
                told = f"{one.name}: {one.summary}" if one.summary else f"{one.name} {one.about}"
                yield Moment(look.time, Kind.ALERT, told, (one.name,))
        for name, about in [key for key in self._firing if key not in firing]:
            self._firing.discard((name, about))
            yield Moment(look.time, Kind.RESOLVED, f"{name} ({about})", (name,))

    def _read_mails(self, look: Look) -> Iterator[Moment]:
        for mail in look.mails or ():
            if self._is_new("mail", mail.id):
                text = f"“{mail.subject}” to {', '.join(mail.to)}"
                yield Moment(mail.received, Kind.MAIL, text, self._told_of(mail))
        if look.mailed is not None and self._mailed is not None and look.mailed > self._mailed:
            number = look.mailed - self._mailed
            yield Moment(look.time, Kind.MAIL, f"Alertmanager has sent {number} mail{'s' * (number > 1)}")
        self._mailed = look.mailed if look.mailed is not None else self._mailed

    def _told_of(self, mail: MailSeen) -> tuple[str, ...]:
        """Return the alerts whose beginning a mail tells: their runbooks' names stand in it."""
        if mail.subject.startswith(_OVER):
            return ()
        known = {*self.profile.expects, *self._named(Kind.ALERT), *(name for name, _ in self._firing)}
        return tuple(sorted(name for name in known if name in mail.subject or name in mail.text))

    def _read_incidents(self, look: Look) -> Iterator[Moment]:
        for incident in look.incidents or ():
            if self._is_new("incident", incident.id):
                self._opened.add(incident.id)
                text = f"the remediator opens incident {incident.id} about {incident.site}"
                yield Moment(incident.opened_at, Kind.INCIDENT, text)
            yield from self._read_incident(incident)

    def _read_incident(self, incident: IncidentSeen) -> Iterator[Moment]:
        for attempt in incident.attempts:
            if attempt.acted_at and self._is_new("attempt", attempt.id):
                yield Moment(attempt.acted_at, Kind.ACTION, f"{attempt.action} for {incident.site}")
        if incident.id not in self._opened:
            return
        if incident.state == "needs_human" and self._is_new("human", incident.id):
            text = f"{incident.site}: {incident.reason}: {incident.detail}"
            yield Moment(self.last.time, Kind.HUMAN, text)
        if incident.closed_at and self._is_new("closed", incident.id):
            text = f"incident {incident.id} ends: {incident.outcome}"
            yield Moment(incident.closed_at, Kind.INCIDENT, text)

    def _is_new(self, kind: str, number: int) -> bool:
        if (kind, number) in self._known:
            return False
        self._known.add((kind, number))
        return True
