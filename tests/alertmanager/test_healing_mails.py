"""How many mails healing makes: the remediator's notifier into a real Alertmanager and a mail server."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.sites import load
from remediator.actions import ACTIONS
from remediator.clients.alertmanager import AlertmanagerClient
from remediator.configuration.policy import policy_of
from remediator.metrics import Metrics
from remediator.model.holds import Answer
from remediator.model.incident import Decision, Outcome, Reason, Stage, State, Verb
from remediator.store import approvals as store_approvals
from remediator.store import attempts as store_attempts
from remediator.store import incidents as store_incidents
from remediator.store import storm as store_storm
from remediator.store.database import Store
from remediator.telling.means import Means
from remediator.telling.notify import Notifier
from remediator.timing import Timing
from stack.parts import PARTS
from tests.alertmanager_server import AlertmanagerServer, alertmanager_server
from tests.rendering import MAIL, rendered_from
from tests.smtp_server import Mail, Mailbox, smtp_server
from tests.waiting import until

pytestmark = pytest.mark.needs("prometheus-alertmanager")

INTERVAL = 2.0
MANY = 200
SITES = f"""
defaults: {{email: ops@acme.example}}
alerting:
  critical: {{group_wait: 500ms, group_interval: {INTERVAL:g}s, repeat_interval: 1h}}
  warning: {{group_wait: 1500ms, group_interval: {INTERVAL:g}s, repeat_interval: 1h}}
  shared_wait: 1s
remediation: {{mode: approve}}
servers: {{web-1: {{docker: local}}}}
sites:
  - {{name: www, url: "http://x/", recover: {{server: web-1, container: www}}}}
