"""Whatever stands in a sites.yml or a blackbox.yml: it can be used, or every fault says where and what."""

import copy
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from core.faults import ConfigError
from exporter.configuration import read
from stack.parts import PARTS
from tests.exporter.fuzzing import so_many

SECRET = "hunter2"
FAST, LONG = 120, 4_000
BEARABLE = 20.0
"""Seconds for one reading; it takes milliseconds."""

MODULES: dict[str, Any] = {
    "m": {
        "prober": "http", "timeout": "5s",
        "http": {
            "valid_status_codes": [200, "3xx"], "method": "POST", "headers": {"X-A": "b"}, "body": "x",
            "basic_auth": {"username": "me", "password": SECRET}, "compression": "gzip",
            "fail_if_body_not_matches_regexp": ["a+"], "body_size_limit": "1MB",
            "fail_if_header_matches": [{"header": "X", "regexp": "y", "allow_missing": True}],
            "http_headers": {"X-Key": {"secrets": [SECRET]}}, "tls_config": {"key": SECRET, "cert": "c"},
        },
    },
    "token": {"prober": "http", "http": {"bearer_token": SECRET}},
    "oauth": {"prober": "http", "http": {"oauth2": {
        "client_id": "me", "client_secret": SECRET, "token_url": "http://t.test/", "scopes": ["a"]}}},
    "d": {"prober": "dns", "dns": {"query_name": "a.test", "query_type": "MX", "valid_rcodes": ["NOERROR"],
          "validate_answer_rrs": {"fail_if_matches_regexp": ["x"]}}},
    "t": {"prober": "tcp", "tcp": {"query_response": [
        {"expect": "^SSH-(.*)", "labels": [{"name": "v", "value": "$1"}]}, {"send": "x", "starttls": True}]}},
    "g": {"prober": "grpc", "grpc": {"service": "s", "metadata": {"a": ["b"]}}},
    "i": {"prober": "icmp", "icmp": {"ttl": 5, "payload_size": 100}},
}  # fmt: skip
SITES: dict[str, Any] = {
    "defaults": {"interval": "15s", "module": "http_2xx", "email": ["ops@a.test"], "alert": {"after": "1m"}},
    "modules": MODULES,
    "canaries": ["https://c.test/"],
    "probe_targets": ["*.a.test"],
    "servers": {"web": {"ssh": "medic@192.0.2.7", "linode": 101, "may_reboot": True}},
    "sites": [
        {
            "name": "shop", "url": f"https://me:{SECRET}@shop.test/?key={SECRET}", "module": "m",
            "timeout": "5s", "expect": {"status": [200, "2xx"], "body": "W", "within": "800ms"},
            "alert": {"severity": "warning", "objective": "99.9%"}, "labels": {"team": "a"},
            "recover": {"server": "web", "container": "nginx"}, "needs": ["redis"],
            "apps": [{"name": "api", "url": "tcp://a.test:1"}, {"name": "ns", "url": "dns://n.test/a"}],
        },
        {"name": "redis", "url": "tcp://10.0.0.1:6379", "module": "t"},
    ],
}  # fmt: skip

SECRET_KEYS = {"password", "secrets", "key", "bearer_token", "client_secret", "url"}


class Edited(str):
    """A text that was changed as a text, not as a document: a secret may stand anywhere in it."""


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.binary(max_size=5),
    st.sampled_from(["", " ", "0", "-1", "1e999", "9" * 5000, "(", "[", "http://[", "\u0000", "[::1"]),
    st.dates(), st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip
