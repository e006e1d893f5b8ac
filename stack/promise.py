"""How long an outage may last before something is done, at the most: worked out from a configuration.

The worst case, step by step, for a site that breaks right after a probe:

    interval                        the next probe comes
    max(after, timeout + scrape)    it must fail for `alert.after`, and Prometheus must have read that
    evaluation                      Prometheus looks at its rules this often
    notify                          Alertmanager tells the remediator: after `group_wait`, or after
                                    `group_interval` where it told it of this site just before
    reconcile                       the remediator looks at its incidents at least this often
    2 × timeout                     a fresh probe must fail before the decision, and another before the act
    look                            only where SSH does not answer either: it is tried before the decision,
                                    and what it finds is the evidence
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from core.durations import parse_duration
from core.servers.ssh import WHOLE_CONNECT_SECONDS
from core.sites import Document, load
from exporter.configuration import default_timeout
from exporter.site_options import SiteOptions
from remediator.timing import Timing
from stack.parts import PARTS
from stack.render.alertmanager import REMEDIATOR_RECEIVER, alertmanager_config
from stack.render.prometheus import prometheus_config
from stack.render.secrets import SecretFiles
from stack.settings import Settings, load_settings

_NEW_USERS = "sites:\n  - {name: shop, url: 'http://127.0.0.1/'}\n"


@dataclass(frozen=True)
class Rhythm:
    """The times that add up, in seconds."""

    interval: float
    timeout: float
    after: float
    scrape: float
    evaluation: float
    notify: float
    reconcile: float
    look: float

    def break_to_action(self, server_answers: bool = True) -> float:
        """Return the longest time from the break to the action."""
        alerting = max(self.after, self.timeout + self.scrape) + self.evaluation + self.notify
        looking = 0.0 if server_answers else self.look
        return self.interval + alerting + self.reconcile + 2 * self.timeout + looking


def rhythm(document: Document, settings: Settings, site: str) -> Rhythm:
    """Return the times of a site, read from what would be rendered and run."""
    found = document.site(site)
    assert found is not None
    options = found.part(SiteOptions)
    prometheus = prometheus_config(document, settings)["global"]
    alertmanager = alertmanager_config(document, settings, SecretFiles(Path("secrets")))
    routes = alertmanager["route"]["routes"]
    webhook = next(route for route in routes if route["receiver"] == REMEDIATOR_RECEIVER)
    return Rhythm(
        interval=options.interval,
        timeout=options.timeout or default_timeout(options.interval),
        after=options.alert.after,
        scrape=parse_duration(prometheus["scrape_interval"]),
        evaluation=parse_duration(prometheus["evaluation_interval"]),
        notify=max(parse_duration(webhook["group_wait"]), parse_duration(webhook["group_interval"])),
        reconcile=Timing().reconcile,
        look=WHOLE_CONNECT_SECONDS,
    )


def new_users_rhythm() -> Rhythm:
    """Return the times of a new user, who sets a site's name and address and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sites.yml"
        path.write_text(_NEW_USERS, encoding="utf-8")
        document = load(path, PARTS)
        settings = load_settings({}, Path(folder) / "data")
        return rhythm(document, settings, "shop")
