"""The receivers beside mail, as Alertmanager's configuration."""

from typing import Any

from stack.receivers import WebAddress
from stack.render.ntfy import MOST_ALERTS
from stack.render.secrets import SecretFiles
from stack.settings import Settings

_SUBJECT = '{{ template "sitemedic.subject" . }}'
_SHORT = '{{ template "sitemedic.short" . }}'
_COLOR = (
    '{{ if eq .Status "resolved" }}good{{ else if eq .CommonLabels.severity "critical" }}danger'
    "{{ else }}warning{{ end }}"
)


def chat_configs(settings: Settings, secrets: SecretFiles, ends: bool = True) -> dict[str, Any]:
    """Return the configurations of every chat and webhook that is set, by integration."""
    given = settings.receivers
    webhooks = []
    if given.ntfy:
        webhooks.append(_post(given.ntfy, "ntfy", settings, secrets) | {"max_alerts": MOST_ALERTS})
    if given.webhook:
        webhooks.append(_post(given.webhook, "webhook", settings, secrets))
    found = {
        "slack_configs": [_slack(settings, secrets)] if given.slack else [],
        "telegram_configs": [_telegram(settings, secrets)] if given.telegram else [],
        "webhook_configs": webhooks,
    }
    return {
        integration: [{**config, "send_resolved": ends} for config in configs]
        for integration, configs in found.items()
        if configs
    }


def pager_config(settings: Settings, secrets: SecretFiles) -> dict[str, Any]:
    """Return PagerDuty's configuration, empty where it is not set."""
    if (pagerduty := settings.receivers.pagerduty) is None:
        return {}
    config = {
        "routing_key_file": secrets.path("pagerduty_routing_key"),
        "url": pagerduty.api_url,
        "description": _SUBJECT,
        "client": "Sitemedic",
        **({"client_url": settings.public_url} if settings.public_url else {}),
        "severity": '{{ or .CommonLabels.severity "critical" }}',
        "details": {"text": _SHORT, "firing": "", "resolved": ""},
        "send_resolved": True,
    }
    return {"pagerduty_configs": [config]}


def heartbeat_config(settings: Settings, secrets: SecretFiles) -> dict[str, Any]:
    """Return the post that tells an outer watcher that alerts get out, empty where it is not set."""
    if (heartbeat := settings.receivers.heartbeat) is None:
        return {}
    return {"webhook_configs": [_post(heartbeat, "heartbeat", settings, secrets) | {"send_resolved": False}]}


def _slack(settings: Settings, secrets: SecretFiles) -> dict[str, Any]:
    return {
        "api_url_file": secrets.path("slack_url"),
        "username": "Sitemedic",
        "color": _COLOR,
        "title": _SUBJECT,
        "title_link": settings.public_url or "",
        "fallback": _SUBJECT,
        "text": _SHORT,
    }


def _telegram(settings: Settings, secrets: SecretFiles) -> dict[str, Any]:
    assert settings.receivers.telegram is not None
    telegram = settings.receivers.telegram
    return {
        **secrets.entry("bot_token", "telegram_token", settings),
        "chat_id": telegram.chat,
        "api_url": telegram.api_url,
        "parse_mode": "",  # plain text: a site's answer is no markup
        "message": f"{_SUBJECT}\n{_SHORT}",
    }


def _post(address: WebAddress, receiver: str, settings: Settings, secrets: SecretFiles) -> dict[str, Any]:
    password = secrets.path(f"{receiver}_password")
    http: dict[str, Any] = {"follow_redirects": False}
    if address.password is not None and address.username:
        http["basic_auth"] = {"username": address.username, "password_file": password}
    elif address.password is not None:
        http["authorization"] = {"type": "Bearer", "credentials_file": password}
    return {
        **secrets.entry("url", f"{receiver}_url", settings),
        "http_config": http,
    }