ODD_TEXT = st.sampled_from(
    ["*", "&a ", "!", "!!python/object:os.system ", "<<: ", "- ", "\t", "\x00", "{", "}", "[", "]", ":",
     "#", "'", '"', "|", ">", "%", "@", "? ", "\ufeff", "\x85", "---\n", "...\n", "\r", "=", "~"]
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of everything inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [place for key, one in inner for place in places(one, (*path, key))]
    return [path, *found] if path else found


def mutate(document: Any, draw: st.DrawFn) -> None:
    """Change one thing somewhere: what it is, where it is, or whether it is."""
    path = draw(st.sampled_from(places(document)))
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    key = path[-1]
    way = draw(st.sampled_from(["replace", "drop", "wrap", "name", "hoist", "rename", "repeat"]))
    if way == "drop":
        del holder[key]
    elif way == "wrap":
        holder[key] = [holder[key]]
    elif way == "name":
        holder[key] = {draw(st.sampled_from(["x", "secrets", "files", "name"])): holder[key]}
    elif way == "rename" and isinstance(holder, dict):
        holder[draw(st.text(max_size=8))] = holder.pop(key)
    elif way == "repeat" and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif way == "hoist" and isinstance(holder[key], dict | list) and holder[key]:
        inner = holder[key]
        holder[key] = next(iter(inner.values())) if isinstance(inner, dict) else inner[0]
    else:
        holder[key] = draw(ODD)


@st.composite
def mutated(draw: st.DrawFn, document: dict[str, Any]) -> str:
    made = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        if places(made):
            mutate(made, draw)
    text: str = yaml.safe_dump(made, sort_keys=False, allow_unicode=True)
    edits = draw(st.sampled_from([0, 0, 1, 2]))
    for _ in range(edits):
        at = draw(st.integers(0, len(text)))
        gone = draw(st.sampled_from([0, 0, 1, 30]))
        text = text[:at] + draw(ODD_TEXT) + text[at + gone :]
    return Edited(text) if edits else text


def misplaced(text: str) -> bool:
    """Tell whether a secret has become the value of an option that holds none, and may be shown as that."""
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return False
    return any(key not in SECRET_KEYS for key in keys_of_secrets(document))


def keys_of_secrets(value: Any, key: object = None) -> Iterator[object]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from keys_of_secrets(inner, name)
            if SECRET in str(name):
                yield None
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of_secrets(inner, key)
    elif isinstance(value, str) and SECRET in value:
        yield key


def check(folder: Path, name: str, text: str) -> None:
    """Read it; nothing but a configuration or a ConfigError may come of it, soon, and no secret may show."""
    file = folder / name
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    began = time.monotonic()
    found = refused = None
    try:
        found = read(file, PARTS)
    except ConfigError as error:
        refused = error
    assert time.monotonic() - began < BEARABLE
    if found is not None:
        shown = repr([(site.name, site.instance, site.info) for site in found.sites])
    else:
        assert refused is not None
        assert refused.faults
        shown = str(refused)
    for fault in refused.faults if refused else ():
        assert fault.file, fault
        assert fault.message.strip(), fault
        assert len(str(fault)) < 20_000
    if not (isinstance(text, Edited) and misplaced(text)):
        assert SECRET not in shown, shown


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzzed")


def sites_case(folder: Path, text: str) -> None:
    check(folder, "sites.yml", text)


def modules_case(folder: Path, text: str) -> None:
    check(folder, "blackbox.yml", text)


soon, at_length = so_many(FAST, by_chance=False), so_many(LONG, by_chance=True)

test_any_sites_yml_can_be_used_or_is_refused_with_words = soon(given(text=mutated(SITES))(sites_case))
test_any_blackbox_yml_can_be_used_or_is_refused_with_words = soon(
    given(text=mutated({"modules": MODULES}))(modules_case)
)


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("document", ["sites.yml", "blackbox.yml"])
def test_thousands_of_configurations_can_be_used_or_are_refused_with_words(folder: Path, document: str):
    case = sites_case if document == "sites.yml" else modules_case
    made = SITES if document == "sites.yml" else {"modules": MODULES}
    at_length(given(text=mutated(made))(lambda text: case(folder, text)))()


@pytest.mark.parametrize(
    "text",
    [
        "modules: {m: {prober: http, http: {bearer_token: *hunter2}}}",
        "modules: {m: {prober: http, http: {bearer_token: !hunter2}}}",
        "modules: {m: {prober: http, http: {bearer_token: '%hunter2}}}",
        "modules: {m: {prober: http, http: {bearer_token: @hunter2}}}",
        "modules: {m: {prober: http, http: {basic_auth: 'me:hunter2'}}}",
        "modules: {m: {prober: http, http: {basic_auth: {username: me, password: {hunter2: x}}}}}",
        "modules: {m: {prober: http, http: {http_headers: {X: hunter2}}}}",
        "modules: {m: {prober: http, http: {proxy_connect_header: {X: hunter2}}}}",
        "modules: {m: {prober: http, http: {oauth2: hunter2}}}",
        "modules: {m: {prober: http, http: {bearer_token: hunter2, bearer_token: hunter2}}}",
        "sites: [{name: a, url: 'http://me:hunter2@[x'}]",
        "sites: [{name: a, url: 'ftp://me:hunter2@x/'}]",
        "canaries: ['http://me:hunter2@x:port/']\nsites: []",
    ],
)
@pytest.mark.parametrize("name", ["sites.yml", "blackbox.yml"])
def test_a_secret_that_was_written_wrongly_is_not_shown(tmp_path: Path, name: str, text: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as refusal:
        read(tmp_path / name, PARTS)
    assert SECRET not in str(refusal.value)


def test_laughs_by_the_billion_are_refused_soon(tmp_path: Path):
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    laughs = "\n".join(lines) + "\nsites: *a11\nmodules: *a11\n"
    check(tmp_path, "sites.yml", laughs)
    check(tmp_path, "blackbox.yml", "modules: {m: {prober: http, http: {headers: &b {a: b}, body: *b}}}\n")
