"""How often and how long, in seconds: one place, so that tests and the demo can be quick."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """The remediator's own rhythm; what users set is in sites.yml under `remediation:`."""

    reconcile: float = 2.0
    """The reconciler looks at least this often, also when nothing woke it."""
    recheck: float = 5.0
    """An open incident that waits is looked at again after this."""
    idle_recheck: float = 15.0
    """The same for one that is only observed or with a human."""
    probe_spacing: float = 2.0
    """Fresh probes count as "in a row" only when they are this far apart."""
    passes: int = 2
    """Fresh probes in a row that prove a recovery."""
    lease_ttl: float = 60.0
    """A lease that is not renewed is free after this: longer than an act can take."""
    lead_ttl: float = 10.0
    """Of several remediators on one PostgreSQL, another takes over this long after the last sign of life."""
    ask_happened_after: float = 30.0
    """After an act of unknown outcome: longer than the act can go on by itself."""
    settle_within: float = 600.0
    prepare_within: float = 60.0
    act_within: float = 60.0
    """An act is done within this after it was decided on, or decided on anew: its facts have aged."""
    send_within: float = 10.0
    """An act is sent within this after its row was written: far below `lease_ttl`, so no other is at it."""
    abandoned_cooldown: float = 10.0
    probe_max_age: float = 10.0
    look_max_age: float = 120.0
    probe_timeout: float = 20.0
    sites_max_age: float = 2.0
    start_grace: float = 15.0
    """After its start the remediator only looks for this long: the world may still be coming up, too."""
    silences: float = 5.0
    """Alertmanager is asked for its silences this often; an answer holds for `silences_max_age`."""
    silences_max_age: float = 300.0
    storm_seen: float = 5.0
    """A storm that lasts is noted again this often."""
    foreign_event_age: float = 600.0
    """A Linode that somebody else has rebooted is left alone for this long."""
    readiness: float = 600.0
    """What healing needs is looked at this often, and `readiness_again` after it was found wrong."""
    readiness_again: float = 60.0
    readiness_begins: float = 15.0
    """The first look comes this long after the start: those who are asked may be starting too."""
    job_limit: float = 300.0
    """A job that runs longer than this no longer has its lease renewed."""
    notify: float = 60.0
    """What people are told is posted again this often; it ends by itself after `notify_lasts`."""
    notify_lasts: float = 300.0
    told_held: float = 60.0
    """What holds healing back is told once it has lasted for this long: no blink is."""
    told_failed: float = 120.0
    """A failed attempt is told for this long before the next one is: longer than `group_wait`, and a mail."""
    told_recovered: float = 600.0
    """What was healed is told for this long after its end."""
    storm_lasts: float = 60.0
    """A storm counts as over when it was not seen for this long."""
    mail_look: float = 5.0
    """Alertmanager's counters of mails are read this often."""
    mail_lag: float = 120.0
    """Between an incident's end and its alert's in Alertmanager, at most."""
    mail_quiet: float = 600.0
    """Without a failed mail for this long none is being tried any more: Alertmanager pauses 90 s at most."""
    mail_settles: float = 120.0
    """SiteOutageUntold counts as told no sooner than this after it was posted: `group_wait` and a retry."""
    digest_lasts: float = 900.0
    """SiteOutageUntold fires for this long after it counts as told: longer than its `group_wait`."""
    ended_shown: float = 900.0
    """`sitemedic_incident_info` shows an incident for this long after its end."""
    keep_notifications: float = 35 * 86400.0
