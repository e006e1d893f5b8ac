import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from core.secrets import Secret
from core.servers.server import ActionError, Reason
from remediator.clients.linode import LinodeAPI
from tests.linode_fake import LINODE, TOKEN, FakeLinode, running_linode_api
from tests.ports import free_port


@pytest.fixture
def fake() -> Iterator[FakeLinode]:
    with running_linode_api() as fake:
        yield fake


def reboot_error(api: LinodeAPI) -> ActionError:
    with pytest.raises(ActionError) as caught:
        api.reboot(LINODE)
    assert TOKEN not in str(caught.value)
    return caught.value


def test_a_linode_is_read_with_its_status_and_addresses(fake: FakeLinode) -> None:
    found = fake.client().instance(LINODE)
    assert (found.status, found.label, found.addresses) == ("running", "web-1", ("203.0.113.1",))


def test_a_status_is_asked_anew_each_time(fake: FakeLinode) -> None:
    api = fake.client()
    api.instance(LINODE)
    fake.account.set_status(LINODE, "migrating")
    assert api.instance(LINODE).status == "migrating"


def test_events_above_the_mark_come_newest_first(fake: FakeLinode) -> None:
    api = fake.client()
    assert api.highest_event_id(LINODE) == 0
    ids = [fake.account.add_event(LINODE, "linode_boot", "finished", "someone") for _ in range(150)]
    fake.account.add_event(102, "linode_boot", "finished", "someone")
    assert api.highest_event_id(LINODE) == ids[-1]
    assert [event.id for event in api.events(LINODE, ids[-3])] == ids[:-3:-1]
    assert len(api.events(LINODE, limit=10)) == 10


def test_the_tokens_user_is_known(fake: FakeLinode) -> None:
    assert fake.client().username() == "sitemedic"
    assert fake.client("wrong").username() is None


@pytest.mark.parametrize(
    ("fault", "reason", "permanent"),
    [
        ("busy", Reason.LINODE_BUSY, False),
        ("429", Reason.LINODE_ERROR, False),
        ("html400", Reason.LINODE_ERROR, False),
        ("408", Reason.UNKNOWN, False),
        ("500", Reason.UNKNOWN, False),
        ("502", Reason.UNKNOWN, False),
        ("503", Reason.UNKNOWN, False),
        ("maintenance", Reason.UNKNOWN, False),
        ("drop", Reason.UNKNOWN, False),
        ("drop_before", Reason.UNKNOWN, False),
        ("hang", Reason.UNKNOWN, False),
    ],
)
def test_a_reboot_is_asked_for_exactly_once(
    fake: FakeLinode, fault: str, reason: Reason, permanent: bool
) -> None:
    fake.faults.order(fault, seconds=2)
    error = reboot_error(fake.client(patience=0.5))
    assert (error.reason, error.permanent) == (reason, permanent)
    assert fake.faults.posts == 1


def test_waiting_as_long_as_the_api_asks(fake: FakeLinode) -> None:
    for asked, kept in ((7, 7.0), (-5, 1.0), (99999, 300.0)):
        fake.faults.order("429", seconds=asked)
        assert reboot_error(fake.client()).retry_after == kept


@pytest.mark.parametrize(
    ("token", "words"),
    [("wrong", "set LINODE_TOKEN"), ("reads-only", "linodes:read_write and events:read_only")],
)
def test_a_token_that_may_not_is_told_with_what_it_needs(fake: FakeLinode, token: str, words: str) -> None:
    error = reboot_error(fake.client(token))
    assert (error.reason, error.permanent) == (Reason.LINODE_AUTH, True)
    assert words in error.message


def test_an_unknown_linode_is_permanent(fake: FakeLinode) -> None:
    with pytest.raises(ActionError) as caught:
        fake.client().reboot(999)
    assert (caught.value.reason, caught.value.permanent) == (Reason.LINODE_NOT_FOUND, True)


def test_nobody_listening_is_no_unknown_outcome() -> None:
    api = LinodeAPI(Secret(TOKEN), f"http://127.0.0.1:{free_port()}/v4")
    assert reboot_error(api).reason is Reason.LINODE_ERROR
    assert not api.reachable()


@pytest.mark.parametrize("fault", ["500", "503", "hang", "drop", "html400", "429"])
def test_reading_is_never_an_unknown_outcome(fake: FakeLinode, fault: str) -> None:
    fake.faults.order(fault, on="all", seconds=2)
    api = fake.client(patience=0.5)
    begin = time.monotonic()
    for call in (api.instance, api.events, api.highest_event_id):
        with pytest.raises(ActionError) as caught:
            call(LINODE)
        assert (caught.value.reason, caught.value.permanent) == (Reason.LINODE_ERROR, False)
    assert time.monotonic() - begin < 10


def test_any_answer_is_reachable(fake: FakeLinode) -> None:
    fake.faults.order("500", on="all")
    assert fake.client("wrong").reachable()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b'HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{"errors": [1], "data": 5} ',
        b'HTTP/1.1 400 Bad\r\nContent-Length: 15\r\n\r\n{"errors": [1]}',
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
        b"garbage\r\n\r\n",
        b"",
    ],
)
def test_an_answer_that_is_not_linodes_is_an_error_of_ours(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer_all() -> None:
            for _ in range(4):
                connection, _ = listening.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=answer_all, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v4"
        for call in ("instance", "events", "highest_event_id"):
            with pytest.raises(ActionError):
                getattr(LinodeAPI(Secret(TOKEN), url), call)(LINODE)
        with contextlib.suppress(ActionError):
            LinodeAPI(Secret(TOKEN), url).reboot(LINODE)
        thread.join(5)
