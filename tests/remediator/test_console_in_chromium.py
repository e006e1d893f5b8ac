"""The console in a real browser, without JavaScript, on a desk and on a phone."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from remediator.model.holds import Approval
from remediator.store import approvals as store_approvals
from tests.browser import Browser, browser
from tests.remediator.console_scene import scene, served_console
from tests.remediator.doubles import Lab
from tests.signing_in import PASSWORD

pytestmark = [pytest.mark.full, pytest.mark.needs("chromium"), pytest.mark.timeout(300)]

PAGES = (
    "/", "/containers", "/incidents", "/incidents?state=open", "/incidents/1", "/incidents/2",
    "/site?name=www", "/site?name=shop",
    "/approvals",
    "/pause", "/readiness", "/runbooks", "/runbooks/SiteDown", "/status", "/nowhere",
)  # fmt: skip


@dataclass
class Console:
    """A console with a scene behind it, and the browser in front."""

    lab: Lab
    url: str
    browser: Browser

    def sign_in(self, password: str = PASSWORD) -> None:
        self.browser.type("input[name=name]", "Ada Lovelace")
        self.browser.type("input[name=password]", password)
        self.browser.click("button.main")

    def answer(self) -> Approval:
        with self.lab.remediator.store.read() as connection:
            found = store_approvals.get(connection, 1)
        assert found is not None
        return found


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with (
        scene(tmp_path) as lab,
        served_console(lab) as url,
        browser(tmp_path / "chromium") as tab,
    ):
        yield Console(lab, url, tab)


@pytest.mark.parametrize("width", [390, 1280])
def test_a_person_signs_in_approves_and_pauses(console: Console, width: int) -> None:
    tab = console.browser
    tab.size(width, 844)
    tab.go(f"{console.url}/incidents/1")
    assert tab.path == "/login?next=/incidents/1"
    console.sign_in("not the password")
    assert "That is not the password" in tab.html
    tab.go(f"{console.url}/incidents/1")
    console.sign_in()
    assert tab.path == "/incidents/1"
    tab.click(".next a.button")
    assert tab.path == "/approvals"
    assert "FATAL: cannot allocate" in tab.html
    tab.click("button[value=approved]")
    assert "Restart container: approved." in tab.html
    assert (console.answer().answer, console.answer().answered_by) == ("approved", "Ada Lovelace")
    tab.click("nav a[href='/pause']")
    tab.type("input[name=reason]", "moving house")
    tab.click("form button.main")
    assert "Paused: all</strong> by Ada Lovelace" in tab.html
    assert "moving house" in tab.html
    tab.click(".who button")
    assert tab.path == "/login"
    tab.go(f"{console.url}/")
    assert tab.path == "/login?next=/"


def test_every_page_fits_its_screen_light_and_dark(console: Console) -> None:
    tab = console.browser
    tab.go(f"{console.url}/")
    console.sign_in()
    shots = os.environ.get("CONSOLE_SHOTS")
    for path in PAGES:
        for width, height, dark in ((1280, 800, False), (390, 844, True)):
            tab.size(width, height, dark)
            tab.go(console.url + path)
            assert tab.widest() <= width, (path, width)
            if shots:
                name = path.strip("/").replace("/", "-").replace("?", "-") or "overview"
                tab.shot(Path(shots) / f"{name}-{width}.png")


def test_a_link_in_a_mail_leads_in_though_the_cookie_is_strict(console: Console) -> None:
    """A web mailer is another site: at its link the browser sends no cookie."""
    tab = console.browser
    tab.go(f"{console.url}/")
    console.sign_in()
    with _web_mailer(f"{console.url}/incidents/1") as mailer:
        tab.go(mailer)
        tab.click("a")
        if "again=1" not in tab.path:
            tab.wait_for_page()
    assert tab.path == "/incidents/1?again=1"
    assert "Approve or deny" in tab.html


class _web_mailer:  # noqa: N801 - used like a function
    """A page at another host with a link in it."""

    def __init__(self, link: str) -> None:
        page = f"<!doctype html><a href='{link}'>the incident</a>".encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://localhost:{self._server.server_port}/"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
