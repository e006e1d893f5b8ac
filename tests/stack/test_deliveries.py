import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from core.secrets import Secret
from stack.deliveries import DeliveryWatch, fault
from stack.receivers import ReceiverSettings
from stack.settings import Endpoint, Smtp
from tests.ports import free_port

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")


class _Mailbox(Controller):
    def factory(self):
        return SMTP(
            self.handler,
            authenticator=lambda *words: AuthResult(success=words[-1].password == b"right", handled=False),
            auth_require_tls=False,
            auth_required=True,
        )


class _Handler:
    """Takes mail from and for all but two."""

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802
        if address.startswith("stranger"):
            return "553 5.7.1 not yours"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if address.startswith("nobody"):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"


@pytest.fixture
def mailbox():
    controller = _Mailbox(_Handler(), hostname="127.0.0.1", port=free_port())
    controller.start()
    yield Endpoint("127.0.0.1", controller.port)
    controller.stop()


def login(server, password):
    return Smtp(server, "a@example.com", "a", Secret(password), "none")


def test_a_mail_server_that_takes_the_login_is_no_fault(mailbox):
    assert fault(login(mailbox, "right")) is None


def test_a_wrong_password_is_told_with_its_mend_and_without_itself(mailbox):
    told = fault(login(mailbox, "wr0ng"))
    assert told == (
        f"{mailbox.address} refuses the login (535): "
        "set SMTP_USERNAME and SMTP_PASSWORD in .env to what your mail provider gave you"
    )


def test_a_mail_server_that_is_not_there_is_told():
    told = fault(login(Endpoint("127.0.0.1", free_port()), "right"))
    assert "does not answer as a mail server" in told
    assert "look at SMTP_HOST, SMTP_PORT and SMTP_TLS in .env" in told


def test_a_server_without_tls_is_told_where_tls_is_wanted(mailbox):
    told = fault(Smtp(mailbox, "a@example.com", None, None, "starttls"))
    assert "STARTTLS extension not supported by server" in told
    assert "look at SMTP_TLS" in told


def test_a_server_that_takes_the_sender_and_the_recipient_is_no_fault(mailbox):
    assert fault(login(mailbox, "right"), ("ops@example.com",)) is None


def test_a_refused_recipient_is_told_with_the_servers_code(mailbox):
    told = fault(login(mailbox, "right"), ("ops@example.com", "nobody@example.com"))
    assert told == (
        f"{mailbox.address} refuses the recipient nobody@example.com (550 5.1.1 no such mailbox): "
        "look at the address (email: in sites.yml, or --to)"
    )


def test_a_refused_sender_is_told_with_the_servers_code(mailbox):
    smtp = replace(login(mailbox, "right"), sender="Sitemedic <stranger@example.com>")
    told = fault(smtp, ("ops@example.com",))
    assert "refuses the sender Sitemedic <stranger@example.com> (553 5.7.1 not yours)" in told
    assert "set SMTP_FROM in .env" in told


FAILED = "alertmanager_notification_requests_failed_total"


@contextmanager
def metrics(count):
    """Serve an Alertmanager's /metrics that counts `count[integration]` failed requests."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            lines = [f'{FAILED}{{integration="{name}"}} {number}' for name, number in count.items()]
            self.send_response(200)
            self.end_headers()
            self.wfile.write("\n".join([*lines, 'other{integration="email"} 7', ""]).encode())

        def log_message(self, *words):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def watched(tmp_path):
    """Yield what was said, the counts, a log's writer and a look at both."""
    said, count, log = [], {"email": 0, "webhook": 0, "telegram": 0}, tmp_path / "alertmanager.log"

    def write(line):
        with log.open("a") as file:
            file.write(line + "\n")

    with metrics(count) as url:
        yield said, count, write, DeliveryWatch(url, log, said.append, ReceiverSettings())


MAIL_FAILS = 'level=warn receiver=mail-1 integration=email[0] msg="Notify attempt failed" err="535 no"'
CHAT_FAILS = 'level=warn receiver=chat integration=telegram[0] msg="x" err="telegram: Unauthorized (401)"'


def test_mails_that_fail_are_told_once_for_each_cause(watched):
    said, count, write, watch = watched
    write(MAIL_FAILS)
    watch.look()
    assert said == []
    for failures in (2, 3):
        count["email"] = failures
        watch.look()
    assert len(said) == 1
    assert said[0].startswith(
        "Mail is not delivered: the mail server refuses the login: set SMTP_USERNAME and SMTP_PASSWORD"
    )


def test_a_failing_chat_is_told_beside_a_failing_mail(watched):
    said, count, write, watch = watched
    write(MAIL_FAILS)
    write(CHAT_FAILS)
    count |= {"email": 1, "telegram": 1}
    watch.look()
    assert [line.partition(":")[0] for line in said] == ["Mail is not delivered", "Telegram is not delivered"]
    assert "Telegram does not know the bot's token: set TELEGRAM in .env" in said[1]


def test_after_a_change_the_same_cause_is_told_again_and_an_old_one_is_not(watched):
    said, count, write, watch = watched
    write(MAIL_FAILS)
    write(CHAT_FAILS)
    count |= {"email": 1, "telegram": 1}
    watch.look()
    watch.forget(ReceiverSettings())
    write(MAIL_FAILS)
    count["email"] = 2
    watch.look()
    assert [line.partition(" ")[0] for line in said] == ["Mail", "Telegram", "Mail"]


def test_a_failing_mail_is_told_even_where_the_log_does_not_say_why(watched):
    said, count, _, watch = watched
    count["email"] = 1
    watch.look()
    assert said[0].startswith("Mail is not delivered: look at the SMTP_ settings in .env")


def test_a_remediator_that_refuses_is_no_failing_chat(watched):
    said, count, write, watch = watched
    write('receiver=remediator integration=webhook[0] err="unexpected status code 401"')
    count["webhook"] = 1
    watch.look()
    assert said == []
