"""Who gets in, and what a stranger, or a page elsewhere, cannot do."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from core.secrets import Secret
from remediator.store.database import remove_pause
from remediator.web import create_app
from remediator.web.access import OPEN
from remediator.web.sign_in import LASTS
from remediator.web.texts import local_path
from remediator.web.throttle import AT_ONCE, EVERY, Throttle
from tests.remediator.doubles import API, Lab, lab
from tests.signing_in import HERE, PASSWORD, send, sign_in, token_in


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab(tmp_path_factory.mktemp("lab"), start=False) as found:
        yield found


@pytest.fixture
def idle(standing: Lab) -> Iterator[Lab]:
    """One lab for all, with an application and a browser of its own for each."""
    yield replace(standing, client=create_app(standing.remediator).test_client())
    with standing.remediator.store.write() as connection:
        remove_pause(connection, "all", "", 0)


def tried(client: FlaskClient, password: str, name: str = "Ada", **headers: str) -> TestResponse:
    form = {"csrf": token_in(client.get("/login").text), "name": name, "password": password}
    return client.post("/login", data=form, headers={**HERE, **headers})


def filled(rule: str) -> str:
    return (
        rule.replace("<int:incident_id>", "1").replace("<int:approval_id>", "1").replace("<name>", "SiteDown")
    )


def test_nothing_but_what_is_listed_is_told_to_a_stranger(idle: Lab) -> None:
    app = create_app(idle.remediator)
    stranger = app.test_client()
    asked = 0
    for rule in app.url_map.iter_rules():
        if rule.endpoint in OPEN:
            continue
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            asked += 1
            answer = stranger.open(filled(rule.rule), method=method, headers=HERE)
            told = (rule.rule, method, answer.status_code)
            if rule.rule.startswith(("/api/", "/-/")):
                assert answer.status_code == 401, told
                assert answer.headers["WWW-Authenticate"] == "Bearer"
            elif method == "GET":
                assert answer.status_code == 303, told
                assert urlsplit(answer.headers["Location"]).path == "/login"
            else:
                assert answer.status_code == 403, told
    assert asked > 15


def test_what_is_open_is_this_and_no_more(idle: Lab) -> None:
    rules = create_app(idle.remediator).url_map.iter_rules()
    assert {one.rule for one in rules if one.endpoint in OPEN} == {
        "/metrics", "/-/healthy", "/-/ready", "/webhook/alertmanager", "/login", "/console.css",
        "/runbooks/<name>", "/status", "/status.json",
    }  # fmt: skip


def test_what_is_open_needs_no_session(idle: Lab) -> None:
    for path in ("/metrics", "/-/healthy", "/-/ready", "/login", "/console.css", "/runbooks/SiteDown"):
        assert idle.client.get(path).status_code == 200, path
    assert "Paused" not in idle.client.get("/runbooks/SiteDown").text


def test_after_signing_in_one_lands_where_the_link_led(idle: Lab) -> None:
    sent = idle.client.get("/incidents/7?x=1&y=%2F")
    wanted = parse_qs(urlsplit(sent.headers["Location"]).query)["next"][0]
    assert wanted == "/incidents/7?x=1&y=%2F"
    assert sign_in(idle.client, to=wanted).headers["Location"] == wanted
    assert idle.client.get("/login?next=/pause").headers["Location"] == "/pause"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
        "javascript:alert(1)", "/x\r\nSet-Cookie: a=b", "", "evil", "/login?next=/", "/logout", " //evil",
        "/\x00", "http:/evil.example", "/%0d%0a\nX: y", "/" + "x" * 3000,
    ],
)  # fmt: skip
def test_one_is_sent_to_no_other_place(idle: Lab, elsewhere: str) -> None:
    assert local_path(elsewhere) == "/"
    answer = sign_in(idle.client, to=elsewhere)
    assert answer.headers["Location"] == "/"
    assert not {"X", "a"} & set(answer.headers.keys())


def test_a_form_keeps_to_our_own_pages_too(idle: Lab) -> None:
    sign_in(idle.client)
    answer = send(idle.client, "/pause", scope="all", reason="x", back="//evil.example/")
    assert answer.headers["Location"] == "/pause"


def test_a_wrong_password_lets_nobody_in_and_is_told_without_it(
    idle: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    before = idle.metric("sitemedic_sign_ins_total", outcome="wrong")
    answer = tried(idle.client, "planted-guess")
    assert answer.status_code == 403
    assert "planted-guess" not in answer.text
    assert idle.client.get("/").status_code == 303
    assert idle.metric("sitemedic_sign_ins_total", outcome="wrong") == before + 1
    assert "wrong password at the console" in caplog.text
    assert "planted-guess" not in str([vars(one) for one in caplog.records])


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\x07b"])
def test_who_signs_in_says_a_name(idle: Lab, name: str) -> None:
    assert tried(idle.client, PASSWORD, name).status_code == 400
    assert idle.client.get("/").status_code == 303


def test_without_a_password_nobody_can_sign_in(tmp_path: Path) -> None:
    with lab(tmp_path, start=False, console_password=None) as found:
        assert "Nobody can sign in" in found.client.get("/login").text
        for guess in ("", "None", PASSWORD):
            assert tried(found.client, guess).status_code == 403


@pytest.mark.parametrize("token", [None, "", "wrong", "é"])
@pytest.mark.parametrize("path", ["/pause", "/resume", "/approvals/1", "/logout"])
def test_a_form_without_the_sessions_token_does_nothing(idle: Lab, path: str, token: str | None) -> None:
    sign_in(idle.client)
    form = {"scope": "all", "verdict": "approved", "reason": "x"} | (
        {"csrf": token} if token is not None else {}
    )
    assert idle.client.post(path, data=form, headers=HERE).status_code == 403
    assert idle.client.get("/api/v1/pause", headers=API).json == {"pauses": []}
    assert idle.client.get("/pause").status_code == 200, "and is still signed in"


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "http://localhost.evil.example", "http://localhost:81"]
)
def test_a_form_from_elsewhere_does_nothing(idle: Lab, origin: str | None) -> None:
    sign_in(idle.client)
    token = token_in(idle.client.get("/pause").text)
    headers = {} if origin is None else {"Origin": origin}
    form = {"csrf": token, "scope": "all", "reason": "x"}
    assert idle.client.post("/pause", data=form, headers=headers).status_code == 403
    assert idle.client.get("/api/v1/pause", headers=API).json == {"pauses": []}


def test_behind_a_proxy_the_forms_come_from_the_public_address(idle: Lab) -> None:
    sign_in(idle.client)
    form = {"csrf": token_in(idle.client.get("/pause").text), "scope": "all", "reason": "x"}
    there = {"Origin": "http://console.example"}
    assert idle.client.post("/pause", data=form, headers=there).status_code == 303


def test_a_session_reads_the_api_and_changes_nothing_through_it(idle: Lab) -> None:
    sign_in(idle.client)
    assert idle.client.get("/api/v1/incidents").status_code == 200
    assert idle.client.post("/api/v1/pause", json={"scope": "all"}, headers=HERE).status_code == 401
    assert idle.client.delete("/api/v1/pause", json={"scope": "all"}, headers=HERE).status_code == 401
    assert idle.client.post("/-/reload", headers=HERE).status_code == 401


def test_the_api_token_opens_no_page(idle: Lab) -> None:
    assert idle.client.get("/", headers=API).status_code == 303
    assert idle.client.post("/pause", data={"scope": "all"}, headers={**API, **HERE}).status_code == 403


def test_a_session_outlives_a_restart_and_ends_with_the_password(tmp_path: Path) -> None:
    def client_of(found: Lab, cookie: str) -> FlaskClient:
        client = create_app(found.remediator).test_client()
        client.set_cookie("sitemedic_session", cookie)
        return client

    with lab(tmp_path, start=False) as first:
        sign_in(first.client)
        kept = first.client.get_cookie("sitemedic_session")
        assert kept is not None
    with lab(tmp_path, start=False) as again:
        assert client_of(again, kept.value).get("/").status_code == 200
    with lab(tmp_path, start=False, console_password=Secret("another-password")) as changed:
        assert client_of(changed, kept.value).get("/").status_code == 303


def test_a_session_ends_by_itself_and_by_signing_out(idle: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(idle.client)
    later = time.time() + LASTS + 1
    with monkeypatch.context() as moved:
        moved.setattr("remediator.web.sign_in.time.time", lambda: later)
        assert idle.client.get("/").status_code == 303
    assert idle.client.get("/").status_code == 200
    assert send(idle.client, "/logout").status_code == 303
    assert idle.client.get("/").status_code == 303


def test_the_cookie_is_kept_from_scripts_and_from_other_sites(tmp_path: Path) -> None:
    with lab(tmp_path, start=False) as found:
        cookies = sign_in(found.client).headers.getlist("Set-Cookie")
        assert len(cookies) == 2
        assert all("HttpOnly" in one and "SameSite=Strict" in one for one in cookies)
        assert not any("Secure" in one for one in cookies)
        assert PASSWORD not in str(cookies)


def test_behind_https_the_cookie_is_never_sent_in_the_open(tmp_path: Path) -> None:
    with lab(tmp_path, start=False, console_url="https://console.example") as found:
        found.client.environ_base["HTTP_ORIGIN"] = "https://console.example"
        with_tls = {"base_url": "https://localhost"}
        token = token_in(found.client.get("/login", **with_tls).text)
        form = {"csrf": token, "name": "Ada", "password": PASSWORD}
        answer = found.client.post("/login", data=form, **with_tls)
        assert answer.status_code == 303
        assert all("Secure" in one for one in answer.headers.getlist("Set-Cookie"))


def test_a_link_from_a_mail_is_followed_once_more_from_our_own_page(idle: Lab) -> None:
    answer = idle.client.get("/incidents/7?x=%22%3E", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert 'content="0;url=/incidents/7?x=%22%3E&amp;again=1"' in answer.text
    assert (
        idle.client.get("/incidents/7?again=1", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 303
    )


def test_guesses_are_slowed_down(idle: Lab) -> None:
    codes = [tried(idle.client, f"guess-{number}").status_code for number in range(AT_ONCE + 2)]
    assert codes == [403] * AT_ONCE + [429, 429]
    refused = tried(idle.client, PASSWORD)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= EVERY + 1


def test_a_strangers_guesses_do_not_keep_out_who_has_been_in_before(idle: Lab) -> None:
    owner = create_app(idle.remediator).test_client()
    app = owner.application
    sign_in(owner)
    send(owner, "/logout")
    stranger = app.test_client()
    while tried(stranger, "guess").status_code != 429:
        pass
    assert sign_in(owner).headers["Location"] == "/"
    assert owner.get("/").status_code == 200


def test_the_throttle_lets_one_more_every_few_seconds_and_forgets_the_quiet() -> None:
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    assert [throttle.try_now("a") for _ in range(AT_ONCE)] == [0.0] * AT_ONCE
    assert 0 < throttle.try_now("a") <= EVERY
    assert throttle.try_now("b") == 0.0
    now[0] += EVERY
    assert throttle.try_now("a") == 0.0
    assert throttle.try_now("a") > 0
    throttle.forgive("a")
    assert throttle.try_now("a") == 0.0
    for number in range(10_000):
        throttle.try_now(str(number))
    assert len(throttle._free_at) <= 4096


def test_every_answer_is_confined(idle: Lab) -> None:
    for path in ("/login", "/console.css", "/metrics", "/nowhere", "/api/v1/pause", "/status"):
        headers = idle.client.get(path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'"), path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
    sign_in(idle.client)
    page = idle.client.get("/")
    assert page.headers["Cache-Control"] == "no-store"
    assert "<script" not in page.text
    assert "://" not in page.text
    assert " style=" not in page.text
