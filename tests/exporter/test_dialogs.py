import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from benchmarks.faults.dialogs import SCRIPTS
from benchmarks.faults.peer import speaking
from exporter.exposition import probe_text
from exporter.labels import Labels
from exporter.lines import HEADERS, result_lines
from exporter.module import Module
from exporter.probers import ProbeLog
from exporter.reason import Reason
from exporter.result import Result
from tests.exporter.certificates import context, ends_in
from tests.exporter.loopback import probed, run, tcp_module


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def spoken(name: str, serves: ssl.SSLContext, *steps: Any, seconds: float = 5, **options: Any) -> Result:
    """Hold a dialog over TCP with the server of that name."""
    with speaking(SCRIPTS[name], serves) as target:
        return run(probed(target, tcp_module(query_response=steps, **options), seconds))


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    return context(authority, "127.0.0.1", days=30)


@pytest.mark.parametrize(
    ("server", "wanted", "reason", "flag"),
    [
        ("bytes", b"\x00\x01ok!", None, 0),
        ("bytes", b"\x00\x01", None, 0),
        ("bytes", b"\x00\x02ok!", Reason.BODY, 1),
        ("bytes", b"\x00\x01ok!!", Reason.TIMEOUT, 0),
        ("bytes_short", b"\x00\x01ok!", Reason.RESET, 0),
        ("silent", "x", Reason.TIMEOUT, 0),
    ],
)
def test_the_very_bytes_are_wanted(
    tls: ssl.SSLContext, server: str, wanted: bytes | str, reason: Reason | None, flag: int
):
    seconds = 0.5 if reason is Reason.TIMEOUT else 5
    result = spoken(server, tls, {"expect_bytes": wanted}, seconds=seconds)
    assert result.reason is reason
    assert f"\nprobe_failed_due_to_bytes {flag}\n" in probe_text(result)


def test_blackbox_exporter_s_own_postgresql_module_works_with_a_server_that_refuses_a_byte_too_many(
    tls: ssl.SSLContext, authority: trustme.CA
):
    steps = yaml.safe_load("[{send: !!binary AAAACATSFi8=}, {expect_bytes: S}, {starttls: true}]")
    result = spoken("postgres", tls, *steps, tls_config={"ca": authority.cert_pem.bytes().decode()})
    assert result.success
    assert result.tls is not None
    assert result.tls.earliest_expiry == ends_in(30)


def test_bytes_and_lines_may_follow_one_another(tls: ssl.SSLContext):
    result = spoken("banner", tls, {"expect_bytes": "SSH-"}, {"expect": "^2.0-Test"})
    assert result.success


def test_what_was_said_before_tls_is_not_taken_for_what_is_said_over_it(
    tls: ssl.SSLContext, authority: trustme.CA
):
    result = spoken(
        "injecting", tls, {"send": "STARTTLS"}, {"expect": "^220", "starttls": True}, {"expect": "^250"},
        seconds=0.5, tls_config={"ca": authority.cert_pem.bytes().decode()},
    )  # fmt: skip
    assert result.reason is Reason.TIMEOUT


def test_a_wrong_answer_is_told_with_its_words_and_is_no_silence(tls: ssl.SSLContext):
    result = spoken("other_stays", tls, {"expect": "^220"}, seconds=0.5)
    assert result.reason is Reason.BODY
    assert result.detail == "step 1: no line matched '^220'; the last one was '421 too busy'"


def test_the_log_tells_what_came_and_not_what_was_sent(tls: ssl.SSLContext):
    log = ProbeLog()
    with speaking(SCRIPTS["irc"], tls) as target:
        steps = [
            {"send": "NICK hunter2"}, {"send": "USER hunter2"},
            {"expect": "PING :(.*)", "send": "PONG $1"}, {"expect": " 001 "},
        ]  # fmt: skip
        assert run(probed(target, tcp_module(query_response=steps), log=log)).success
    said = "\n".join(log.lines)
    assert "Welcome" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("given", ["inline", "files", "mixed"])
def test_a_client_certificate_is_shown_however_it_is_given(tmp_path: Path, authority: trustme.CA, given: str):
    asking = context(authority, "127.0.0.1")
    asking.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(asking)
    own = authority.issue_cert("client.test")
    cert, key = own.cert_chain_pems[0].bytes(), own.private_key_pem.bytes()
    (tmp_path / "cert.pem").write_bytes(cert)
    (tmp_path / "key.pem").write_bytes(key)
    shown = {
        "inline": {"cert": cert.decode(), "key": key.decode()},
        "files": {"cert_file": tmp_path / "cert.pem", "key_file": tmp_path / "key.pem"},
        "mixed": {"cert": cert.decode(), "key_file": tmp_path / "key.pem"},
    }[given]
    trusting = {"ca": authority.cert_pem.bytes().decode()}
    steps = [{"expect": "^SSH"}]
    assert spoken("secure", asking, *steps, tls=True, tls_config=trusting | shown).success
    assert spoken("secure", asking, *steps, tls=True, tls_config=trusting).reason is Reason.TLS


def test_a_client_s_key_that_does_not_fit_is_an_error_of_ours(authority: trustme.CA, tls: ssl.SSLContext):
    one, other = authority.issue_cert("a.test"), authority.issue_cert("b.test")
    config = {"cert": one.cert_chain_pems[0].bytes().decode(), "key": other.private_key_pem.bytes().decode()}
    result = spoken("secure", tls, {"expect": "^SSH"}, tls=True, tls_config=config)
    assert result.reason is Reason.ERROR
    assert "tls_config cannot be used" in result.detail


