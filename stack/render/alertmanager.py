"""alertmanager.yml: who is told what."""

from collections.abc import Iterator
from typing import Any

from core.sites import Document
from stack.alerting import AlertingTop, default_mail_to, site_mail_to
from stack.render.files import prometheus_duration
from stack.render.receivers import NOBODY_RECEIVER, Receivers
from stack.render.routes import matcher, site_routes
from stack.render.secrets import SecretFiles
from stack.settings import Endpoint, Settings, Smtp

REMEDIATOR_RECEIVER = "remediator"

# The remediator's own reconciler is patient; what reaches it should be prompt. A flush of a group
# that has nothing new costs a look into the notification log. A repeat is cheap too (it is known by
# its site), and opens the incident again where fresh probes closed it and the outage goes on.
_WEBHOOK_GROUP_INTERVAL = "5s"
_WEBHOOK_REPEAT_INTERVAL = "5m"


def alertmanager_config(document: Document, settings: Settings, secrets: SecretFiles) -> dict[str, Any]:
    """Return the configuration as plain data; passwords stand in it as files only."""
    receivers = Receivers(settings, secrets)
    route = _route(document, receivers)
    return {
        **({"global": _smtp(settings.smtp, secrets)} if settings.smtp else {}),
        "templates": ["templates/*.tmpl"],
        "route": route,
        "inhibit_rules": [
            {
                "source_matchers": [matcher("alertname", "SiteDown")],
                "target_matchers": [matcher("alertname", "SiteSlow")],
                "equal": ["site"],
            },
            {
                "source_matchers": [matcher("alertname", "ExporterDown")],
                "target_matchers": [matcher("alertname", "ExporterStale")],
            },
        ],
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


def _route(document: Document, receivers: Receivers) -> dict[str, Any]:
    patience = document.top(AlertingTop).alerting
    default = receivers.of(default_mail_to(document))
    return {
        "receiver": default,
        "group_by": ["alertname", "part_of"],
        "group_wait": prometheus_duration(patience.group_wait),
        "group_interval": prometheus_duration(patience.group_interval),
        "repeat_interval": prometheus_duration(patience.repeat_interval),
        "routes": [
            {
                "receiver": REMEDIATOR_RECEIVER,
                "matchers": [matcher("alertname", "SiteDown")],
                "group_by": ["alertname", "site"],
                "group_wait": "0s",
                "group_interval": _WEBHOOK_GROUP_INTERVAL,
                "repeat_interval": _WEBHOOK_REPEAT_INTERVAL,
                "continue": True,
            },
            {"receiver": NOBODY_RECEIVER, "matchers": [matcher("alertname", "Watchdog")]},
            *site_routes(document, receivers, default),
            # A route of its own, since the root's receiver is for what no child has matched: after
            # the remediator's, that would be nobody.
            {"receiver": default},
        ],
    }


def _smtp(smtp: Smtp, secrets: SecretFiles) -> dict[str, Any]:
    login = {"smtp_auth_username": smtp.username, "smtp_auth_password_file": secrets.smtp_password}
    return {
        "smtp_smarthost": smtp.server.address,
        "smtp_from": smtp.sender,
        "smtp_require_tls": smtp.tls == "starttls",
        **(login if smtp.username else {}),
    }


def _webhook(remediator: Endpoint, secrets: SecretFiles) -> dict[str, Any]:
    return {
        "url": f"{remediator.url}/webhook/alertmanager",
        "send_resolved": True,
        "http_config": {
            "authorization": {"type": "Bearer", "credentials_file": secrets.webhook_token},
            "follow_redirects": False,
        },
    }
