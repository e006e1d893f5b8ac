"""Alertmanager's mail receivers: one for each set of addresses, however many sites share it."""

import hashlib
from typing import Any

from stack.alerting import MailTo

NOBODY_RECEIVER = "nobody"


class Receivers:
    """Hand out receivers by who is mailed; remember which were asked for."""

    def __init__(self, mails: bool) -> None:
        self._mails = mails
        self._known: dict[str, MailTo] = {}

    def of(self, mail_to: MailTo) -> str:
        """Return the name of the receiver that mails these people.

        The name comes from the addresses alone (Alertmanager remembers by it what it has sent) and
        does not show them, since it stands in metrics.
        """
        if not self._mails or not mail_to.down:
            return NOBODY_RECEIVER
        content = "\n".join([*mail_to.down, "", *mail_to.recovered])
        name = f"mail-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
        self._known[name] = mail_to
        return name

    def configs(self) -> list[dict[str, Any]]:
        """Return every receiver that was handed out, as configuration."""
        return [{"name": name, "email_configs": [_email(mail_to)]} for name, mail_to in self._known.items()]


def _email(mail_to: MailTo) -> dict[str, Any]:
    down, recovered = ", ".join(mail_to.down), ", ".join(mail_to.recovered)
    to = down
    if recovered and recovered != down:
        to = f'{{{{ if eq .Status "resolved" }}}}{recovered}{{{{ else }}}}{down}{{{{ end }}}}'
    return {
        "to": to,
        "send_resolved": bool(recovered),
        "headers": {
            "Subject": '{{ template "sitemedic.subject" . }}',
            "Auto-Submitted": "auto-generated",
        },
        "text": '{{ template "sitemedic.text" . }}',
        "html": '{{ template "sitemedic.html" . }}',
    }
