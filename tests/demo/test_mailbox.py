"""The demo's mailbox: takes mails, with AUTH where it is wanted, and shows them."""

import os
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

import pytest
import requests

from demo.mailbox import Mailbox
from tests.demo.parts import running
from tests.ports import free_port
from tests.waiting import until


@contextmanager
def mailbox(folder: Path, *options: str, **env: str) -> Iterator[tuple[int, str]]:
    smtp, http = free_port(), free_port()
    argv = ["--smtp-port", str(smtp), "--http-port", str(http), "--dir", str(folder), *options]
    with running("mailbox", *argv, env={**os.environ, **env}):
        url = f"http://127.0.0.1:{http}"
        until(lambda: requests.get(f"{url}/-/healthy", timeout=1).ok, 15, "the mailbox")
        yield smtp, url


def send(port: int, message: EmailMessage, password: str | None = None) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
        if password is not None:
            client.login("alertmanager", password)
        client.send_message(message, "alerts@example.com", ["a@example.com", "b@example.com"])


def a_mail(subject: str = "[FIRING] shop <is> down") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Sitemedic <alerts@example.com>", "a@x", subject
    message.set_content("Das tut uns leid: 500 für alle\n")
    message.add_alternative("<p>500</p><script>alert(1)</script>", subtype="html")
    return message


def test_a_mail_is_listed_kept_and_there_again_after_a_restart(tmp_path: Path) -> None:
    with mailbox(tmp_path) as (port, url):
        send(port, a_mail())
        [seen] = requests.get(f"{url}/api/mails", timeout=5).json()["mails"]
        assert seen["subject"] == "[FIRING] shop <is> down"
        assert seen["from"] == "alerts@example.com"
        assert seen["to"] == ["a@example.com", "b@example.com"]
        assert "500 für alle" in seen["text"]
    [path] = tmp_path.glob("*.eml")
    assert path.stat().st_mode & 0o777 == 0o600
    with mailbox(tmp_path) as (port, url):
        send(port, a_mail("second"))
        again = requests.get(f"{url}/api/mails", timeout=5).json()["mails"]
        assert [one["id"] for one in again] == [2, 1]
        assert again[1] == seen
        newer = requests.get(f"{url}/api/mails?after=1", timeout=5).json()["mails"]
        assert [one["subject"] for one in newer] == ["second"]


def test_its_page_escapes_what_a_mail_says_and_sandboxes_its_html(tmp_path: Path) -> None:
    with mailbox(tmp_path) as (port, url):
        send(port, a_mail())
        assert "shop &lt;is&gt; down" in requests.get(url, timeout=5).text
        page = requests.get(f"{url}/mail/1", timeout=5).text
        assert "<script>" not in page
        assert "<iframe sandbox" in page
        html = requests.get(f"{url}/mail/1/html", timeout=5)
        assert html.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
        assert requests.get(f"{url}/mail/7", timeout=5).status_code == 404


def test_with_a_user_name_mails_are_taken_after_auth_only(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--username", "alertmanager", MAILBOX_PASSWORD="right") as (port, url):
        with pytest.raises(smtplib.SMTPAuthenticationError):
            send(port, a_mail(), "wrong")
        with pytest.raises(smtplib.SMTPSenderRefused):
            send(port, a_mail())
        send(port, a_mail(), "right")
        assert len(requests.get(f"{url}/api/mails", timeout=5).json()["mails"]) == 1


def test_it_keeps_the_newest_mails_only(tmp_path: Path) -> None:
    kept = Mailbox(tmp_path, kept=3)
    kept.open()
    for number in range(5):
        kept.add("a@x", ["b@x"], f"Subject: mail {number}\r\n\r\ntext\r\n".encode())
    assert [mail.subject for mail in kept.mails()] == ["mail 4", "mail 3", "mail 2"]
    assert len(list(tmp_path.glob("*.eml"))) == 3


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no headers at all",
        b"Subject: =?utf-8?b?////?=\r\n\r\n\xff\xfe",
        b"Content-Type: text/plain; charset=klingon\r\n\r\nnuqneH",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: image/png\r\n\r\nx\r\n--x--",
    ],
)
def test_a_mail_of_any_shape_is_kept(tmp_path: Path, raw: bytes) -> None:
    kept = Mailbox(tmp_path)
    kept.open()
    mail = kept.add("evil\r\nX-Mailbox-To: me@x", ["b@x"], raw)
    assert mail.recipients == ("b@x",)
    assert kept.mail(mail.id) == mail
