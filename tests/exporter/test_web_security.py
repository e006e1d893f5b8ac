"""--web.config.file, with a real exporter and beside the real blackbox_exporter."""

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import requests
import trustme
import yaml

from stack.programs import find_program
from tests.exporter.running import ROOT, write
from tests.exporter.test_exporter_cli import exporter_ends
from tests.ports import free_port
from tests.waiting import until

MODULES = {"modules": {"http_2xx": {"prober": "http"}}}


def hashed(password: str, cost: int = 4) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


@dataclass
class Secured:
    """An exporter behind a web configuration."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes]"
    authority: trustme.CA

    @property
    def web_config(self) -> Path:
        return self.folder / "web.yml"

    def get(self, path: str = "/-/healthy", scheme: str = "https", **options: Any) -> requests.Response:
        url = f"{scheme}://localhost:{self.port}{path}"
        return requests.get(url, verify=str(self.folder / "ca.pem"), timeout=10, **options)

    def status(self, **options: Any) -> int:
        """Return the status of an answer, 0 where there was none."""
        try:
            return self.get(**options).status_code
        except requests.RequestException:
            return 0

    def serial(self) -> str:
        """Return the serial number of the certificate that it shows."""
        trusting = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        with (
            socket.create_connection(("localhost", self.port)) as plain,
            trusting.wrap_socket(plain, server_hostname="localhost") as wrapped,
        ):
            shown = wrapped.getpeercert()
            assert shown is not None
            return str(shown["serialNumber"])

    def said(self) -> str:
        return (self.folder / "log").read_text()


def certify(authority: trustme.CA, folder: Path) -> None:
    """Write a new certificate for localhost, in one step a file."""
    leaf = authority.issue_cert("localhost")
    for name, blob in (("cert.pem", leaf.cert_chain_pems[0]), ("key.pem", leaf.private_key_pem)):
        (folder / f"{name}.new").write_bytes(blob.bytes())
        (folder / f"{name}.new").replace(folder / name)


@contextmanager
def secured(folder: Path, web_config: dict[str, Any], scheme: str, program: list[str]) -> Iterator[Secured]:
    folder.mkdir(exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certify(authority, folder)
    write(folder / "blackbox.yml", MODULES)
    write(folder / "web.yml", web_config)
    port = free_port()
    command = [
        *program,
        f"--config.file={folder / 'blackbox.yml'}",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--web.config.file={folder / 'web.yml'}",
    ]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
    running = Secured(folder, port, process, authority)
    try:
        until(lambda: f":{port}" in running.said(), 20, "the exporter to listen")
        yield running
    finally:
        process.terminate()
        process.wait(10)


OURS = [str(ROOT / ".venv/bin/python"), "-m", "exporter", "--config.auto-reload-interval=0.2"]
TLS = {"cert_file": "cert.pem", "key_file": "key.pem"}


@pytest.fixture(params=["ours", "theirs"])
def program(request: pytest.FixtureRequest) -> list[str]:
    if request.param == "ours":
        return OURS
    found = find_program("prometheus-blackbox-exporter")
    if found is None:
        pytest.skip("prometheus-blackbox-exporter is not installed")
    return [str(found)]


def test_passwords_let_in_only_who_has_one_with_blackbox_exporter_too(
    tmp_path: Path, program: list[str]
) -> None:
    users = {"ann": hashed("right"), "bob": hashed("z" * 72), "umlaut": hashed("käse")}
    with secured(tmp_path, {"basic_auth_users": users}, "http", program) as running:
        refused = running.get(scheme="http")
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Basic")
        for user, password, status in (
            ("ann", "right", 200),
            ("ann", "wrong", 401),
            ("ann", "", 401),
            ("bob", "z" * 72, 200),
            ("bob", "z" * 90, 200),
            ("nobody", "right", 401),
            ("umlaut", "käse", 200),
        ):
            credentials = (user.encode(), password.encode())
            assert running.status(scheme="http", auth=credentials) == status, (user, password)
            assert running.status(scheme="http", auth=credentials) == status, "remembered"
        assert running.status(scheme="http", headers={"Authorization": "Basic !!!"}) == 401
        assert running.status(scheme="http", headers={"Authorization": "Bearer right"}) == 401


def test_tls_and_client_certificates_are_asked_for_with_blackbox_exporter_too(
    tmp_path: Path, program: list[str]
) -> None:
    tls = {
        **TLS,
        "min_version": "TLS13",
        "client_auth_type": "RequireAndVerifyClientCert",
        "client_ca_file": "ca.pem",
    }
    with secured(tmp_path, {"tls_server_config": tls}, "https", program) as running:
        client = running.authority.issue_cert("prometheus.example")
        client.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "client.pem"))
        stranger = trustme.CA().issue_cert("prometheus.example")
        stranger.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "stranger.pem"))
        assert running.status(cert=str(tmp_path / "client.pem")) == 200
        assert running.status(cert=str(tmp_path / "stranger.pem")) == 0
        assert running.status() == 0
        assert running.status(scheme="http") in (0, 400)
        old = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        old.load_cert_chain(tmp_path / "client.pem")
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with (
            socket.create_connection(("localhost", running.port)) as plain,
            pytest.raises(ssl.SSLError),
        ):
            old.wrap_socket(plain, server_hostname="localhost")


def test_a_new_certificate_and_new_passwords_are_taken_up_without_a_restart(tmp_path: Path) -> None:
    first = {"tls_server_config": TLS, "basic_auth_users": {"ann": hashed("old")}}
    with secured(tmp_path, first, "https", OURS) as running:
        before = running.serial()
        certify(running.authority, tmp_path)
        until(lambda: running.serial() != before, 5, "the new certificate")
        assert running.status(auth=("ann", "old")) == 200
        write(running.web_config, first | {"basic_auth_users": {"ann": hashed("new")}})
        until(lambda: running.status(auth=("ann", "new")) == 200, 5, "the new password")
        assert running.status(auth=("ann", "old")) == 401
        ann = ("ann", "new")
        gauge = "sitemedic_web_config_last_reload_successful"
        write(running.web_config, first | {"basic_auth_users": {"ann": "plain"}})
        until(lambda: f"{gauge} 0.0" in running.get("/metrics", auth=ann).text, 5, "the refusal")
        assert "plain" not in running.said()
        (tmp_path / "key.pem").write_text("no key")
        named = {"tls_server_config": TLS | {"cert_file": "next.pem"}, "basic_auth_users": {}}
        write(running.web_config, named)
        until(lambda: "next.pem cannot be read" in running.said(), 5, "the missing certificate")
        assert running.status(auth=ann) == 200
        certify(running.authority, tmp_path)
        (tmp_path / "next.pem").write_bytes((tmp_path / "cert.pem").read_bytes())
        until(lambda: running.status() == 200, 5, "the file that it waited for")


@pytest.mark.full
def test_only_certificates_of_the_listed_names_come_in(tmp_path: Path) -> None:
    tls = {
        **TLS,
        "client_auth_type": "RequireAndVerifyClientCert",
        "client_ca_file": "ca.pem",
        "client_allowed_sans": ["prometheus.example"],
    }
    with secured(tmp_path, {"tls_server_config": tls}, "https", OURS) as running:
        for name, status in (("prometheus.example", 200), ("grafana.example", 403)):
            leaf = running.authority.issue_cert(name)
            leaf.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "client.pem"))
            assert running.status(cert=str(tmp_path / "client.pem")) == status


@pytest.mark.full
def test_headers_and_a_limit_of_requests_hold_for_every_answer(tmp_path: Path) -> None:
    web = {
        "http_server_config": {"headers": {"X-Frame-Options": "deny"}},
        "rate_limit": {"interval": "1h", "burst": 3},
    }
    with secured(tmp_path, web, "http", OURS) as running:
        answers = [running.get(path, scheme="http") for path in ("/", "/nowhere", "/metrics", "/")]
        assert [answer.status_code for answer in answers] == [200, 404, 200, 429]
        assert {answer.headers.get("X-Frame-Options") for answer in answers} == {"deny"}


def test_wrong_passwords_hold_nobody_up_who_is_known(tmp_path: Path) -> None:
    with secured(tmp_path, {"basic_auth_users": {"ann": hashed("right", 10)}}, "http", OURS) as running:
        ann = ("ann", "right")
        assert running.status(scheme="http", auth=ann) == 200
        sockets = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(20)]
        try:
            for number, asking in enumerate(sockets):
                guess = requests.auth._basic_auth_str("ann", f"guess {number}")
                asking.sendall(f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: {guess}\r\n\r\n".encode())
            began = time.monotonic()
            assert running.status(scheme="http", auth=ann) == 200
            assert time.monotonic() - began < 0.7, "20 wrong passwords take 1.5 s of bcrypt"
        finally:
            for asking in sockets:
                asking.close()


@pytest.mark.parametrize(
    ("web", "said"),
    [
        ({"basic_auth_users": {"ann": "geheim"}}, "web.yml: basic_auth_users.ann: must be a bcrypt hash"),
        ({"basic_auth_users": {"ann": "$2y$10$" + "!" * 53}}, "must be a bcrypt hash"),
        ({"basic_auth_user": {}}, "web.yml: basic_auth_user: unknown key (did you mean 'basic_auth_users'?)"),
        ({"tls_server_config": {"cert_file": "c"}}, "web.yml: tls_server_config: needs key_file"),
        ({"tls_server_config": {"cert_file": "c", "key_file": "k"}}, "cannot be read: No such file"),
        ({"tls_server_config": {**TLS, "client_auth_type": "RequireAnyClientCert"}}, "checks nobody"),
        ({"tls_server_config": {**TLS, "client_auth_type": "Verify"}}, "(got 'Verify')"),
        ({"tls_server_config": {**TLS, "client_ca_file": "c"}}, "without client_auth_type"),
        ({"tls_server_config": {**TLS, "min_version": "SSL3"}}, "tls_server_config.min_version"),
        (
            {"tls_server_config": {**TLS, "cipher_suites": ["TLS_WITH_NOTHING"]}},
            "cipher_suites: cannot be used",
        ),
        ({"http_server_config": {"headers": {"X-Own": "1"}}}, "the header X-Own cannot be set here"),
        ({"rate_limit": {"interval": "1s"}}, "burst must be at least 1"),
        (["x"], "must be a mapping"),
    ],
)
def test_a_web_configuration_that_cannot_be_used_is_told_before_the_start(
    tmp_path: Path, web: Any, said: str
) -> None:
    certify(trustme.CA(), tmp_path)
    (tmp_path / "web.yml").write_text(yaml.safe_dump(web))
    write(tmp_path / "blackbox.yml", MODULES)
    files = (f"--config.file={tmp_path / 'blackbox.yml'}", f"--web.config.file={tmp_path / 'web.yml'}")
    status, told = exporter_ends("--config.check", *files)
    assert (status, "geheim" in told) == (1, False)
    assert said in told
    assert exporter_ends(*files) == (1, told)


@pytest.mark.full
def test_suites_of_go_and_its_curves_are_known(tmp_path: Path) -> None:
    tls = {
        **TLS,
        "max_version": "TLS12",
        "cipher_suites": ["TLS_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"],
        "curve_preferences": ["CurveP256"],
    }
    with secured(tmp_path, {"tls_server_config": tls}, "https", OURS) as running:
        trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        with (
            socket.create_connection(("localhost", running.port)) as plain,
            trusting.wrap_socket(plain, server_hostname="localhost") as wrapped,
        ):
            assert wrapped.cipher() == ("ECDHE-ECDSA-CHACHA20-POLY1305", "TLSv1.2", 256)
