"""Workers give way to a notification from its arrival until it is answered, and to nothing else."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from waitress.server import create_server

from core.secrets import Secret
from remediator.store import database
from remediator.store.database import Store
from remediator.web.prompt import PATH, put_first
from tests.waiting import until

TOKEN = "the webhook's"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(f"sqlite:///{tmp_path}/one.db")
    found.prepare()
    yield found
    found.close()


def comes_first(store: Store) -> bool:
    return not store._no_request.is_set()


@contextmanager
def web(store: Store, app: Callable[..., Any]) -> Iterator[int]:
    """Serve `app` with a single thread."""
    server = create_server(app, map={}, host="127.0.0.1", port=0, threads=1, asyncore_use_poll=True)
    put_first(server, store, Secret(TOKEN))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server.effective_port
    finally:
        server.close()
        thread.join(30)


@contextmanager
def asked(port: int, path: str, token: str = TOKEN) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", path, b"{}", {"Authorization": f"Bearer {token}"})
        yield connection


def test_a_notification_comes_first_before_there_is_a_thread_for_it_and_until_it_is_answered(
    store: Store,
) -> None:
    seen: dict[str, bool] = {}
    begun, go_on = threading.Event(), threading.Event()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        seen[environ["PATH_INFO"]] = comes_first(store)
        if environ["PATH_INFO"] == "/page":
            begun.set()
            assert go_on.wait(30)
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with web(store, app) as port, asked(port, "/page") as page:
        assert begun.wait(30)  # the only thread is taken
        with asked(port, PATH) as notification:
            until(lambda: comes_first(store), 20, "the notification to come first", every=0.01)
            go_on.set()
            assert (page.getresponse().status, notification.getresponse().status) == (200, 200)
            until(lambda: not comes_first(store), 20, "it to be over", every=0.01)
    assert seen == {"/page": False, PATH: True}


def test_a_stranger_comes_before_nobody(store: Store) -> None:
    seen: list[bool] = []

    def app(_environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        seen.append(comes_first(store))
        start_response("401 Unauthorized", [("Content-Length", "0")])
        return []

    with web(store, app) as port, asked(port, PATH, "another") as connection:
        assert connection.getresponse().status == 401
    assert seen == [False]


def test_one_whose_sender_went_away_or_that_failed_keeps_nobody_waiting(store: Store) -> None:
    def app(_environ: dict[str, Any], _start_response: Callable[..., Any]) -> list[bytes]:
        raise ValueError("broken")

    with web(store, app) as port, asked(port, PATH) as connection:
        assert connection.getresponse().status == 500
        until(lambda: not comes_first(store), 20, "it to be over", every=0.01)


def reads_twice(store: Store, first_read: threading.Event, go_on: threading.Event, done: list[int]) -> None:
    with store.read() as connection:
        connection.execute(text("SELECT 1"))
        first_read.set()
        assert go_on.wait(30)
        done.append(connection.execute(text("SELECT 2")).scalar_one())


@pytest.mark.parametrize("ends", [True, False])
def test_who_reads_gives_way_between_two_queries_but_not_for_ever(
    store: Store, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    monkeypatch.setattr(database, "GIVE_WAY", 60.0 if ends else 0.2)
    first_read, go_on, done = threading.Event(), threading.Event(), list[int]()
    reader = threading.Thread(target=reads_twice, args=(store, first_read, go_on, done))
    reader.start()
    assert first_read.wait(30)
    with store.first():
        go_on.set()
        if ends:
            reader.join(0.5)
            assert not done
        else:
            reader.join(30)
            assert done == [2]
    reader.join(30)
    assert done == [2]


def test_who_writes_is_not_kept_waiting_in_mid_transaction(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "GIVE_WAY", 60.0)
    done = threading.Event()

    def write() -> None:
        with store.write(30.0) as connection:
            store.begin_first()  # a notification arrives, and needs the turn that we have
            connection.execute(text("SELECT 1"))
            done.set()
        store.end_first()

    writer = threading.Thread(target=write)
    writer.start()
    assert done.wait(30)
    writer.join(30)
