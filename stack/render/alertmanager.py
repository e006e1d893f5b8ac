"""alertmanager.yml: who is told what."""

from collections.abc import Iterator
from typing import Any

from core.sites import Document
from stack.alerting import (
    AlertingTop,
    MailTo,
    default_mail_to,
    site_mail_to,
    waits_by_default,
    waits_for_healing,
)
from stack.render.receivers import NOBODY_RECEIVER, Receivers
from stack.render.routes import PeopleRoutes, Route, Told, matcher, times
from stack.render.secrets import SecretFiles
from stack.settings import Endpoint, Settings

REMEDIATOR_RECEIVER = "remediator"

# The remediator's own reconciler is patient; what reaches it should be prompt. A flush of a group
# that has nothing new costs a look into the notification log. A repeat is cheap too (it is known by
# its site), and opens the incident again where fresh probes closed it and the outage goes on.
_WEBHOOK_GROUP_INTERVAL = "5s"
_WEBHOOK_REPEAT_INTERVAL = "5m"

# ContainerDown only wakes the remediator. Where the site passes its probes nothing comes of it, and each
# repeat would open an incident that is none.
_CONTAINER_REPEAT_INTERVAL = "1d"

# A repeat that is due just at a flush waits for the next one: with 1m for both, a beat came every 2 minutes.
_HEARTBEAT, _HEARTBEAT_REPEAT = "1m", "30s"

# What is silent here should not end meanwhile: an end that is inhibited is not mailed later, and what begins
# anew within `repeat_interval` counts as mailed already.
_SILENT_WHILE = {
    "SiteDown": ("SiteSlow", "SiteFlapping", "SiteErrorBudgetBurn", "ContainerDown", "ContainerUnhealthy"),
    "ExporterDown": ("ExporterStale", "ExporterProbesLate"),
    "RemediatorDown": ("RemediatorStale", "RemediatorNotReady"),
}

_SILENT_TOGETHER = (
    ("ContainerDown", ("ContainerUnhealthy", "ContainerHighCPU", "ContainerHighMemory"), ["server", "name"]),
    ("SiteDown", ("DockerUnreachable",), ["server"]),
)
"""The same where it is not one site that they have in common."""

_CERTIFICATE = "SiteCertificateExpiring"
_STAGES = ("first", "second", "last", "expired")
"""Of _CERTIFICATE: each takes the place of the one before, whose end is no news."""


def alertmanager_config(document: Document, settings: Settings, secrets: SecretFiles) -> dict[str, Any]:
    """Return the configuration as plain data; passwords stand in it as files only."""
    receivers = Receivers(settings, secrets)
    route = _route(document, receivers)
    return {
        **receivers.defaults(),
        "templates": ["templates/*.tmpl"],
        "route": route,
        "inhibit_rules": _inhibit_rules(),
        "receivers": [
            {"name": NOBODY_RECEIVER},
            {"name": REMEDIATOR_RECEIVER, "webhook_configs": [_webhook(settings.remediator, secrets)]},
            *receivers.configs(),
        ],
    }


def alertmanager_notes(document: Document, settings: Settings) -> Iterator[str]:
    """Tell in plain lines which mails nobody will get."""
    if settings.smtp is None:
        yield "No mails: SMTP_HOST is not set in .env. Everything else works."
        return
    if not default_mail_to(document).down:
        yield "Nobody is mailed about Sitemedic itself: set defaults.email in sites.yml."
    silent = [site.name for site in document.sites if not site_mail_to(site).down]
    if silent:
        more = f" and {len(silent) - 3} more" if len(silent) > 3 else ""
        yield f"Nobody is mailed about {', '.join(silent[:3])}{more}: no email in sites.yml."


