"""Signing in to the console, as a browser does: read the form, send it back from the same place."""

import re

import requests
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

PASSWORD = "console-password"
HERE = {"Origin": "http://localhost"}
_TOKEN = re.compile(r'name="csrf" value="([^"]+)"')


def token_in(page: str) -> str:
    """Return the token that a page's forms carry."""
    found = _TOKEN.search(page)
    assert found is not None, page
    return found[1]


def sign_in(client: FlaskClient, name: str = "Ada", password: str = PASSWORD, to: str = "/") -> TestResponse:
    """Sign in with Flask's client."""
    token = token_in(client.get("/login").text)
    form = {"csrf": token, "name": name, "password": password, "next": to}
    return client.post("/login", data=form, headers=HERE)


def send(client: FlaskClient, path: str, page: str = "/pause", **form: str) -> TestResponse:
    """Send a form of a page of the console."""
    return client.post(path, data={"csrf": token_in(client.get(page).text), **form}, headers=HERE)


def signed_in(url: str, password: str, name: str = "Ada") -> requests.Session:
    """Return a browser, as it were, that is signed in to a running console."""
    browser = requests.Session()
    browser.trust_env = False
    form = {
        "csrf": token_in(browser.get(f"{url}/login", timeout=10).text),
        "name": name,
        "password": password,
    }
    answer = browser.post(f"{url}/login", data=form, headers={"Origin": url}, timeout=10)
    assert "Sign out" in answer.text, answer.text
    return browser
