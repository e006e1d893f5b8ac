"""The demo application: its pages, its databases, its bounds, and what each request really costs."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import requests
from flask.testing import FlaskClient

from demo.app.bounds import Bounds
from demo.app.faults import Faults
from demo.app.load import Memory
from demo.app.pages import MARKER, make_app
from demo.app.stock import Stock, StockError
from tests.demo.parts import ROOT
from tests.ports import free_port
from tests.postgres_server import PASSWORD, PostgresServer, needs_postgres, postgres_server
from tests.waiting import until

SMALL = Bounds(cpu_seconds=20, burners=1, memory_mb=8, memory_mb_held=12, slow_seconds=20, slow_requests=1)


@pytest.fixture
def stock(tmp_path: Path) -> Iterator[Stock]:
    with closing(Stock(f"sqlite:///{tmp_path / 'shop.db'}")) as stock:
        yield stock


@pytest.fixture
def client(stock: Stock) -> FlaskClient:
    return make_app(stock, bounds=SMALL).test_client()


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


def test_the_shop_shows_what_its_database_has(client: FlaskClient) -> None:
    page = client.get("/").text
    assert MARKER in page
    assert "Three teas" in page


def test_its_health_is_that_of_its_database(client: FlaskClient, tmp_path: Path) -> None:
    assert client.get("/health").get_json() == {"app": "sitemedic-demo", "status": "ok", "database": "sqlite"}
    with closing(Stock(f"sqlite:///{tmp_path}/no/such/folder/shop.db")) as gone:
        answer = make_app(gone).test_client().get("/health")
    assert answer.status_code == 503
    assert answer.get_json()["status"] == "failing"


def test_without_its_database_the_shop_answers_500_and_stays_up(tmp_path: Path) -> None:
    with closing(Stock(f"sqlite:///{tmp_path}/no/such/folder/shop.db")) as gone:
        client = make_app(gone).test_client()
        assert client.get("/").status_code == 500
        assert client.get("/slow?seconds=0").status_code == 200


@needs_postgres
def test_it_runs_on_postgresql_by_one_url(postgres: PostgresServer) -> None:
    with closing(Stock(postgres.url())) as stock:
        client = make_app(stock).test_client()
        assert client.get("/health").get_json()["database"] == "postgresql"
        assert MARKER in client.get("/").text
        assert client.get("/database?queries=3").get_json() == {"queries": 3}


@pytest.mark.full
@needs_postgres
def test_a_password_never_stands_in_what_it_says_of_its_database(postgres: PostgresServer) -> None:
    with closing(Stock(postgres.url().replace(PASSWORD, "wrong-hunter2"))) as stock:
        answer = make_app(stock).test_client().get("/health")
    assert answer.status_code == 503
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("url", ["mysql://me:hunter2@db/shop", "postgresql//me:hunter2@db"])
def test_a_url_that_is_neither_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(StockError) as refused:
        Stock(url)
    assert "PostgreSQL" in str(refused.value) or "postgresql://" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/cpu", "seconds must be a number from 0 to 20"),
        ("/cpu?seconds=21", "seconds must be a number from 0 to 20"),
        ("/cpu?seconds=-1", "seconds must be a number from 0 to 20"),
        ("/cpu?seconds=nan", "seconds must be a number from 0 to 20"),
        ("/cpu?seconds=inf", "seconds must be a number from 0 to 20"),
        ("/memory?mb=9&seconds=1", "mb must be a number from 1 to 8"),
        ("/memory?mb=1.5&seconds=1", "mb must be a whole number from 1 to 8"),
        ("/memory?mb=1&seconds=61", "seconds must be a number from 0 to 60"),
        ("/database?queries=501", "queries must be a number from 1 to 500"),
        ("/slow?seconds=forever", "seconds must be a number from 0 to 20"),
        ("/errors?rate=1.1", "rate must be a number from 0 to 1"),
        ("/errors?rate=1&seconds=61", "seconds must be a number from 0 to 60"),
    ],
)
def test_more_than_is_allowed_is_refused_with_what_is_allowed(
    client: FlaskClient, path: str, allowed: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == 400
    assert allowed in answer.get_json()["error"]


@pytest.mark.parametrize(("path", "what"), [("/cpu", "burn CPU"), ("/slow", "slow requests")])
def test_more_at_once_than_is_allowed_is_refused_and_told_when_to_come_again(
    stock: Stock, path: str, what: str
) -> None:
    app = make_app(stock, bounds=SMALL)

    def ask(seconds: float) -> tuple[int, str, str | None]:
        answer = app.test_client().get(f"{path}?seconds={seconds}")
        return answer.status_code, answer.text, answer.headers.get("Retry-After")

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, [2.0] * 6))
    assert {status for status, _, _ in answers} == {200, 429}
    refused = [(text, again) for status, text, again in answers if status == 429]
    assert all(what in text and again == "1" for text, again in refused)
    assert ask(0)[0] == 200


def test_no_more_memory_is_held_in_all_than_is_allowed_and_it_is_given_back(client: FlaskClient) -> None:
    assert client.get("/memory?mb=8&seconds=1").get_json()["mb_held"] == 8
    refused = client.get("/memory?mb=8&seconds=1")
    assert refused.status_code == 429
    assert "more than 12 MB" in refused.get_json()["error"]
    until(lambda: client.get("/memory?mb=8&seconds=0").status_code == 200, 20, "the memory to be given back")


def test_held_memory_is_really_used_and_really_given_back() -> None:
    def used() -> int:
        text = Path("/proc/self/smaps_rollup").read_text()
        return int(text.partition("Anonymous:")[2].split()[0]) // 1024

    memory, before = Memory(64), used()
    assert memory.hold(48, 0.5) == 48
    assert used() >= before + 40
    until(lambda: memory.held == 0 and used() < before + 24, 20, "the memory to be given back")


def test_a_burning_request_takes_cpu_and_not_the_lock_that_all_others_need(client: FlaskClient) -> None:
    before, begun = time.process_time(), time.monotonic()
    assert client.get("/cpu?seconds=0.5").get_json()["pieces"] >= 1
    took, used = time.monotonic() - begun, time.process_time() - before
    assert took >= 0.5
    assert used > 0


def test_the_rate_of_errors_is_the_one_that_is_asked_for(client: FlaskClient) -> None:
    def failed(rate: float) -> int:
        return sum(client.get(f"/errors?rate={rate}").status_code == 500 for _ in range(400))

    assert failed(0) == 0
    assert failed(1) == 400
    assert 100 < failed(0.5) < 300


def test_the_page_can_be_made_to_fail_for_a_while(client: FlaskClient) -> None:
    assert client.get("/errors?rate=1&seconds=1").status_code == 500
    assert client.get("/").status_code == 500
    assert client.get("/health").status_code == 200
    until(lambda: client.get("/").status_code == 200, 20, "the page to come back")


@pytest.mark.parametrize(("fault", "status"), [("bad-response", 500), ("wrong-content", 200)])
def test_a_fault_takes_the_marker_away(stock: Stock, fault: str, status: int) -> None:
    faults = Faults()
    client = make_app(stock, faults).test_client()
    faults.apply(json.dumps({"fault": fault}))
    assert (client.get("/").status_code, MARKER in client.get("/").text) == (status, False)
    faults.apply('{"fault": null}')
    assert MARKER in client.get("/").text


def test_it_listens_on_this_machine_alone_unless_told_otherwise(tmp_path: Path) -> None:
    port = free_port()
    argv = [sys.executable, "-m", "demo", "app", "--port", str(port)]
    process = subprocess.Popen(
        argv, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        until(lambda: answers(port), 30, "the application")
        local = f"0100007F:{port:04X}"
        listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        assert [
            one for one in listening if one.endswith(f":{port:04X}") and one.split(":")[0] == "00000000"
        ] == []
        assert local in listening
        assert (tmp_path / "shop.db").exists()
    finally:
        process.terminate()
        assert process.wait(20) == 0


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/health", timeout=2).ok
    except requests.RequestException:
        return False
