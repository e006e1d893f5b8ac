from typing import Any

import pytest
from pydantic import ValidationError

from exporter.exposition import probe_text
from exporter.matching.cel import is_there
from exporter.probers import http_options
from exporter.reason import Reason
from tests.exporter.loopback import answer, http_module, probe_answer, probed, run
from tests.ports import free_port

needs_cel = pytest.mark.skipif(not is_there(), reason="cel-expr-python is not installed")
BODY = b'{"status": "ok", "checks": [{"name": "db", "lag": 3}], "big": 9007199254740993, "none": null}'
UNWANTED, WANTED = "fail_if_body_json_matches_cel", "fail_if_body_json_not_matches_cel"


@needs_cel
@pytest.mark.parametrize(
    "expression",
    [
        'body.status == "ok"',
        "body.checks.exists(c, c.name == 'db' && c.lag > 2.5)",
        "body.checks[0].lag == 3",
        "body.checks[0].lag == 3.0",
        "body.big == 9007199254740992.0",
        "body.none == null && !has(body.missing)",
        "size(body.checks) == 1",
    ],
)
def test_what_is_true_of_the_body_succeeds_where_wanted_and_fails_where_not(expression: str):
    good = probe_answer(answer("200 OK", BODY), **{WANTED: expression})
    assert good.success, good.detail
    assert "probe_failed_due_to_cel 0\n" in probe_text(good)
    bad = probe_answer(answer("200 OK", BODY), **{UNWANTED: expression})
    assert bad.reason is Reason.BODY
    assert "is true of it" in bad.detail
    assert "probe_failed_due_to_cel 1\n" in probe_text(bad)
    assert "probe_failed_due_to_regex 0\n" in probe_text(bad)


@needs_cel
@pytest.mark.parametrize("key", [UNWANTED, WANTED])
@pytest.mark.parametrize(
    ("expression", "body", "words"),
    [
        ("body.missing == 1", BODY, "Key not found"),
        ("body.status > 1", BODY, "No matching overload"),
        ("body.status", BODY, "gives STRING, not BOOL"),
        ("true", b"<html>", "not JSON"),
        ("true", b"", "not JSON"),
        ("true", b'{"a": NaN}', "not JSON"),
        ("true", b"[" * 100_000, "not JSON"),
    ],
)
def test_what_cannot_be_judged_fails_and_says_why(key: str, expression: str, body: bytes, words: str):
    result = probe_answer(answer("200 OK", body), **{key: expression})
    assert (result.reason, words in result.detail) == (Reason.BODY, True), result.detail
    assert "probe_failed_due_to_cel 1\n" in probe_text(result)


@needs_cel
def test_a_wanted_expression_that_is_false_fails():
    result = probe_answer(answer("200 OK", BODY), **{WANTED: 'body.status == "bad"'})
    assert (result.reason, "is not true of it" in result.detail) == (Reason.BODY, True)


@needs_cel
def test_another_fault_is_not_cels():
    result = probe_answer(answer("500 Oops", BODY), **{UNWANTED: "true"})
    assert result.reason is Reason.STATUS
    assert "probe_failed_due_to_cel 0\n" in probe_text(result)
    refused = run(probed(f"http://127.0.0.1:{free_port()}", http_module(**{UNWANTED: "true"})))
    assert "probe_failed_due_to_cel 0\n" in probe_text(refused)
    assert "due_to_cel" not in probe_text(probe_answer(answer()))


@needs_cel
@pytest.mark.parametrize("expression", ["body..", "other.x == 1", "1 +", 'body.matches("("'])
def test_what_is_no_expression_is_refused_when_it_is_read(expression: str):
    with pytest.raises(ValidationError, match="must be an expression in CEL"):
        http_module(**{WANTED: expression})


def test_without_the_library_the_module_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    def lacks() -> bool:
        return False

    monkeypatch.setattr(http_options, "is_there", lacks)
    options: dict[str, Any] = {WANTED: "body.x == 1"}
    ((key, message),) = http_module(**options).complaints()
    assert key == f"http.{WANTED}"
    assert "pip install -r requirements-extra.in" in message
