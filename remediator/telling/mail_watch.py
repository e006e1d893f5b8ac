"""Finds the outages that nobody could be mailed about, and has them told once mails get through again.

A look: read Alertmanager's counters, keep what they say, judge what has ended, post the digest. All of it is
in the database, so that a crash between any two steps loses nothing.
"""

from __future__ import annotations

import logging
import time

from core.logs import fields
from remediator.acting.attempts import PATIENCE
from remediator.errors import AlertmanagerError
from remediator.model.incident import Incident
from remediator.model.mail_flow import (
    Ended,
    MailCounts,
    Mailed,
    MailFlow,
    Patience,
    Verdict,
    after_look,
    first_look,
    judge,
)
from remediator.store import mail as store_mail
from remediator.telling.digest import Digest
from remediator.telling.means import Means

log = logging.getLogger(__name__)
KEPT_EVERY = 60.0
"""Seconds after which a look is written down although it has shown nothing new."""
APART = 0.1
"""Seconds between two readings of a success: its counters are not read at one moment."""


class MailWatch:
    """Looks whether mails get through."""

    def __init__(self, means: Means, digest: Digest) -> None:
        self._with = means
        self._digest = digest
        self._flow: MailFlow | None = None
        self._kept_at = 0.0
        self._away = False

    def look(self) -> float:
        """Look once; return the seconds until the next look."""
        try:
            before = self._flow or self._kept()
            counts = self._read(before)
            if counts is None:
                self._nobody_is_mailed(before)
            else:
                self._digest.tell(self._take(before, counts))
            self._away = False
        except AlertmanagerError as error:
            if not self._away:
                self._with.metrics.problem("alertmanager")
                log.warning("mails cannot be watched", extra=fields(reason=str(error)))
            self._away = True
        return self._with.timing.mail_look

    def _kept(self) -> MailFlow | None:
        with self._with.store.read() as connection:
            return store_mail.flow_of(connection)

    def _read(self, before: MailFlow | None) -> MailCounts | None:
        counts = self._with.client.mail_counts()
        if counts is None or before is None or counts.taken <= before.counts.taken:
            return counts
        time.sleep(APART)
        again = self._with.client.mail_counts()
        return again if again is None or again.taken <= counts.taken else counts

    def _take(self, before: MailFlow | None, counts: MailCounts) -> MailFlow:
        """Return what is known now, after keeping it together with what it says of ended incidents."""
        now = self._with.now()
        flow = first_look(counts, now) if before is None else after_look(before, counts, now)
        told, untold = self._judge(flow, now)
        news = before is None or before.counts != counts or now - self._kept_at >= KEPT_EVERY
        if news or told or untold:
            with self._with.store.write(PATIENCE) as connection:
                store_mail.keep_flow(connection, flow)
                store_mail.mark(connection, told, Mailed.TOLD, now)
                store_mail.mark(connection, untold, Mailed.UNTOLD, now)
            self._kept_at = now
        for one in untold:
            log.warning("nobody could be mailed", extra=fields(site=one.site, incident=one.id))
        self._flow = flow
        return flow

    def _judge(self, flow: MailFlow, now: float) -> tuple[list[Incident], list[Incident]]:
        """Return the ended incidents that people were mailed about, and those that they were not."""
        patience = Patience(self._with.timing.mail_lag, self._with.timing.mail_quiet)
        with self._with.store.read() as connection:
            unclear = store_mail.with_mails(connection, Mailed.UNCLEAR)
        verdicts = [(one, judge(flow, _ended(one), now, patience)) for one in unclear]
        told = [one for one, verdict in verdicts if verdict is Verdict.TOLD]
        return told, [one for one, verdict in verdicts if verdict is Verdict.UNTOLD]

    def _nobody_is_mailed(self, before: MailFlow | None) -> None:
        """Have no incident count as untold where Alertmanager has nobody to mail to."""
        self._flow = None
        self._with.metrics.untold.set(0)
        with self._with.store.read() as connection:
            unclear = store_mail.with_mails(connection, Mailed.UNCLEAR)
        if before is not None or unclear:
            with self._with.store.write(PATIENCE) as connection:
                store_mail.forget_flow(connection)
                store_mail.mark(connection, unclear, Mailed.TOLD, self._with.now())


def _ended(incident: Incident) -> Ended:
    assert incident.closed_at is not None
    return Ended(incident.opened_at, incident.closed_at, incident.alert_status == "resolved")
