import pytest

from exporter.allowed import AllowedTargets, parse_pattern

LISTED = ("https://shop.example/a?b=1", "tcp://db:5432", "http://user:pw@intra.example/")


@pytest.mark.parametrize(
    ("target", "prober"),
    [
        ("https://shop.example/a?b=1", "http"),
        ("https://SHOP.example:443/a?b=1", "http"),
        ("http://intra.example/", "http"),
        ("tcp://db:5432", "tcp"),
        ("db:5432", "tcp"),
    ],
)
def test_what_is_listed_is_allowed(target: str, prober: str) -> None:
    assert AllowedTargets(LISTED, ()).allows(target, prober)


@pytest.mark.parametrize(
    ("target", "prober"),
    [
        ("http://shop.example/a?b=1", "http"),
        ("https://shop.example/a", "http"),
        ("https://shop.example:444/a?b=1", "http"),
        ("db:5433", "tcp"),
        ("http://db:5432/", "http"),
        ("http://169.254.169.254/latest/meta-data", "http"),
        ("file:///etc/passwd", "http"),
        ("gopher://db:5432/", "tcp"),
        ("", "http"),
        ("https://shop.example@evil.example/a?b=1", "http"),
    ],
)
def test_what_is_not_listed_is_refused(target: str, prober: str) -> None:
    assert not AllowedTargets(LISTED, ()).allows(target, prober)


@pytest.mark.parametrize(
    ("pattern", "allowed", "refused"),
    [
        ("https://api.example/v1", "https://api.example/v1/x?y", "https://api.example/v10"),
        ("https://api.example/v1", "https://api.example/v1", "http://api.example/v1"),
        ("https://api.example/v1", "https://api.example/v1?x", "https://api.example/v1/../admin"),
        ("https://api.example/v1/", "https://api.example/v1/x", "https://api.example/v1/%2e%2e/admin"),
        ("https://api.example", "https://api.example/any", "https://api.example.evil.example/any"),
        ("https://api.example/", "https://api.example/a/../b", "https://api.example@evil.example/"),
        ("*.example", "https://a.b.example/x", "https://example.evil/"),
        ("10.0.0.*:80", "http://10.0.0.7/", "http://10.0.0.7:8080/"),
        ("[fd00::1]", "http://[fd00::1]:99/", "http://[fd00::2]/"),
    ],
)
def test_patterns_allow_what_they_mean_and_no_more(pattern: str, allowed: str, refused: str) -> None:
    targets = AllowedTargets((), (pattern,))
    assert targets.allows(allowed, "http")
    assert not targets.allows(refused, "http")


def test_a_tcp_pattern_allows_one_port() -> None:
    targets = AllowedTargets((), ("tcp://db:5432",))
    assert targets.allows("db:5432", "tcp")
    assert not targets.allows("db:22", "tcp")


@pytest.mark.parametrize("text", ["", "not a host", "ftp://x/", "a/b", "http://"])
def test_a_wrong_pattern_is_refused_with_the_mend(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|lacks|is not"):
        parse_pattern(text)
