import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from core.secrets import Secret
from stack.deliveries import MailWatch, cause, fault
from stack.settings import Endpoint, Smtp
from tests.ports import free_port

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
METRIC = 'alertmanager_notification_requests_failed_total{integration="email"}'


class _Mailbox(Controller):
    def factory(self):
        return SMTP(
            self.handler,
            authenticator=lambda *words: AuthResult(success=words[-1].password == b"right", handled=False),
            auth_require_tls=False,
            auth_required=True,
        )


class _Handler:
    """Takes every mail."""


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


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ('integration=email[0] err="*email.loginAuth auth: 535 5.7.8 bad"', "refuses the login"),
        ('integration=email[0] err="establish connection to server: dial tcp: refused"', "cannot be reached"),
        ('integration=email[0] err="x509: unknown authority"', "TLS with the mail server failed"),
        ('integration=email[0] err="RCPT TO: 550 5.1.1 no such user"', "refuses the mail"),
        ('integration=email[0] err="*email.loginAuth auth: unexpected server challenge"', "offer AUTH PLAIN"),
        ("", "look at the SMTP_ settings in .env"),
    ],
)
def test_alertmanagers_words_are_told_as_a_cause_with_a_mend(line, meaning):
    assert meaning in cause(line)


@contextmanager
def metrics(count):
    """Serve an Alertmanager's /metrics that counts `count[0]` failed mails."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f'{METRIC} {count[0]}\nother{{integration="email"}} 7\n'.encode())

        def log_message(self, *words):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_mails_that_fail_are_told_once_for_each_cause(tmp_path):
    said, count = [], [0]
    log = tmp_path / "alertmanager.log"
    log.write_text('level=warn integration=email[0] err="535 no"\n')
    with metrics(count) as url:
        watch = MailWatch(url, log, said.append)
        watch.look()
        assert said == []
        for failures in (2, 3):
            count[0] = failures
            watch.look()
        assert len(said) == 1
        assert said[0].startswith(
            "Mail is not delivered: the mail server refuses the login: set SMTP_USERNAME"
        )
        watch.forget()
        count[0] = 4
        watch.look()
        assert len(said) == 2
