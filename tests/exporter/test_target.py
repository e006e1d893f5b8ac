import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.reason import Kind, Reason
from exporter.target import TargetError, instance, parse_host_target, parse_web_target


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("https://me:hunter2@shop.example:8443/a?token=x#y", "https://shop.example:8443/a"),
        ("shop.example/a?x=1", "shop.example/a"),
        ("tcp://10.0.0.21:6379", "tcp://10.0.0.21:6379"),
        ("https://medium.example/@user/post", "https://medium.example/@user/post"),
        ("http://me:hun/ter2@shop.example/", "http://shop.example/"),
        ("http://me@you@shop.example/", "http://shop.example/"),
        ("http://[::1]:80/", "http://[::1]:80/"),
    ],
)
def test_an_instance_is_the_target_without_credentials_and_query(target: str, shown: str):
    assert instance(target).rstrip("/") == shown.rstrip("/")


@given(st.text(alphabet="abc:/@%?#[]é", max_size=12).filter(lambda text: "@" not in text))
def test_no_password_is_ever_shown(password: str):
    assert "S3CRET" not in instance(f"http://me:{password}S3CRET@shop.example/path")


@pytest.mark.parametrize(
    ("target", "url", "host", "port"),
    [
        ("shop.example", "http://shop.example/", "shop.example", 80),
        ("HTTPS://Shop.Example:8443/A?b=%20", "https://shop.example:8443/A?b=%20", "shop.example", 8443),
        ("http://bücher.example/ü", "http://xn--bcher-kva.example/%C3%BC", "xn--bcher-kva.example", 80),
        ("http://0x7f.1/", "http://127.0.0.1/", "127.0.0.1", 80),
        ("https://[::1]/", "https://[::1]/", "::1", 443),
        ("http://me:x@h:80/#top", "http://h/", "h", 80),
    ],
)
def test_urls_are_read_as_libcurl_reads_them(target: str, url: str, host: str, port: int):
    web = parse_web_target(target)
    assert (web.url, web.host, web.port) == (url, host, port)


def test_credentials_are_taken_out_and_decoded():
    web = parse_web_target("http://m%40e:p%2Fw@shop.example/")
    assert (web.username, web.password) == ("m@e", "p/w")
    assert "p%2Fw" not in web.url


@pytest.mark.parametrize(
    "target",
    [
        "",
        "http://",
        "http:///x",
        "ftp://h/",
        "http://h:99999/",
        "http://a b/",
        "http://h\\@x/",
        "http://h/\r\nX: 1",
        "http://a@b@c/",
        "http://-ü.example/",
    ],
)
def test_what_is_no_url_is_refused(target: str):
    with pytest.raises(TargetError):
        parse_web_target(target)


@pytest.mark.parametrize(
    ("target", "host", "port", "tls"),
    [("h:80", "h", 80, False), ("tcp://[::1]:22", "::1", 22, False), ("tls://H:443/", "h", 443, True)],
)
def test_hosts_and_ports(target: str, host: str, port: int, tls: bool):
    read = parse_host_target(target)
    assert (read.host, read.port, read.tls) == (host, port, tls)


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("//me:hunter2@shop.example/", "//shop.example"),
        ("https:///me:hunter2@shop.example/", "https://shop.example"),
        ("https://me:hunter#2@shop.example/a", "https://shop.example/a"),
        ("https://me:hunter?2@shop.example/a", "https://shop.example/a"),
        ("https://shop.example/?to=a@b", "https://shop.example/"),
        ("https://shop.example:8443?to=a@b", "https://shop.example:8443"),
    ],
)
def test_a_password_that_breaks_the_address_is_not_shown(target: str, shown: str):
    assert instance(target).removeprefix("//").rstrip("/") == shown.removeprefix("//").rstrip("/")


@pytest.mark.parametrize("target", ["h", "tcp://h", "http://h:80", "h:0x50", "h:80/x", "me:pw@h:80", ""])
def test_what_is_no_host_and_port_is_refused_without_showing_a_secret(target: str):
    with pytest.raises(TargetError) as caught:
        parse_host_target(target)
    assert "pw" not in str(caught.value)


def test_every_reason_is_of_one_kind():
    kinds = {kind: {reason for reason in Reason if reason.kind is kind} for kind in Kind}
    assert kinds[Kind.ANSWERS_WRONGLY] == {Reason.STATUS, Reason.BODY, Reason.HEADER, Reason.PROTOCOL}
    assert kinds[Kind.DOES_NOT_ANSWER] == {Reason.REFUSED, Reason.RESET, Reason.TIMEOUT}
    assert kinds[Kind.FOR_A_HUMAN] == {
        Reason.DNS, Reason.CERTIFICATE, Reason.TLS, Reason.SILENT, Reason.FAILED, Reason.ERROR,
    }  # fmt: skip
