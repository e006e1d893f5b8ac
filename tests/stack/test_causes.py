"""Alertmanager's words about a failed notification, and what we make of them."""

import pytest

from core.secrets import Secret
from stack.causes import Failure, cause, failures
from stack.receivers import ReceiverSettings, WebAddress


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("*email.loginAuth auth: 535 5.7.8 bad", "refuses the login: set SMTP_USERNAME and SMTP_PASSWORD"),
        ("establish connection to server: dial tcp 10.0.0.1:587: connect: connection refused", "be reached"),
        ("establish connection to server: dial tcp: lookup smtp.example: no such host", "SMTP_HOST in .env"),
        ("send STARTTLS command: x509: certificate signed by unknown authority", "TLS with the mail server"),
        ("send MAIL command: 550 5.7.1 sender rejected", "refuses the sender"),
        ("send RCPT command: 550 5.1.1 no such user", "refuses a recipient: look at the address"),
        (
            "delivery failure: 554 5.7.1 spam",
            "refuses the mail: look at SMTP_FROM in .env and email: in sites",
        ),
        ("*email.loginAuth auth: unexpected server challenge", "offer AUTH PLAIN"),
        ("", "look at the SMTP_ settings in .env"),
    ],
)
def test_a_failed_mail_is_told_with_its_mend(words: str, meaning: str) -> None:
    assert meaning in cause("mail", words)


STATUS = "notify retry canceled due to unrecoverable error after 1 attempts: unexpected status code"


@pytest.mark.parametrize(
    ("receiver", "words", "meaning"),
    [
        ("slack", f'channel "": {STATUS} 404: no_service', "does not know this webhook"),
        ("slack", f'channel "": {STATUS} 403: invalid_token', "set SLACK_WEBHOOK_URL in .env to a new one"),
        ("slack", f'channel "": {STATUS} 400: invalid_payload', "an incoming webhook, not a workflow's"),
        ("telegram", "telegram: Unauthorized (401)", "does not know the bot's token: set TELEGRAM in .env"),
        ("telegram", "telegram: Not Found (404)", "does not know the bot's token"),
        ("telegram", "telegram: Bad Request: chat not found (400)", "the bot does not know this chat"),
        ("telegram", "telegram: Forbidden: bot was kicked from the group chat (403)", "add it to the group"),
        (
            "telegram",
            "telegram: Bad Request: group chat was upgraded to a supergroup chat (400)",
            "the group has a new number",
        ),
        ("ntfy", f'{STATUS} 403: {{"code":40301,"http":403}}', "may not publish to this topic: set NTFY_URL"),
        ("ntfy", f'{STATUS} 400: {{"code":40041,"error":"template"}}', "must be 2.10 or newer"),
        ("ntfy", f"{STATUS} 429", "takes no more messages"),
        (
            "pagerduty",
            f"{STATUS} 400: Event object is invalid",
            "set PAGERDUTY_ROUTING_KEY in .env to the key",
        ),
        ("pagerduty", f"{STATUS} 403", "refuses the key"),
        ("webhook", f"{STATUS} 401", "refuses the login: look at WEBHOOK_URL in .env"),
        ("webhook", f'{STATUS} 404: {{"error_code":401}}', "nothing that takes a POST"),
        ("webhook", f"{STATUS} 301", "another address, which is not followed"),
        ("webhook", "unexpected status code 503", "a fault of its own"),
        (
            "heartbeat",
            'Post "<redacted>": dial tcp: lookup hc.example: no such host',
            "its name is not known",
        ),
        ("slack", 'Post "<redacted>": tls: failed to verify certificate: x509: unknown', "its certificate"),
        (
            "ntfy",
            'Post "https://x/": http: server gave HTTP response to HTTPS client',
            "write http:// in NTFY_",
        ),
        (
            "telegram",
            'telebot: Post "": dial tcp 1.1.1.1:443: connect: connection refused',
            "nothing listens",
        ),
        ("telegram", 'telebot: Post "": context deadline exceeded', "does not answer in time"),
        ("pagerduty", "dial tcp 1.1.1.1:443: connect: network is unreachable", "cannot be reached from this"),
        ("webhook", "", "look at WEBHOOK_URL in .env"),
    ],
)
def test_a_failed_notification_is_told_with_its_mend(receiver: str, words: str, meaning: str) -> None:
    assert meaning in cause(receiver, words)


POST = WebAddress(Secret("https://x.example/y"), "x.example")
BOTH = ReceiverSettings(ntfy=POST, webhook=POST, heartbeat=POST)


@pytest.mark.parametrize(
    ("line", "given", "found"),
    [
        (
            'level=warn receiver=mail-1 integration=email[0] msg="Notify failed" err="dial \\"x\\""',
            BOTH,
            [Failure("mail", 'dial "x"')],
        ),
        ('receiver=chat integration=webhook[0] err="a"', BOTH, [Failure("ntfy", "a")]),
        ('receiver=chat integration=webhook[1] err="a"', BOTH, [Failure("webhook", "a")]),
        (
            'receiver=chat integration=webhook[0] err="a"',
            ReceiverSettings(webhook=POST),
            [Failure("webhook", "a")],
        ),
        ('receiver=heartbeat integration=webhook[0] err="a"', BOTH, [Failure("heartbeat", "a")]),
        ('receiver=remediator integration=webhook[0] err="a"', BOTH, []),
        (
            'msg="Notify for alerts failed" err="chat/webhook[1]: a; b: 404: {}; chat/slack[0]: c"',
            BOTH,
            [Failure("webhook", "a; b: 404: {}"), Failure("slack", "c")],
        ),
        ('msg="Notify for alerts failed" err="pager/pagerduty[0]: a"', BOTH, [Failure("pagerduty", "a")]),
        ('msg="Loading configuration file failed" err="yaml: line 3"', BOTH, []),
        ('level=info msg="Listening on" address=127.0.0.1:9093', BOTH, []),
    ],
)
def test_the_log_tells_whose_notification_failed(
    line: str, given: ReceiverSettings, found: list[Failure]
) -> None:
    assert list(failures([line], given)) == found
