"""`mail test`, `slack test` and the others: one notification through a real Alertmanager."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from stack.cli import NOTIFICATIONS, main
from stack.errors import StackError
from stack.notification_test import RECEIVERS, send_test
from stack.processes import descendants
from stack.receivers import LINES
from stack.settings import load_settings
from tests.chat_servers import CHAT, PLANTED, Services, chat_services
from tests.mailing import trusted_tls
from tests.smtp_server import Mailbox, smtp_server
from tests.waiting import until

pytestmark = pytest.mark.needs("prometheus-alertmanager")

ROOT = Path(__file__).parents[2]
CHATS = tuple(name for name in RECEIVERS if name != "mail")
LOGIN = ("medic", f"{PLANTED}-password")


@pytest.fixture(scope="module")
def chats() -> Iterator[Services]:
    with chat_services() as services:
        yield services


def tried(chats: Services, receiver: str, folder: Path, **environ: str) -> tuple[bool, str]:
    """Return whether the test was taken, and what was said."""
    settings = chats.pointed(load_settings({**chats.environ(), **environ}, folder))
    said: list[str] = []
    good = send_test(settings, receiver, (), said.append)
    assert PLANTED not in "\n".join(said)
    return good, "\n".join(said)


@pytest.mark.parametrize("receiver", CHATS)
def test_a_test_arrives_marked_as_one(chats: Services, tmp_path: Path, receiver: str) -> None:
    good, said = tried(chats, receiver, tmp_path)
    assert good
    assert "Sent to" in said
    text = str([posted.body for posted in chats.of(receiver)])
    assert "this is only a test" in text
    assert "TEST" in text or receiver in ("ntfy", "webhook", "heartbeat")


def test_a_test_of_pagerduty_leaves_no_incident_open(chats: Services, tmp_path: Path) -> None:
    before = len([one for one in chats.taken if one.service == "pagerduty"])
    tried(chats, "pagerduty", tmp_path)
    sent = [posted.body["event_action"] for posted in chats.of("pagerduty", before + 2)[before:]]
    assert sent == ["trigger", "resolve"]


@pytest.mark.parametrize(
    ("receiver", "change", "told"),
    [
        (
            "slack",
            ("SLACK_WEBHOOK_URL", "/services/T0/B0/", "/services/T0/B1/"),
            "set SLACK_WEBHOOK_URL in .env",
        ),
        (
            "telegram",
            ("TELEGRAM", "123456:", "123457:"),
            "does not know the bot's token: set TELEGRAM in .env",
        ),
        ("telegram", ("TELEGRAM", str(CHAT), "-100"), "the bot does not know this chat"),
        ("ntfy", ("NTFY_URL", "tk_", "tk_x"), "may not publish to this topic: set NTFY_URL in .env"),
        ("webhook", ("WEBHOOK_URL", "me:", "you:"), "refuses the login: look at WEBHOOK_URL in .env"),
        ("pagerduty", ("PAGERDUTY_ROUTING_KEY", "p", "q"), "set PAGERDUTY_ROUTING_KEY in .env to the key"),
    ],
)
def test_what_a_service_refuses_is_told_with_its_mend(
    chats: Services, tmp_path: Path, receiver: str, change: tuple[str, str, str], told: str
) -> None:
    variable, old, new = change
    good, said = tried(chats, receiver, tmp_path, **{variable: chats.environ()[variable].replace(old, new)})
    assert not good
    assert told in said


@pytest.mark.parametrize("receiver", ["slack", "telegram", "webhook"])
def test_a_service_that_is_gone_is_told_with_nothing_of_its_address(tmp_path: Path, receiver: str) -> None:
    with chat_services() as gone:
        pass
    good, said = tried(gone, receiver, tmp_path)
    assert not good
    assert "nothing listens there" in said


@pytest.mark.full
def test_a_service_that_never_answers_is_told(chats: Services, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        good, said = tried(chats, "webhook", tmp_path, WEBHOOK_URL=f"http://127.0.0.1:{port}/x")
    assert not good
    assert "waiting for the answer" in said
    assert "it does not answer in time" in said


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Mailbox]]:
    """Yield a folder with the .env of a mail server that wants STARTTLS and a login, and the server."""
    folder = tmp_path_factory.mktemp("mails")
    with trusted_tls(folder) as tls, smtp_server(LOGIN, tls=tls) as mailbox:
        (folder / "password").write_text(LOGIN[1])
        (folder / ".env").write_text(
            f"SMTP_HOST=127.0.0.1\nSMTP_PORT={mailbox.port}\nSMTP_USERNAME={LOGIN[0]}\n"
            "SMTP_PASSWORD_FILE=password\nSMTP_FROM=medic@acme.example\n"
        )
        yield folder, mailbox


def sitemedic(*words: str, folder: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        (sys.executable, "-m", "stack", *words, "--dir", str(folder)),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        timeout=100,
    )
    assert PLANTED not in done.stdout + done.stderr
    return done


def test_a_test_mail_arrives_over_starttls_with_a_login(mails: tuple[Path, Mailbox]) -> None:
    folder, mailbox = mails
    done = sitemedic("mail", "test", "--to", "ops@acme.example", folder=folder)
    assert done.returncode == 0, done.stderr
    assert f"Sent to ops@acme.example through 127.0.0.1:{mailbox.port}" in done.stdout
    (mail,) = mailbox.wait_for(1)
    assert mail.subject.startswith("[TEST] ")
    assert mail.recipients == ("ops@acme.example",)
    assert "Nothing is down." in mail.body()
    assert mail.encrypted


def test_a_test_mail_goes_to_those_of_sites_yml(mails: tuple[Path, Mailbox]) -> None:
    folder, mailbox = mails
    before = len(mailbox.mails)
    (folder / "sites.yml").write_text(
        "defaults: {email: [a@acme.example, b@acme.example]}\nsites: [{name: www, url: 'http://x.example/'}]"
    )
    done = sitemedic("mail", "test", folder=folder)
    assert done.returncode == 0, done.stderr
    to = {mail.recipients for mail in mailbox.wait_for(before + 2)[before:]}
    assert to == {("a@acme.example",), ("b@acme.example",)}


def test_a_wrong_password_fails_with_the_servers_code_and_the_mend(mails: tuple[Path, Mailbox]) -> None:
    folder, _ = mails
    words = ("mail", "test", "--to", "ops@acme.example")
    done = sitemedic(*words, folder=folder, SMTP_PASSWORD_FILE="", SMTP_PASSWORD=f"{PLANTED}-wrong")
    assert done.returncode == 1
    assert "refuses the login (535): set SMTP_USERNAME and SMTP_PASSWORD in .env" in done.stdout


def test_a_mail_server_whose_certificate_nobody_knows_is_told(mails: tuple[Path, Mailbox]) -> None:
    folder, _ = mails
    done = sitemedic("mail", "test", "--to", "ops@acme.example", folder=folder, SSL_CERT_FILE="/dev/null")
    assert done.returncode == 1
    assert "TLS failed" in done.stdout
    assert "look at SMTP_TLS and SMTP_PORT in .env" in done.stdout


@pytest.mark.parametrize("receiver", NOTIFICATIONS)
def test_what_is_not_set_is_told_with_its_line(tmp_path: Path, receiver: str) -> None:
    with pytest.raises(StackError) as caught:
        CliRunner().invoke(main, [receiver, "test", "--dir", str(tmp_path)], catch_exceptions=False)
    variable = "SMTP_HOST" if receiver == "mail" else LINES[receiver].variable
    assert f"\n  {variable}=" in str(caught.value)
    assert ".env" in str(caught.value)


def test_a_mail_for_nobody_asks_for_an_address(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SMTP_HOST=127.0.0.1\nSMTP_FROM=medic@acme.example\n")
    with pytest.raises(StackError, match="--to you@example"):
        CliRunner().invoke(main, ["mail", "test", "--dir", str(tmp_path)], catch_exceptions=False)


def test_every_receiver_has_its_command() -> None:
    assert set(NOTIFICATIONS) == set(RECEIVERS) == {"mail", *LINES}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_test_that_is_broken_off_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "left").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(tmp_path / "left"),
            "WEBHOOK_URL": f"http://127.0.0.1:{silent.getsockname()[1]}/x",
        }
        command = (sys.executable, "-m", "stack", "webhook", "test", "--dir", str(tmp_path))
        running = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)
        with running, silent.accept()[0]:
            (alertmanager,) = descendants(running.pid)
            running.send_signal(number)
            assert running.wait(30) == 128 + number
    until(lambda: not Path(f"/proc/{alertmanager}").exists(), 20, "Alertmanager to be gone")
    assert list((tmp_path / "left").iterdir()) == []
