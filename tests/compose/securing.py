"""The console of the composed stack with TLS and passwords, set up as docs/security.md says."""

import os
from pathlib import Path

import requests
import trustme
import yaml

from tests.compose.running import OWNER, PORTS, ComposeStack
from tests.exporter.test_web_security import TLS, certify, hashed
from tests.signing_in import token_in

USER, PASSWORD = "ann", "right-hunter2"
URL = f"https://localhost:{PORTS['remediator']}"
FILES = ("web.yml", "cert.pem", "key.pem")
CONCERNED = ("remediator", "alertmanager", "prometheus")
ALONE = "alone"
_OPENED = """
services:
  remediator:
    ports: !override ["9096:9096"]
"""


def secure(stack: ComposeStack) -> None:
    """Give the console a certificate and a password, open it, and start anew what must know of it."""
    authority = trustme.CA()
    certify(authority, stack.config)
    web = {"tls_server_config": TLS, "basic_auth_users": {USER: hashed(PASSWORD)}}
    (stack.config / "web.yml").write_text(yaml.safe_dump(web))
    for name in FILES:
        _only_for_its_owner(stack.config / name)
    with (stack.config / ".env").open("a") as file:
        file.write(f"CONSOLE_WEB_CONFIG_FILE=web.yml\nCONSOLE_LISTEN=0.0.0.0\nPUBLIC_URL={URL}\n")
    (stack.project / "docker-compose.override.yml").write_text(_OPENED)
    stack.up("--force-recreate", services=CONCERNED)
    stack.authority = stack.project / "authority.pem"
    authority.cert_pem.write_to_path(str(stack.authority))


def exporter_alone(stack: ComposeStack) -> str:
    """Start an exporter beside the stack's with the same web-config.yml; return its address."""
    for name in FILES:
        (stack.config / name).chmod(0o640)  # it runs as nobody, in its owner's group
    stack.compose(
        *("run", "--detach", "--no-deps", "--name", ALONE, "--publish", "127.0.0.1:9116:9115"),
        *("exporter", "exporter", "--config.file=/config/sites.yml", "--web.listen-address=0.0.0.0:9115"),
        *("--storage.path=/tmp/exporter", "--web.config.file=/config/web.yml"),
    )
    return "https://localhost:9116/"


def status(stack: ComposeStack, url: str, user: tuple[str, str] | None = None) -> int:
    """Return the status of an answer, 0 where there was none."""

    def call() -> int:
        try:
            return requests.get(url, auth=user, verify=str(stack.authority), timeout=10).status_code
        except requests.ConnectionError:
            return 0

    return stack.within(call)


def first_page(stack: ComposeStack) -> str:
    """Sign in as a browser does that knows the password before the console; return what it then sees."""
    password = stack.made("console_password")

    def call() -> str:
        browser = requests.Session()
        browser.trust_env, browser.auth, browser.verify = False, (USER, PASSWORD), str(stack.authority)
        token = token_in(browser.get(f"{URL}/login", timeout=10).text)
        form = {"csrf": token, "name": "Ada", "password": password}
        return browser.post(f"{URL}/login", data=form, headers={"Origin": URL}, timeout=10).text

    return stack.within(call)


def _only_for_its_owner(path: Path) -> None:
    path.chmod(0o600)
    os.chown(path, OWNER, OWNER)
