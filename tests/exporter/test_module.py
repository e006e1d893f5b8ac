import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from core.secrets import MASK
from exporter.matching.patterns import Pattern
from exporter.module import BUILT_IN, Module
from exporter.probers import PROBERS
from exporter.probers.http_options import HTTPOptions
from tests.exporter.loopback import http_module, tcp_module


def test_the_modules_that_need_no_file():
    assert set(BUILT_IN) == {"http_2xx", "tcp_connect", "dns", "icmp", "grpc", "unix", "heartbeat"}
    assert not any(module.complaints() for module in BUILT_IN.values())


def test_every_prober_has_a_key_in_a_module():
    assert {*PROBERS, "prober", "timeout"} == set(Module.model_fields)
    assert "http" in Module.model_json_schema()["properties"]


def test_a_module_of_blackbox_exporters_example_loads():
    module = Module.model_validate(
        {
            "prober": "http",
            "timeout": "5s",
            "http": {
                "valid_http_versions": ["HTTP/1.1", "HTTP/2.0"],
                "valid_status_codes": [],
                "method": "GET",
                "headers": {"Host": "vhost.example.com", "Accept-Language": "en-US"},
                "fail_if_body_not_matches_regexp": ["Download the latest version here"],
                "fail_if_header_matches": [{"header": "Set-Cookie", "allow_missing": True, "regexp": ".*"}],
                "tls_config": {"insecure_skip_verify": False},
                "preferred_ip_protocol": "ip4",
                "basic_auth": {"username": "u", "password": "mysecret"},
                "proxy_url": "http://127.0.0.1:3128",
                "body_size_limit": "1MB",
            },
        }
    )
    assert module.timeout == 5
    assert not module.complaints()
    assert "mysecret" not in repr(module)
    assert "mysecret" not in module.model_dump_json()
    assert json.loads(module.model_dump_json())["http"]["basic_auth"]["password"] == MASK


def test_a_module_that_cannot_be_used_loads_and_complains():
    module = Module.model_validate({"prober": "dns", "dns": {"dns_over_tls": True}})
    assert module.complaints() == [("dns.dns_over_tls", "needs transport_protocol: tcp")]


@pytest.mark.parametrize(
    ("http", "words"),
    [
        ({"fail_if_body_matches_regexp": ["(unclosed"]}, "RE2"),
        ({"fail_if_body_matches_regexp": [r"(a)\1"]}, "RE2"),
        ({"valid_status_codes": [99]}, "status such as 200"),
        ({"valid_status_codes": ["6xx"]}, "2xx"),
        ({"body_size_limit": "big"}, "512KB"),
        ({"method": "GET /"}, "HTTP method"),
        ({"headers": {"X": "a\r\nEvil: 1"}}, "one line"),
        ({"headers": {"X Y": "a"}}, "header's name"),
        ({"basic_auth": {"password": "a", "password_file": "b"}}, "not both"),
        ({"basic_auth": {"username": "a"}, "bearer_token": "b"}, "set one of"),
        ({"authorization": {"type": "Basic", "credentials": "x"}}, "basic_auth"),
        ({"body": "a", "body_file": "b"}, "not both"),
        ({"fail_if_ssl": True, "fail_if_not_ssl": True}, "not both"),
        ({"tls_config": {"ca": "a", "ca_file": "b"}}, "not both"),
        ({"tls_config": {"cert_file": "a"}}, "needs both"),
        ({"tls_config": {"min_version": "TLS13", "max_version": "TLS12"}}, "above max_version"),
        ({"valid_http_versions": ["1.1"]}, "HTTP/1.1"),
        ({"unknown": 1}, "Extra inputs"),
    ],
)
def test_wrong_options_are_refused_with_the_mend(http: dict[str, object], words: str):
    with pytest.raises(ValidationError, match=words):
        http_module(**http)


def test_a_wrong_pattern_is_not_also_told_on_stderr(capfd: pytest.CaptureFixture[str]):
    with pytest.raises(ValueError, match="RE2"):
        Pattern("(")
    assert capfd.readouterr().err == ""


def test_an_unknown_prober_is_refused_with_those_there_are():
    with pytest.raises(ValidationError, match="http, tcp"):
        Module.model_validate({"prober": "gopher"})


def test_what_a_site_expects_narrows_a_copy_of_its_module():
    plain = http_module(fail_if_body_not_matches_regexp=["a"], valid_status_codes=[200])
    narrowed = plain.expecting((404,), Pattern("b"))
    options = narrowed.options
    assert isinstance(options, HTTPOptions)
    assert options.valid_status_codes == (404,)
    assert [pattern.text for pattern in options.fail_if_body_not_matches_regexp] == ["a", "b"]
    assert plain.expecting() is plain
    assert plain.options is not options
    with pytest.raises(ValueError, match="http only"):
        tcp_module().expecting((200,))


def test_paths_start_from_the_files_folder_and_unreadable_ones_are_named(tmp_path: Path):
    (tmp_path / "token").write_text("x")
    module = http_module(
        basic_auth={"username": "u", "password_file": "missing"},
        tls_config={"ca_file": "token"},
        body_file="/etc/hostname",
    ).rooted(tmp_path)
    options = module.options
    assert isinstance(options, HTTPOptions)
    assert options.tls_config.ca_file == tmp_path / "token"
    assert options.body_file == Path("/etc/hostname")
    [(key, _, message)] = module.unreadable_files()
    assert key == "http.basic_auth.password_file"
    assert str(tmp_path / "missing") in message