def _route(document: Document, receivers: Receivers) -> Route:
    return {
        "receiver": NOBODY_RECEIVER,
        "group_by": ["alertname"],
        **times(document.top(AlertingTop).alerting.warning),
        "routes": [
            _to_remediator(_WEBHOOK_REPEAT_INTERVAL, matcher("alertname", "SiteDown")),
            _to_remediator(
                _CONTAINER_REPEAT_INTERVAL, matcher("alertname", "ContainerDown"), matcher("site", "", "!=")
            ),
            _watchdog(receivers.heartbeat()),
            *_everybody(document, receivers),
            *_mail(document, receivers),
        ],
    }


def _to_remediator(repeat: str, *matchers: str) -> Route:
    return {
        "receiver": REMEDIATOR_RECEIVER,
        "matchers": list(matchers),
        "group_by": ["alertname", "site"],
        "group_wait": "0s",
        "group_interval": _WEBHOOK_GROUP_INTERVAL,
        "repeat_interval": repeat,
        "continue": True,
    }


def _watchdog(heartbeat: str | None) -> Route:
    often = {"group_wait": "0s", "group_interval": _HEARTBEAT, "repeat_interval": _HEARTBEAT_REPEAT}
    return {
        "receiver": heartbeat or NOBODY_RECEIVER,
        "matchers": [matcher("alertname", "Watchdog")],
        **(often if heartbeat else {}),
    }


def _everybody(document: Document, receivers: Receivers) -> Iterator[Route]:
    """Yield the routes of the chat and the pager: what is mailed goes there too, whoever is mailed."""
    if (chat := receivers.chat()) is not None:
        # SiteOutageUntold tells of mails that were lost.
        yield _everything(
            document, chat, receivers.chat_once(), matcher("alertname", "SiteOutageUntold", "!=")
        )
    if (pager := receivers.pager()) is not None:
        yield _everything(document, pager, None, matcher("severity", "critical"))


def _everything(document: Document, receiver: str, once: str | None, matching: str) -> Route:
    default = Told(receiver, once, waits_by_default(document))
    people = PeopleRoutes(
        document, default, lambda site: Told(receiver, once, waits_for_healing(document, site))
    )
    return {"receiver": receiver, "matchers": [matching], "continue": True, "routes": people.routes()}


def _mail(document: Document, receivers: Receivers) -> list[Route]:
    def told(mail_to: MailTo, waits: bool) -> Told:
        return Told(receivers.of(mail_to), receivers.of(MailTo(mail_to.down, ())), waits)

    default = told(default_mail_to(document), waits_by_default(document))
    people = PeopleRoutes(
        document, default, lambda site: told(site_mail_to(site), waits_for_healing(document, site))
    )
    return people.routes()


def _inhibit_rules() -> list[dict[str, Any]]:
    """Return what is silent while something else says it; SiteDown is never silent.

    Its own webhook has woken the remediator by then: that ContainerDown is silent keeps nothing from healing.
    """
    while_it_fires = [
        (source, silent, ["site"] if source == "SiteDown" else []) for source, silent in _SILENT_WHILE.items()
    ]
    return [
        {
            "source_matchers": [matcher("alertname", source)],
            "target_matchers": [matcher("alertname", "|".join(silent), "=~")],
            **({"equal": equal} if equal else {}),
        }
        for source, silent, equal in [*while_it_fires, *_SILENT_TOGETHER]
    ] + [
        {
            "source_matchers": [matcher("alertname", _CERTIFICATE), matcher("stage", stage)],
            "target_matchers": [
                matcher("alertname", _CERTIFICATE),
                matcher("stage", "|".join(_STAGES[:number]), "=~"),
            ],
            "equal": ["site"],
        }
        for number, stage in enumerate(_STAGES[1:], 1)
    ]


def _webhook(remediator: Endpoint, secrets: SecretFiles) -> dict[str, Any]:
    return {
        "url": f"{remediator.url}/webhook/alertmanager",
        "send_resolved": True,
        "http_config": {
            "authorization": {"type": "Bearer", "credentials_file": secrets.webhook_token},
            "follow_redirects": False,
            **({"tls_config": {"insecure_skip_verify": True}} if remediator.tls else {}),
        },
    }
