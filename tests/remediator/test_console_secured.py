"""The console behind a web-config.yml, as a process: TLS, passwords, new ones of both, and its end."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from stack.ready import ready
from tests.exporter.test_web_security import hashed
from tests.remediator.secured import API_TOKEN, TLS, WEBHOOK_TOKEN, secured_console, sign_in
from tests.remediator.test_gate import basic
from tests.signing_in import PASSWORD, token_in
from tests.waiting import until

WEB = {"tls_server_config": TLS, "basic_auth_users": {"ann": hashed("planted-old")}}
PLANTED = (PASSWORD, API_TOKEN, WEBHOOK_TOKEN, "planted-")


def test_a_browser_and_programs_use_it_while_others_are_silent_and_it_ends_at_once(tmp_path: Path) -> None:
    with secured_console(tmp_path, WEB) as running, ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(running.tcp())
        idle = stack.enter_context(running.tls())
        assert running.ask("/login").headers["WWW-Authenticate"].startswith("Basic")
        assert running.status("/login", headers=basic("ann", "planted-wrong")) == 401

        browser = running.browser()
        browser.auth = ("ann", "planted-old")
        cookies = sign_in(running, browser)
        assert cookies.status_code == 303
        assert cookies.headers["Set-Cookie"].count("Secure") == 2
        form = {"csrf": token_in(browser.get(f"{running.url}/pause", timeout=20).text), "scope": "all"}
        paused = browser.post(
            f"{running.url}/pause", data=form | {"reason": "why"}, headers={"Origin": running.url}, timeout=20
        )
        assert paused.status_code == 200
        elsewhere = {"Origin": running.url.replace("https", "http")}
        refused = browser.post(f"{running.url}/pause", data=form, headers=elsewhere, timeout=20)
        assert refused.status_code == 403

        api = {"Authorization": f"Bearer {API_TOKEN}"}
        assert len(running.ask("/api/v1/pause", headers=api).json()["pauses"]) == 1
        webhook = {"Authorization": f"Bearer {WEBHOOK_TOKEN}"}
        body = {"version": "4", "groupKey": "k", "status": "firing", "receiver": "r", "alerts": []}
        assert running.status("/webhook/alertmanager", method="POST", json=body, headers=webhook) == 200
        assert running.status("/metrics", headers=webhook) == 200
        assert ready(running.port), "Docker's health check"
        running.process.terminate()
        assert running.process.wait(30) == 0
        assert not ready(running.port)
        assert idle.recv(1) == b""
    said = running.said()
    assert "person=Ada address=127.0.0.1" in said
    assert [one for one in PLANTED if one in said] == []
    assert "Traceback" not in said


@pytest.mark.full
def test_a_new_certificate_and_new_users_need_no_restart_and_a_faulty_file_changes_nothing(
    tmp_path: Path,
) -> None:
    with secured_console(tmp_path, WEB) as running:
        before = running.serial()
        with running.tls():
            running.certify()
            until(lambda: running.serial() != before, 30, "the new certificate")
        renewed = WEB | {"basic_auth_users": {"ann": hashed("planted-new")}}
        running.rewrite(renewed)
        until(lambda: running.said().count("web configuration taken up") >= 2, 30, "the new users")
        new = basic("ann", "planted-new")
        assert running.status("/login", headers=new) == 200
        assert running.status("/login", headers=basic("ann", "planted-old")) == 401
        running.rewrite(WEB | {"basic_auth_users": {"ann": "planted-hash"}})
        gauge = "sitemedic_web_config_last_reload_successful"
        until(lambda: f"\n{gauge} 0.0" in running.ask("/metrics", headers=new).text, 30, "the refusal")
        assert "the old one holds" in running.said()
        (tmp_path / "key.pem").write_text("planted-key")
        running.rewrite(renewed)
        until(lambda: "key.pem" in running.said().partition("the old one holds")[2], 30, "the faulty key")
        assert running.status("/login", headers=new) == 200
        running.certify()
        until(lambda: f"\n{gauge} 1.0" in running.ask("/metrics", headers=new).text, 30, "the mended file")
        assert [one for one in PLANTED if one in running.said()] == []


@pytest.mark.full
def test_passwords_go_without_tls_too(tmp_path: Path) -> None:
    with secured_console(tmp_path, {"basic_auth_users": {"ann": hashed("right")}}) as running:
        assert (running.status("/login"), running.status("/login", headers=basic())) == (401, 200)
