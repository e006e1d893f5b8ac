"""With basic_auth_users in a web-config.yml: who passes, with what, and how often one may guess."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from flask.testing import FlaskClient

from core.web.live import LiveWebConfig
from core.web.users import Users
from remediator.server import THREADS
from remediator.web import create_app
from remediator.web.access import OPEN
from remediator.web.gate import MOST_CHECKED
from remediator.web.throttle import AT_ONCE
from tests.exporter.test_web_security import hashed
from tests.remediator.doubles import API, WEBHOOK, Lab, lab
from tests.remediator.test_sign_in import filled
from tests.signing_in import sign_in
from tests.waiting import until

USERS = {"ann": hashed("right"), "bob": hashed("also")}


def basic(user: str = "ann", password: str = "right") -> dict[str, str]:
    return {"Authorization": requests.auth._basic_auth_str(user, password)}


@contextmanager
def gated(folder: Path, **web: Any) -> Iterator[Lab]:
    (folder / "web.yml").write_text(yaml.safe_dump(web or {"basic_auth_users": USERS}))
    with lab(folder, start=False, web=LiveWebConfig(folder / "web.yml")) as found:
        yield found


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with gated(tmp_path_factory.mktemp("lab")) as found:
        yield found


@pytest.fixture
def client(standing: Lab) -> FlaskClient:
    """Return a client of an application of its own: nobody has guessed there yet."""
    return create_app(standing.remediator).test_client()


def test_nothing_is_told_without_a_password(standing: Lab, client: FlaskClient) -> None:
    client.environ_base["REMOTE_ADDR"] = "198.51.100.1"
    rules = list(create_app(standing.remediator).url_map.iter_rules())
    for rule in rules:
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            answer = client.open(filled(rule.rule), method=method)
            told = (rule.rule, method, answer.status_code)
            assert answer.status_code == 401, told
            kind = "Bearer" if rule.endpoint == "webhook.alertmanager" else "Basic"
            assert answer.headers["WWW-Authenticate"].startswith(kind), told
    assert client.get("/nowhere").status_code == 401
    assert len(OPEN) < len(rules)


def test_this_machine_may_ask_whether_it_lives_and_nothing_else(client: FlaskClient) -> None:
    for path, status in (("/-/healthy", 200), ("/-/ready", 200), ("/metrics", 401), ("/status", 401)):
        assert client.get(path).status_code == status, path


def test_the_right_password_leads_to_the_console_as_it_is(client: FlaskClient) -> None:
    assert client.get("/", headers=basic()).status_code == 303, "to the sign-in"
    for path in ("/login", "/metrics", "/-/healthy", "/-/ready", "/console.css"):
        assert client.get(path, headers=basic("bob", "also")).status_code == 200, path
    assert client.get("/api/v1/incidents", headers=basic()).status_code == 401, "nobody is signed in"


def test_who_is_signed_in_as_well_reads_pages_and_the_api(client: FlaskClient) -> None:
    client.environ_base["HTTP_AUTHORIZATION"] = basic()["Authorization"]
    sign_in(client)
    for path in ("/", "/pause", "/api/v1/incidents"):
        assert client.get(path).status_code == 200, path
    del client.environ_base["HTTP_AUTHORIZATION"]
    assert client.get("/").status_code == 401, "the session alone is not enough"


def test_tokens_open_what_they_are_for_and_nothing_else(client: FlaskClient) -> None:
    for path in ("/api/v1/incidents", "/metrics", "/-/healthy", "/-/ready"):
        assert client.get(path, headers=API).status_code == 200, path
    for path in ("/metrics", "/-/healthy", "/-/ready"):
        assert client.get(path, headers=WEBHOOK).status_code == 200, path
    for path in ("/", "/login", "/status", "/console.css"):
        assert client.get(path, headers=API).status_code == 401, path
        assert client.get(path, headers=WEBHOOK).status_code == 401, path
    assert client.get("/api/v1/incidents", headers=WEBHOOK).status_code == 401
    assert client.post("/-/reload", headers=WEBHOOK).status_code == 401
    assert client.post("/webhook/alertmanager", headers=API).status_code == 401


def test_the_webhook_takes_its_token_and_counts_who_has_none(standing: Lab) -> None:
    assert standing.post("www").status_code == 200
    before = standing.metric("sitemedic_notifications_total", outcome="unauthorized")
    for headers in ({}, basic(), {"Authorization": "Bearer wrong"}):
        assert standing.client.post("/webhook/alertmanager", json={}, headers=headers).status_code == 401
    assert standing.metric("sitemedic_notifications_total", outcome="unauthorized") == before + 3


def test_guesses_are_slowed_down_and_told_without_the_password(
    standing: Lab, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.get("/login", headers=basic()).status_code == 200
    before = standing.metric("sitemedic_sign_ins_total", outcome="wrong")
    answers = [client.get("/login", headers=basic("ann", f"planted-{n}")) for n in range(AT_ONCE + 2)]
    assert [one.status_code for one in answers] == [401] * AT_ONCE + [429, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert standing.metric("sitemedic_sign_ins_total", outcome="wrong") == before + AT_ONCE
    assert "wrong user or password" in caplog.text
    seen = str([vars(one) for one in caplog.records]) + "".join(one.text for one in answers)
    assert "planted-" not in seen
    assert client.get("/login", headers=basic()).status_code == 200, "who is known is not held up"
    assert client.get("/login", headers=basic("bob", "new-here")).status_code == 429
    elsewhere = {"REMOTE_ADDR": "198.51.100.7"}
    assert client.get("/login", headers=basic("bob", "also"), environ_base=elsewhere).status_code == 200


def test_passwords_that_are_being_checked_keep_only_a_few_threads(
    standing: Lab, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_CHECKED < THREADS / 2
    app, go_on, begun = client.application, threading.Event(), threading.Semaphore(0)
    statuses: list[int] = []

    def slow(_users: Users, _header: str) -> bool:
        begun.release()
        assert go_on.wait(60)
        return False

    def ask(number: int) -> None:
        guess, asker = basic("ann", f"guess {number}"), {"REMOTE_ADDR": f"198.51.100.{number}"}
        statuses.append(app.test_client().get("/login", headers=guess, environ_base=asker).status_code)

    assert client.get("/login", headers=basic()).status_code == 200
    monkeypatch.setattr(Users, "check", slow)
    askers = [threading.Thread(target=ask, args=(number,)) for number in range(MOST_CHECKED)]
    for one in askers:
        one.start()
    try:
        assert all(begun.acquire(timeout=60) for _ in askers)
        ask(100)
        assert statuses == [429]
        assert client.get("/login", headers=basic()).status_code == 200
    finally:
        go_on.set()
        for one in askers:
            one.join(60)
    assert statuses == [429] + [401] * MOST_CHECKED


def test_a_limit_of_requests_keeps_no_token_out(tmp_path: Path) -> None:
    with gated(tmp_path, rate_limit={"interval": "1h", "burst": 2}) as found:
        assert [found.client.get("/login").status_code for _ in range(3)] == [200, 200, 429]
        assert found.client.get("/metrics").status_code == 429
        assert found.client.get("/metrics", headers=WEBHOOK).status_code == 200
        assert found.client.get("/api/v1/incidents", headers=API).status_code == 200
        assert found.post("www").status_code == 200
        wrong = {"Authorization": "Bearer wrong"}
        assert found.client.post("/webhook/alertmanager", headers=wrong).status_code == 429


def test_headers_of_the_file_come_with_every_answer_but_replace_none_of_ours(tmp_path: Path) -> None:
    ours = {"X-Frame-Options": "sameorigin", "Strict-Transport-Security": "max-age=60"}
    with gated(tmp_path, http_server_config={"headers": ours}) as found:
        for path in ("/login", "/nowhere", "/api/v1/incidents"):
            headers = found.client.get(path).headers
            assert headers["Strict-Transport-Security"] == "max-age=60", path
            assert headers.getlist("X-Frame-Options") == ["DENY"], path


def test_new_users_come_in_and_old_ones_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remediator.service.RELOAD_EVERY", 0.05)
    with gated(tmp_path) as found:
        assert found.client.get("/login", headers=basic()).status_code == 200
        before = found.remediator.settings.web.rules
        (tmp_path / "web.yml").write_text(yaml.safe_dump({"basic_auth_users": {"ann": hashed("newer")}}))
        found.remediator.start()
        until(lambda: found.remediator.settings.web.rules is not before, 30, "the new users")
        assert found.client.get("/login", headers=basic("ann", "newer")).status_code == 200
        assert found.client.get("/login", headers=basic()).status_code == 401
        (tmp_path / "web.yml").write_text("basic_auth_users: {ann: planted-hash}")
        metric = "sitemedic_web_config_last_reload_successful"
        until(lambda: found.metric(metric) == 0, 30, "the refusal")
        assert found.client.get("/login", headers=basic("ann", "newer")).status_code == 200
