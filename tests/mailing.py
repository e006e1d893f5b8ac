"""Alertmanager with rendered configuration and a mail server, for tests of what is mailed."""

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest.mock import patch

import trustme
import yaml

from tests.alertmanager_server import AlertmanagerServer, alertmanager_server
from tests.rendering import MAIL, rendered_from
from tests.smtp_server import Mail, Mailbox, smtp_server

Alert = dict[str, Any]


@dataclass
class Mailing:
    """An Alertmanager whose groups are what a test says, with the receivers and templates of the real one."""

    alertmanager: AlertmanagerServer
    mailbox: Mailbox

    def send(self, group: str, *alerts: Alert) -> Mail:
        """Post alerts that go into one mail; return the next mail."""
        before = len(self.mailbox.mails)
        lasts = (datetime.now(UTC) + timedelta(hours=1)).isoformat()  # else it ends, and is mailed, by itself
        posted = [{"endsAt": lasts, **one, "labels": {**one["labels"], "mail": group}} for one in alerts]
        self.alertmanager.post("/api/v2/alerts", posted)
        return self.mailbox.wait_for(before + 1, 30)[-1]


def alert(
    name: str,
    site: str | None = None,
    *,
    severity: str = "critical",
    begins: datetime | None = None,
    ends: datetime | None = None,
    labels: Mapping[str, str] | None = None,
    **annotations: str,
) -> Alert:
    """Return an alert as Prometheus posts it; one that begins in the past is mailed without a wait."""
    about = (
        {"site": site, "part_of": site.split("/")[0], "instance": f"https://{site}.example/"} if site else {}
    )
    return {
        "labels": {"alertname": name, "severity": severity, **about, **(labels or {})},
        "annotations": {"runbook_url": f"docs/runbooks/{name}.md", **annotations},
        **({"startsAt": begins.isoformat()} if begins else {}),
        **({"endsAt": ends.isoformat()} if ends else {}),
    }


def over(one: Alert) -> Alert:
    """Return the end of an alert, now."""
    return {**one, "endsAt": datetime.now(UTC).isoformat()}


@contextmanager
def mailing(folder: Path, environ: Mapping[str, str], text: str | None = None) -> Iterator[Mailing]:
    """Run both; a mail is what has the same label `mail`. Alertmanager's clock is one of Kolkata.

    `text` is another template for the plain text.
    """
    with smtp_server() as mailbox:
        given = {**MAIL, "SMTP_PORT": str(mailbox.port), **environ}
        sites = "defaults: {email: me@acme.example}\nsites: [{name: www, url: 'http://127.0.0.1:1/'}]"
        path = rendered_from(folder, sites, given).rendered.alertmanager
        config = yaml.safe_load(path.read_text())
        (receiver,) = (
            one["name"]
            for one in config["receivers"]
            if any(mail["send_resolved"] for mail in one.get("email_configs", ()))
        )
        config["route"] = {
            "receiver": receiver,
            "group_by": ["mail"],
            "group_wait": "200ms",
            "group_interval": "200ms",
            "repeat_interval": "1h",
        }
        config["inhibit_rules"] = []
        for one in config["receivers"]:
            for mail in one.get("email_configs", ()):
                mail["text"] = text or mail["text"]
        path.write_text(yaml.safe_dump(config))
        with (
            patch.dict(os.environ, TZ="Asia/Kolkata"),
            alertmanager_server(path, folder / "alertmanager") as alertmanager,
        ):
            yield Mailing(alertmanager, mailbox)


@contextmanager
def trusted_tls(folder: Path) -> Iterator[ssl.SSLContext]:
    """Make a server's TLS for 127.0.0.1 that programs trust which are started meanwhile."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    with patch.dict(os.environ, SSL_CERT_FILE=str(folder / "authority.pem")):
        yield context


class _Hrefs(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.tags: set[str] = set()
        self._href: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "a":
            self._href = dict(attrs)["href"]

    def handle_data(self, data: str) -> None:
        if self._href is not None:
            self.found.append((data, self._href))
            self._href = None


def links(mail: Mail) -> list[tuple[str, str]]:
    """Return the words and the addresses of a mail's links, as a browser reads them."""
    return _parsed(mail).found


def tags(mail: Mail) -> set[str]:
    """Return the tags that a mail's HTML is made of."""
    return _parsed(mail).tags


def _parsed(mail: Mail) -> _Hrefs:
    parser = _Hrefs()
    parser.feed(mail.body("html"))
    return parser
