"""Alertmanager's receivers: one for each set of mail addresses, and those that .env adds."""

import hashlib
from collections.abc import Iterator
from typing import Any

from stack.alerting import MailTo
from stack.render.chat import chat_configs, heartbeat_config, pager_config
from stack.render.secrets import SecretFiles
from stack.settings import Settings

NOBODY_RECEIVER = "nobody"
CHAT_RECEIVER = "chat"
CHAT_ONCE_RECEIVER = "chat-once"
PAGER_RECEIVER = "pager"
HEARTBEAT_RECEIVER = "heartbeat"


class Receivers:
    """Hand out receivers by who is told; remember which were asked for."""

    def __init__(self, settings: Settings, secrets: SecretFiles) -> None:
        self._settings = settings
        self._secrets = secrets
        self._known: dict[str, MailTo] = {}

    def of(self, mail_to: MailTo) -> str:
        """Return the name of the receiver that mails these people.

        The name comes from the addresses alone (Alertmanager remembers by it what it has sent) and
        does not show them, since it stands in metrics.
        """
        if self._settings.smtp is None or not mail_to.down:
            return NOBODY_RECEIVER
        content = "\n".join([*mail_to.down, "", *mail_to.recovered])
        name = f"mail-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
        self._known[name] = mail_to
        return name

    def chat(self) -> str | None:
        """Return the receiver of every chat and webhook in .env; None where none is set."""
        return CHAT_RECEIVER if chat_configs(self._settings, self._secrets) else None

    def chat_once(self) -> str | None:
        """Return the same without the ends of what it is told."""
        return CHAT_ONCE_RECEIVER if self.chat() else None

    def pager(self) -> str | None:
        """Return the receiver that pages people, for what is critical; None where none is set."""
        return PAGER_RECEIVER if self._settings.receivers.pagerduty else None

    def heartbeat(self) -> str | None:
        """Return the receiver of the alert that always fires; None where none is set."""
        return HEARTBEAT_RECEIVER if self._settings.receivers.heartbeat else None

    def defaults(self) -> dict[str, Any]:
        """Return as configuration what holds for all mails; nothing where none is sent."""
        if (smtp := self._settings.smtp) is None:
            return {}
        login = {"smtp_auth_username": smtp.username, "smtp_auth_password_file": self._secrets.smtp_password}
        return {
            "global": {
                "smtp_smarthost": smtp.server.address,
                "smtp_from": smtp.sender,
                "smtp_require_tls": smtp.tls == "starttls",
                **(login if smtp.username else {}),
            }
        }

    def configs(self) -> list[dict[str, Any]]:
        """Return as configuration every mail receiver that was handed out, and all others that are set."""
        mails = [{"name": name, "email_configs": list(_emails(to))} for name, to in self._known.items()]
        others = {
            CHAT_RECEIVER: chat_configs(self._settings, self._secrets),
            CHAT_ONCE_RECEIVER: chat_configs(self._settings, self._secrets, ends=False),
            PAGER_RECEIVER: pager_config(self._settings, self._secrets),
            HEARTBEAT_RECEIVER: heartbeat_config(self._settings, self._secrets),
        }
        return mails + [{"name": name, **configs} for name, configs in others.items() if configs]


def _emails(mail_to: MailTo) -> Iterator[dict[str, Any]]:
    """Yield a mail for each address: where a server refuses one, Alertmanager gives up the whole mail.

    It mails an end only to whom it has mailed the beginning, so whoever hears only of the end shares a mail
    with somebody who does not, or with others.
    """
    down, recovered = mail_to.down, mail_to.recovered
    joining = [one for one in recovered if one not in down]
    hosts = [one for one in down if one not in recovered] or list(down)
    for address in down:
        ends = [address] if address in recovered else []
        if address in hosts:
            ends += joining[hosts.index(address) :: len(hosts)]
        yield _email(address, ", ".join(ends))


def _email(down: str, recovered: str) -> dict[str, Any]:
    to = down
    if recovered and recovered != down:
        to = f'{{{{ if eq .Status "resolved" }}}}{recovered}{{{{ else }}}}{down}{{{{ end }}}}'
    return {
        "to": to,
        "send_resolved": bool(recovered),
        "headers": {
            "Subject": '{{ template "sitemedic.subject" . }}',
            "Auto-Submitted": "auto-generated",
            "References": '{{ template "sitemedic.thread" . }}',
            "In-Reply-To": '{{ template "sitemedic.thread" . }}',
        },
        "text": '{{ template "sitemedic.text" . }}',
        "html": '{{ template "sitemedic.html" . }}',
    }