""" + "\n".join(
    f'  - {{name: s{number}, url: "http://x/", recover: {{server: web-1, container: c{number}}}}}'
    for number in range(MANY)
)
TIMING = Timing(notify=0.5, told_failed=6.0)


@dataclass
class Scene:
    """A remediator's rows, what it tells of them, and the mails that come of it."""

    folder: Path
    store: Store
    alertmanager: AlertmanagerServer
    mailbox: Mailbox
    notifier: Notifier

    def down(self, *sites: str, outage: str = "", alertname: str = "SiteDown", over: bool = False) -> None:
        """Have SiteDown fire, or end, as Prometheus does."""
        now = {"endsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())} if over else {}
        every = [
            {
                "labels": {
                    "alertname": alertname,
                    "severity": "critical",
                    "server": "web-1",
                    **({"site": site, "part_of": site} if site else {}),
                    "outage": outage or f"site:{site}",
                },
                "annotations": {"summary": f"{site}: answered 500", "since": "2026-01-02 03:04:05 UTC"},
                **now,
            }
            for site in sites
        ]
        self.alertmanager.post("/api/v2/alerts", every)

    def opened(self, *sites: str, outage: str = "") -> dict[str, int]:
        """Open an incident of each of these sites."""
        with self.store.write() as connection:
            wanted = {site: outage or f"site:{site}" for site in sites}
            return store_incidents.open_incidents(connection, wanted, time.time(), "SiteDown")

    def asks(self, numbers: Sequence[int]) -> None:
        """Ask a question in each of these incidents."""
        with self.store.write() as connection:
            for number in numbers:
                incident = store_incidents.get(connection, number)
                assert incident is not None
                why = Decision(Verb.ASK, Reason.APPROVAL_NEEDED, "waits for a person")
                store_incidents.move(connection, incident, State.AWAITING_APPROVAL, why, time.time())
                step = ("restart", "restart_container", "waits for a person")
                store_approvals.ask(connection, number, *step, time.time())

    def failed(self, numbers: Sequence[int]) -> None:
        """Have an attempt fail in each of these incidents."""
        now = time.time()
        with self.store.write() as connection:
            for number in numbers:
                incident = store_incidents.get(connection, number)
                assert incident is not None
                row = {
                    "incident_id": number,
                    "site": incident.site,
                    "server": "web-1",
                    "target": "c",
                    "action": "restart_container",
                    "step": "restart",
                    "stage": Stage.FAILED,
                    "fence": 1,
                    "created_at": now,
                    "stage_at": now,
                    "next_at": now,
                    "finished_at": now,
                    "marks": {},
                    "detail": "it died again",
                    "reason": "command_failed",
                }
                store_attempts.add(connection, row)
                store_incidents.change(connection, number, state=State.OPEN)

    def closes(self, numbers: Sequence[int]) -> None:
        """Have these incidents end."""
        with self.store.write() as connection:
            for number in numbers:
                incident = store_incidents.get(connection, number)
                assert incident is not None
                proved = Decision(Verb.CLOSE, Reason.PROVED, "2 fresh probes pass")
                store_incidents.close(connection, incident, Outcome.HEALED, proved, time.time())

    def tells(self, seconds: float) -> None:
        """Let the notifier look again and again, as the reconciler has it do."""
        stop = time.monotonic() + seconds
        while time.monotonic() < stop:
            self.notifier.tell()
            time.sleep(0.1)

    def wait(self, count: int) -> list[Mail]:
        """Return the mails once there are so many, telling meanwhile."""

        def enough() -> bool:
            self.notifier.tell()
            return len(self.mailbox.mails) >= count

        until(enough, 30, f"{count} mails ({self.subjects})")
        return self.mailbox.mails

    @property
    def subjects(self) -> list[str]:
        """Return the subjects so far."""
        return [mail.subject for mail in self.mailbox.mails]

    def settled(self) -> list[str]:
        """Let whatever is still on its way be mailed: two intervals, and a mail after them."""
        self.tells(2 * INTERVAL)
        self.alertmanager.fire({"alertname": "Last"}, summary="last")
        until(lambda: any("last" in subject for subject in self.subjects), 30, "the last mail")
        return [subject for subject in self.subjects if "last" not in subject]

    def killed(self) -> None:
        """Go on with a notifier that remembers nothing."""
        self.notifier = notifier(self.folder, self.store, self.alertmanager)


def notifier(folder: Path, store: Store, alertmanager: AlertmanagerServer) -> Notifier:
    policy = policy_of(load(folder / "sites.yml", PARTS), TIMING)
    client = AlertmanagerClient(alertmanager.url)
    console = "http://console.example"
    return Notifier(Means(store, client, console, lambda: policy, Metrics(ACTIONS), TIMING, time.time))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with smtp_server() as mailbox:
        environ = {**MAIL, "SMTP_PORT": str(mailbox.port)}
        config = rendered_from(tmp_path, SITES, environ).rendered.alertmanager
        store = Store(f"sqlite:///{tmp_path}/remediator.db")
        store.prepare()
        with alertmanager_server(config, tmp_path / "alertmanager") as alertmanager:
            yield Scene(tmp_path, store, alertmanager, mailbox, notifier(tmp_path, store, alertmanager))
        store.close()


def threads(mails: Sequence[Mail]) -> set[str]:
    return {str(mail.message["References"]) for mail in mails}


@pytest.mark.full
def test_from_down_over_a_question_and_a_failure_to_recovered_it_is_one_thread_of_few_mails(
    scene: Scene,
) -> None:
    scene.down("www")
    scene.wait(1)
    number = scene.opened("www")["www"]
    scene.asks([number])
    scene.wait(2)
    with scene.store.write() as connection:
        assert store_approvals.answer(connection, 1, Answer.APPROVED, "Ada", time.time(), 900)
    scene.failed([number])
    scene.wait(3)
    scene.killed()
    scene.tells(INTERVAL)
    scene.asks([number])
    scene.wait(4)
    scene.closes([number])
    scene.down("www", over=True)
    scene.wait(5)
    words = [subject.partition("]")[0] for subject in scene.settled()]
    assert words == ["[DOWN", "[APPROVE?", "[HEALING", "[APPROVE?", "[RECOVERED"]
    assert len(threads(scene.mailbox.mails[:5])) == 1


@pytest.mark.full
def test_two_hundred_incidents_of_a_server_are_a_few_mails(scene: Scene) -> None:
    names = [f"s{number}" for number in range(MANY)]
    numbers = list(scene.opened(*names, outage="server:web-1").values())
    scene.asks(numbers[:50])
    scene.wait(1)
    began = time.monotonic()
    scene.asks(numbers[50:])
    scene.wait(2)
    scene.failed(numbers)
    scene.tells(INTERVAL)
    subjects = scene.settled()
    took = time.monotonic() - began
    assert len(subjects) <= 2 + 2 * took / INTERVAL, subjects
    assert len(subjects) <= 8
    assert all("more" in subject for subject in subjects), subjects
    told = sum(one["labels"]["alertname"] == "SiteHealing" for one in scene.alertmanager.alerts())
    assert told == MANY, "one alert of each incident"


@pytest.mark.full
def test_a_storm_is_one_mail_that_says_that_nothing_is_healed(scene: Scene) -> None:
    five = ("s1", "s2", "s3", "s4", "s5")
    numbers = scene.opened(*five, outage="most-sites")
    detail = "5 of 6 sites are unhealthy, more than 50%"
    held = Decision(Verb.WAIT, Reason.TOO_MANY_UNHEALTHY, detail)
    with scene.store.write() as connection:
        for number in numbers.values():
            incident = store_incidents.get(connection, number)
            assert incident is not None
            store_incidents.keep_decision(connection, incident, held, time.time() - 700)
        store_storm.note_storm(connection, Reason.TOO_MANY_UNHEALTHY, detail, time.time())
    scene.down("", outage="most-sites", alertname="MostSitesDown")
    scene.down(*five, outage="most-sites")
    (mail,) = scene.wait(1)
    assert mail.subject.startswith("[IS IT US?]")
    assert "nothing is healed: 5 of 6 sites are unhealthy, more than 50%" in mail.body()
    scene.tells(INTERVAL)
    assert len(scene.subjects) == 1
    scene.closes(list(numbers.values()))
    scene.down("", outage="most-sites", alertname="MostSitesDown", over=True)
    scene.down(*five, outage="most-sites", over=True)
    scene.wait(2)
    assert [subject.partition("]")[0] for subject in scene.settled()] == ["[IS IT US?", "[RECOVERED"]