def test_a_renewed_authority_file_counts_at_once(tmp_path: Path, authority: trustme.CA, tls: ssl.SSLContext):
    trusted = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(trusted))
    options = {"tls": True, "tls_config": {"ca_file": trusted}}
    assert spoken("secure", tls, {"expect": "^SSH"}, **options).reason is Reason.CERTIFICATE
    (tmp_path / "fresh.pem").write_bytes(authority.cert_pem.bytes())
    (tmp_path / "fresh.pem").replace(trusted)
    assert spoken("secure", tls, {"expect": "^SSH"}, **options).success


@pytest.mark.parametrize(("oldest", "newest"), [("TLS12", "TLS12"), ("TLS13", "TLS13"), ("TLS10", "TLS13")])
def test_the_tls_version_is_as_asked_for(
    tls: ssl.SSLContext, authority: trustme.CA, oldest: str, newest: str
):
    config = {"ca": authority.cert_pem.bytes().decode(), "min_version": oldest, "max_version": newest}
    result = spoken("secure", tls, {"expect": "^SSH"}, tls=True, tls_config=config)
    assert result.tls is not None
    assert result.tls.version == f"TLS 1.{newest[-1]}"
    assert result.tls.chain is not None
    assert result.phases.tls > 0


def test_an_expired_certificate_is_told_when_it_ended(authority: trustme.CA):
    ended = context(authority, "127.0.0.1", days=-3)
    config = {"ca": authority.cert_pem.bytes().decode()}
    result = spoken(
        "starting", ended, {"send": "STARTTLS"}, {"expect": "^220", "starttls": True}, tls_config=config
    )
    assert result.reason is Reason.CERTIFICATE
    assert result.detail == "certificate has expired"
    assert result.tls is not None
    assert result.tls.earliest_expiry == ends_in(-3)


def test_a_label_that_every_series_of_a_site_has_is_renamed(tls: ssl.SSLContext):
    step = {"expect": "^SSH-(.*)", "labels": [{"name": "site", "value": "$1"}]}
    lines = "".join(result_lines(spoken("banner", tls, step), Labels(site="shop", instance="x")))
    assert (
        'probe_expect_info{site="shop",instance="x",exported_site="2.0-Test_1.2 some comment"} 1\n' in lines
    )


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"expect": "(unclosed"}, "RE2"),
        ({"expect": "a", "expect_bytes": "a"}, "not both"),
        ({"labels": [{"name": "a", "value": "b"}]}, "labels need expect"),
        ({"expect": "a", "labels": [{"name": "1a", "value": "b"}]}, "label's name"),
        ({"expect": "a", "labels": [{"name": "a"}, {"name": "a"}]}, "once"),
        ({"expects": "a"}, "expects"),
    ],
)
def test_a_wrong_step_is_refused_when_the_file_is_read(step: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        tcp_module(query_response=[step])


def unix_module(**options: Any) -> Module:
    return Module.model_validate({"prober": "unix", "unix": options})


@pytest.mark.parametrize("form", ["{}", "unix://{}"])
def test_a_socket_of_this_machine_is_connected_to_and_spoken_with(
    tmp_path: Path, tls: ssl.SSLContext, form: str
):
    with speaking(SCRIPTS["banner"], tls, tmp_path / "x.sock") as path:
        result = run(probed(form.format(path), unix_module()))
        assert result.success
        assert 0 < result.phases.connect < 0.1
        spoken_with = run(probed(form.format(path), unix_module(query_response=[{"expect": "^SSH"}])))
    assert spoken_with.success
    text = probe_text(spoken_with)
    assert "\nprobe_failed_due_to_regex 0\n" in text
    assert "\nprobe_failed_due_to_bytes 0\n" in text
    assert not any(name in text for name in ("probe_ip_protocol", "probe_ip_addr_hash", "probe_dns_lookup"))


def test_a_socket_with_tls_needs_a_name_for_the_certificate(
    tmp_path: Path, tls: ssl.SSLContext, authority: trustme.CA
):
    config = {"ca": authority.cert_pem.bytes().decode()}
    assert unix_module(tls=True, tls_config=config).complaints()[0][0] == "unix.tls_config"
    named = unix_module(tls=True, tls_config={**config, "server_name": "127.0.0.1"})
    other = unix_module(tls=True, tls_config={**config, "server_name": "other.test"})
    with speaking(SCRIPTS["secure"], tls, tmp_path / "x.sock") as path:
        assert run(probed(path, named)).tls is not None
        assert run(probed(path, other)).reason is Reason.CERTIFICATE


@pytest.mark.parametrize(
    ("target", "reason", "words"),
    [
        ("{}/nothing.sock", Reason.REFUSED, "no such socket"),
        ("{}/file", Reason.REFUSED, "refused"),
        ("nothing.sock", Reason.ERROR, "whole path"),
        ("tcp://127.0.0.1:1", Reason.ERROR, "unix:///path"),
        ("unix://host/x.sock", Reason.ERROR, "whole path"),
        ("/" + "x" * 120, Reason.ERROR, "107 bytes"),
    ],
)
def test_what_is_no_socket_has_its_reason(tmp_path: Path, target: str, reason: Reason, words: str):
    (tmp_path / "file").touch()
    result = run(probed(target.format(tmp_path), unix_module()))
    assert result.reason is reason
    assert words in result.detail


def test_each_family_is_headed_once_though_two_protocols_tell_it():
    assert len(set(HEADERS)) == len(HEADERS)
    assert sum("probe_expect_info" in header for header in HEADERS) == 1
