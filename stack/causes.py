"""What Alertmanager's words about a failed notification mean, and what mends it.

cause(receiver, words)      receiver: mail, slack, telegram, ntfy, webhook, pagerduty or heartbeat
failures(lines, …)          the lines of Alertmanager's log that tell of a failed notification
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stack.receivers import LINES, ReceiverSettings

LOGIN = "set SMTP_USERNAME and SMTP_PASSWORD in .env to what your mail provider gave you"
REACH = "look at SMTP_HOST, SMTP_PORT and SMTP_TLS in .env"
SENDER = "the server does not let this sender through: set SMTP_FROM in .env to an address of that account"
_TLS = "look at SMTP_TLS, SMTP_PORT and its certificate"
RECIPIENT = "look at the address (email: in sites.yml, or --to)"

_AUTH_LOGIN = (
    "Alertmanager does not understand how the mail server asks for the login (AUTH LOGIN): "
    "have the server offer AUTH PLAIN, or use another server or port (SMTP_HOST, SMTP_PORT in .env)"
)
_NO_CHAT = (
    "the bot does not know this chat: write to the bot, or add it to the group; "
    "and look at the number behind the @ of {variable} in .env (a group's begins with -)"
)

_STATUS = re.compile(r"status code (\d{3})|^telegram: .* \((\d{3})\)$")

# (what stands in the words, what it means): the first that fits counts. A status stands before the words.
_Meanings = tuple[tuple[str, str], ...]

_MAIL: _Meanings = (
    (r"unexpected server challenge", _AUTH_LOGIN),
    (r"\b(535|534|530)\b|authentication|auth\b", f"the mail server refuses the login: {LOGIN}"),
    (r"no such host", "the mail server's name is not known: look at SMTP_HOST in .env"),
    (r"certificate|x509|tls:", f"TLS with the mail server failed: {_TLS}"),
    (r"\bMAIL\b.*\b[45]\d\d\b", f"the mail server refuses the sender: {SENDER}"),
    (r"\bRCPT\b.*\b[45]\d\d\b", f"the mail server refuses a recipient: {RECIPIENT}"),
    (r"connect|dial|lookup|timeout|deadline|refused", f"the mail server cannot be reached: {REACH}"),
    (r"tls", f"TLS with the mail server failed: {_TLS}"),
    (r"\b5\d\d\b", "the mail server refuses the mail: look at SMTP_FROM in .env and email: in sites.yml"),
    ("", "look at the SMTP_ settings in .env"),
)

_NETWORK: _Meanings = (
    (r"no such host|server misbehaving", "its name is not known here: look at {variable} in .env and at DNS"),
    (r"certificate|x509", "its certificate is not good: look at {variable} in .env and at the clock here"),
    (r"HTTP response to HTTPS client", "it does not speak TLS: write http:// in {variable} in .env"),
    (r"connection refused", "nothing listens there: look at {variable} in .env"),
    (r"deadline exceeded|timeout|timed out", "it does not answer in time"),
    (r"unreachable|no route|dial |EOF|reset", "it cannot be reached from this machine"),
)

_SERVICES: dict[str, _Meanings] = {
    "slack": (
        (r"^(403|404|410)", "Slack does not know this webhook, or its channel is gone: {set} to a new one"),
        (r"^400", "Slack does not take the message: {set} to an incoming webhook, not a workflow's"),
    ),
    "telegram": (
        (r"^(401|404)", "Telegram does not know the bot's token: {set}, as @BotFather gave it"),
        (r"chat not found|chat_id is empty", _NO_CHAT),
        (r"upgraded to a supergroup", "the group has a new number, as a supergroup: {set} to it"),
        (r"^403", "the bot may not write there: unblock it, or add it to the group again"),
    ),
    "ntfy": (
        (r"^(401|403)", "ntfy refuses the login, or it may not publish to this topic: {set}"),
        (r"^404", "there is no such topic or server: look at {variable} in .env"),
        (r"^400", "ntfy does not take the templates in the address: it must be 2.10 or newer"),
        (r"^429", "ntfy takes no more messages from here for now"),
    ),
    "pagerduty": (
        (r"^400", "PagerDuty does not take it: {set} to the key of an Events API v2 integration"),
        (r"^(401|403)", "PagerDuty refuses the key: {set} to the key of an Events API v2 integration"),
        (r"^429", "PagerDuty takes no more events from here for now"),
    ),
}
_ANY_SERVICE: _Meanings = (
    (r"^3", "it answers with another address, which is not followed: look at {variable} in .env"),
    (r"^(401|403)", "it refuses the login: look at {variable} in .env"),
    (r"^(404|405|410)", "there is nothing that takes a POST: look at {variable} in .env"),
    (r"^429", "it takes no more for now"),
    (r"^5", "it has a fault of its own; it is tried again"),
    ("", "look at {variable} in .env"),
)


def cause(receiver: str, words: str) -> str:
    """Return what these words mean for this receiver, with the mend."""
    if receiver == "mail":
        return _first(_MAIL, words)
    variable = LINES[receiver].variable
    status = _STATUS.search(words)
    meanings = _SERVICES.get(receiver, ()) + (_ANY_SERVICE if status else _NETWORK + _ANY_SERVICE)
    meaning = _first(meanings, f"{status[1] or status[2]} {words}" if status else words)
    return meaning.replace("{set}", f"set {variable} in .env").replace("{variable}", variable)


def _first(meanings: _Meanings, words: str) -> str:
    return next(meaning for pattern, meaning in meanings if re.search(pattern, words, re.IGNORECASE))


@dataclass(frozen=True)
class Failure:
    """A notification that failed: whose, and Alertmanager's words on it."""

    receiver: str
    words: str


_ERROR = re.compile(r'err="((?:[^"\\]|\\.)*)"|err=(\S+)')
_ATTEMPT = re.compile(r"receiver=(\S+) integration=(\w+)\[(\d+)\]")
_SUMMARY = re.compile(r"([\w-]+)/(\w+)\[(\d+)\]: (.*)", re.DOTALL)
_NEXT = re.compile(r"; (?=[\w-]+/\w+\[\d+\]: )")


def failures(lines: Iterable[str], given: ReceiverSettings) -> Iterator[Failure]:
    """Yield the failed notifications that Alertmanager's log tells of; not those to the remediator."""
    for line in lines:
        if (error := _ERROR.search(line)) is None:
            continue
        words = (error[1] or error[2] or "").replace('\\"', '"')
        if attempt := _ATTEMPT.search(line):
            told = [(*attempt.groups(), words)]
        else:
            told = [found.groups() for piece in _NEXT.split(words) if (found := _SUMMARY.match(piece))]
        for name, integration, place, what in told:
            if receiver := _receiver(name, integration, int(place), given):
                yield Failure(receiver, what)


def _receiver(name: str, integration: str, place: int, given: ReceiverSettings) -> str | None:
    """Return our word for one of Alertmanager's; its webhooks stand in a fixed order."""
    if integration == "email":
        return "mail"
    if integration != "webhook":
        return integration
    if name == "heartbeat":
        return name
    posts = [post for post in ("ntfy", "webhook") if getattr(given, post) is not None]
    return posts[place] if name in ("chat", "chat-once") and place < len(posts) else None
