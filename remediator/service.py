"""The remediator put together: store, exporter, policy, reconciler; and the reload of sites.yml."""

from __future__ import annotations

import logging
import secrets
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from core.faults import ConfigError
from core.files_watch import FileWatcher
from core.logs import fields
from core.secrets import Secret
from core.servers import connect
from core.sites import Document, Part, load
from core.web.live import LiveWebConfig
from remediator.acting.attempts import Attempts, Workshop
from remediator.actions import ACTIONS
from remediator.clients.alertmanager import AlertmanagerClient
from remediator.clients.exporter import ExporterClient
from remediator.clients.silences import Silences
from remediator.clock import SteadyClock
from remediator.configuration.policy import Policy, policy_of
from remediator.deciding.gather import Gatherer
from remediator.errors import StoreError
from remediator.intake.alerts import Payload
from remediator.intake.ingest import Taken, take
from remediator.metrics import Metrics
from remediator.model.action import Action, LinodeClient, Target, World
from remediator.model.seen import Look
from remediator.on_server.evidence import gather as gather_evidence
from remediator.readiness import Rounds, Surroundings
from remediator.reconciling.chores import Chores
from remediator.reconciling.housekeeping import Housekeeping
from remediator.reconciling.leadership import Alone, Lead, Leadership
from remediator.reconciling.reconcile import Reconciler
from remediator.store import attempts as store_attempts
from remediator.store.clock import DatabaseClock
from remediator.store.database import Store
from remediator.store.future import bring_back
from remediator.telling.digest import Digest
from remediator.telling.mail_watch import MailWatch
from remediator.telling.means import Means
from remediator.telling.notify import Notifier
from remediator.timing import Timing

log = logging.getLogger(__name__)
RELOAD_EVERY = 2.0
"""Seconds between two looks at the files of the configuration."""


@dataclass(frozen=True)
class Settings:
    """What the service is started with; `linode` None where there is no token.

    Without `console_password` nobody can sign in to the console.
    """

    config_file: Path
    parts: Sequence[Part]
    storage_url: str = field(repr=False)
    exporter_url: str
    alertmanager_url: str
    console_url: str
    webhook_token: Secret
    api_token: Secret
    console_password: Secret | None = None
    linode: LinodeClient | None = None
    own_containers: frozenset[str] = frozenset()
    timing: Timing = field(default_factory=Timing)
    actions: Mapping[str, Action] = field(default_factory=lambda: ACTIONS)
    look: Callable[[Target, World], Look] | None = None
    web: LiveWebConfig = field(default_factory=LiveWebConfig)
    """TLS and who may ask, where a web-config.yml says it."""
    now: Callable[[], float] = field(default_factory=SteadyClock)


class Remediator:
    """One remediator; start it, reload it, stop it."""

    def __init__(self, settings: Settings) -> None:
        """Read the configuration and open the store; raise ConfigError, StoreError or StoreUnusableError."""
        self.settings = settings
        self._document, self._policy = self._load()
        self.metrics = Metrics(settings.actions)
        self.metrics.console.labels(settings.console_url).set(1)
        self.store = Store(settings.storage_url)
        self._database_clock = DatabaseClock()
        self._prepare_store()
        self.exporter = ExporterClient(
            settings.exporter_url,
            settings.timing.probe_timeout,
            settings.now,
            partial(self.store.give_way, 0.01),
        )
        self._world = World(connect=connect, linode=settings.linode, now=settings.now)
        self._reloading = threading.Lock()
        self._watcher = FileWatcher(self._document.files)
        self._stopping = threading.Event()
        workshop = self._workshop()
        self._alertmanager = AlertmanagerClient(settings.alertmanager_url)
        self._silences = Silences(self._alertmanager, self.metrics, settings.timing, settings.now)
        self._housekeeping = Housekeeping(
            self.store, self.metrics, settings.timing, settings.now, lambda: self.reconciler.wake()
        )
        self.readiness = self._rounds()
        self.gatherer = self._gatherer()
        self.reconciler = Reconciler(Attempts(workshop), self.gatherer, self._chores(), self._lead(workshop))
        self.metrics.reload_ok.set(1)
        self.metrics.ready.set_function(lambda: float(self.ready() is None))
        self.metrics.web_ok.set_function(lambda: float(settings.web.successful))
        self.readiness.take(self._document)

    def policy(self) -> Policy:
        """Return the policy in force."""
        return self._policy

    def document(self) -> Document:
        """Return the sites.yml in force."""
        return self._document

    def silenced(self, site: str) -> bool | None:
        """Tell whether a silence of Alertmanager covers a site; None where that is not known."""
        return self._silences.covers(site)

    def start(self) -> None:
        """Start the reconciler and the watch over the configuration's files."""
        self.reconciler.start()
        threading.Thread(target=self._watch, name="reload", daemon=True).start()

    def stop(self, patience: float = 5.0) -> None:
        """Stop cleanly: what runs gets `patience` seconds, what waits is given back at once."""
        self._stopping.set()
        self.reconciler.stop(patience)
        self.store.close()

    def take(self, payload: Payload, body: bytes) -> Taken:
        """Store a notification with its incidents and wake the reconciler; raise StoreError."""
        taken = take(self.store, payload, body, self._policy.sites, self.settings.now())
        self.metrics.opened.inc(len(taken.opened))
        for _ in range(taken.unknown_sites):
            self.metrics.problem("unknown_site")
        if payload.truncatedAlerts:
            self.metrics.problem("truncated")
            log.warning("alertmanager left alerts out", extra=fields(truncated=payload.truncatedAlerts))
        self.reconciler.wake((*taken.opened, *taken.woken))
        return taken

    def reload(self) -> None:
        """Take sites.yml anew, all or nothing; raise ConfigError, whatever it was, and keep the old one."""
        with self._reloading:
            try:
                self._watcher.changed()  # what is written from here on is a change that follows
                document, policy = self._load()
                self.readiness.take(document)
                self._watcher.follow(document.files)
            except ConfigError as error:
                self._not_taken(error)
                raise
            except Exception as error:
                unforeseen = ConfigError.unforeseen(self.settings.config_file.name, error)
                self._not_taken(unforeseen, error)
                raise unforeseen from error
            self._document, self._policy = document, policy
            self.metrics.reload_ok.set(1)
        log.info("sites.yml taken", extra=fields(sites=len(policy.sites)))
        self.reconciler.wake()

    def _not_taken(self, error: ConfigError, cause: Exception | None = None) -> None:
        self.metrics.reload_ok.set(0)
        self.metrics.problem("reload")
        told = fields(faults=str(error))
        log.error("sites.yml not taken, the old one stays", extra=told, exc_info=cause)

    def ready(self) -> str | None:
        """Return why the service is not ready, None where it is."""
        if not self.reconciler.alive():
            return "the reconciler does not come to the end of its round"
        try:
            self.store.check_writable()
        except StoreError as error:
            return str(error)
        return None

    def _prepare_store(self) -> None:
        self.store.prepare()
        with self.store.write() as connection:
            if self.store.shared:
                self._database_clock.ask(connection)
                if isinstance(self.settings.now, SteadyClock):
                    self.settings.now.follow(self._database_clock.now)
            late = bring_back(connection, self.settings.now(), self.settings.timing.lease_ttl)
        if late:
            log.warning("times from the future: was the clock set?", extra=fields(rows=late))

    def _rounds(self) -> Rounds:
        settings = self.settings
        return Rounds(
            Surroundings(self.exporter, self._alertmanager, settings.linode),
            lambda: self._world,
            self._servers_at_work,
            self.metrics,
            settings.timing,
            settings.now,
        )

    def _gatherer(self) -> Gatherer:
        settings = self.settings
        return Gatherer(
            self.store,
            self.exporter,
            self.policy,
            lambda: self._world,
            self.metrics,
            settings.timing,
            settings.now,
            self.silenced,
        )

    def _lead(self, workshop: Workshop) -> Lead:
        """Let one remediator of the same database work at a time."""
        if not self.store.shared:
            return Alone()
        ttl = self.settings.timing.lead_ttl
        return Leadership(self.store, workshop.owner, ttl, self._database_clock, self.settings.now)

    def _load(self) -> tuple[Document, Policy]:
        document = load(self.settings.config_file, self.settings.parts)
        return document, policy_of(document, self.settings.timing, self.settings.own_containers)

    def _watch(self) -> None:
        while not self._stopping.wait(RELOAD_EVERY):
            self.settings.web.look()
            if self._watcher.changed():
                with suppress(ConfigError):  # told by reload; the next change is the next try
                    self.reload()

    def _servers_at_work(self) -> set[str]:
        """Return the servers that something is being done on now: nobody else looks at them meanwhile."""
        with self.store.read() as connection:
            return {attempt.server for attempt, _ in store_attempts.unfinished(connection)}

    def _chores(self) -> Chores:
        settings = self.settings
        means = Means(
            self.store,
            self._alertmanager,
            settings.console_url.rstrip("/"),
            self.policy,
            self.metrics,
            settings.timing,
            settings.now,
        )
        chores = {
            "tell": Notifier(means).tell,
            "mails": MailWatch(means, Digest(means)).look,
            "silences": self._silences.look,
            "resume": self._housekeeping.end_pauses,
            "show": self._housekeeping.show_incidents,
            "sites": lambda: self._housekeeping.note_sites(self._policy.sites),
            "forget": self._housekeeping.forget_notifications,
            "tidy": self._housekeeping.tidy,
            "readiness": self.readiness.look,
        }
        return Chores(chores, self.metrics, settings.now)

    def _workshop(self) -> Workshop:
        return Workshop(
            owner=f"{socket.gethostname()[:30]}-{secrets.token_hex(8)}",
            store=self.store,
            exporter=self.exporter,
            actions=self.settings.actions,
            policy=self.policy,
            world=lambda: self._world,
            look=self.settings.look or look,
            storm=lambda attempt, target: self.gatherer.storm(attempt, target),
            silenced=lambda site: self._silences.covers_now(site),
            metrics=self.metrics,
            timing=self.settings.timing,
            now=self.settings.now,
        )


def look(target: Target, world: World) -> Look:
    """Look at a server, touching nothing."""
    evidence = gather_evidence(target, world)
    return Look(time=world.now(), ssh=evidence.ssh, evidence=evidence.to_json())
