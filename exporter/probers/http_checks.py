"""What an HTTP answer must be: pure checks of an answer against the module's options."""

from dataclasses import dataclass

from exporter.matching.cel import CelError, parsed
from exporter.probers.http_options import HeaderMatch, HTTPOptions
from exporter.reason import Reason

Headers = list[tuple[str, bytes]]
"""Names in lower case, and values."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why an answer is not what it must be."""

    reason: Reason
    detail: str
    due_to_regex: bool = False
    due_to_cel: bool = False


def asks_for_more(options: HTTPOptions) -> bool:
    """Say whether these options ask more of an answer than a status of 2xx."""
    return bool(
        options.fail_if_ssl
        or options.fail_if_not_ssl
        or options.valid_status_codes
        or options.valid_http_versions
        or options.fail_if_header_matches
        or options.fail_if_header_not_matches
        or options.fail_if_body_matches_regexp
        or options.fail_if_body_not_matches_regexp
        or options.has_cel
    )


def judge(
    options: HTTPOptions,
    status: int,
    version: float,
    *,
    secure: bool,
    headers: Headers,
    body: bytes,
    whole: bool,
) -> Verdict | None:
    """Return what is wrong with an answer, the weightiest first; None: nothing.

    `body` is what was kept of it, `whole` says whether that is all.
    """
    return (
        judge_security(options, secure)
        or judge_status(options, status)
        or judge_version(options, version)
        or judge_headers(options, headers)
        or judge_body(options, body, whole)
        or judge_json(options, body)
    )


def judge_security(options: HTTPOptions, secure: bool) -> Verdict | None:
    """Check that TLS was used where it must be, and not where it must not."""
    if options.fail_if_ssl and secure:
        return Verdict(Reason.TLS, "answered over TLS, expected none (fail_if_ssl)")
    if options.fail_if_not_ssl and not secure:
        return Verdict(Reason.TLS, "answered without TLS (fail_if_not_ssl)")
    return None


def judge_status(options: HTTPOptions, status: int) -> Verdict | None:
    """Check the status against valid_status_codes, 2xx by default."""
    valid = options.valid_status_codes
    if not valid:
        return None if 200 <= status < 300 else Verdict(Reason.STATUS, f"answered {status}, expected 2xx")
    if status in valid or f"{status // 100}xx" in valid:
        return None
    return Verdict(Reason.STATUS, f"answered {status}, expected {' or '.join(map(str, valid))}")


def judge_version(options: HTTPOptions, version: float) -> Verdict | None:
    """Check the HTTP version against valid_http_versions."""
    valid = options.valid_http_versions
    if not valid:
        return None
    if any(float(wanted.removeprefix("HTTP/")) == version for wanted in valid):
        return None
    return Verdict(Reason.PROTOCOL, f"answered in HTTP/{version:.1f}, expected {' or '.join(valid)}")


def judge_headers(options: HTTPOptions, headers: Headers) -> Verdict | None:
    """Check header patterns, unwanted ones first."""
    for match in options.fail_if_header_matches:
        values = _values(match, headers)
        if not values and not match.allow_missing:
            return Verdict(Reason.HEADER, f"the header {match.header} is missing", due_to_regex=True)
        if any(match.regexp.found_in(value) for value in values):
            detail = f"the header {match.header} matches {match.regexp.text!r}, which it must not"
            return Verdict(Reason.HEADER, detail, due_to_regex=True)
    for match in options.fail_if_header_not_matches:
        values = _values(match, headers)
        if not values and not match.allow_missing:
            return Verdict(Reason.HEADER, f"the header {match.header} is missing", due_to_regex=True)
        if values and not any(match.regexp.found_in(value) for value in values):
            detail = f"the header {match.header} does not match {match.regexp.text!r}"
            return Verdict(Reason.HEADER, detail, due_to_regex=True)
    return None


def judge_body(options: HTTPOptions, body: bytes, whole: bool) -> Verdict | None:
    """Check body patterns, unwanted ones first."""
    where = "the body" if whole else f"the body's first {len(body)} bytes"
    for pattern in options.fail_if_body_matches_regexp:
        if pattern.found_in(body):
            return Verdict(Reason.BODY, f"{where}: holds {pattern.text!r}, which it must not", True)
    for pattern in options.fail_if_body_not_matches_regexp:
        if not pattern.found_in(body):
            return Verdict(Reason.BODY, f"{where}: does not hold {pattern.text!r}", True)
    return None


def judge_json(options: HTTPOptions, body: bytes) -> Verdict | None:
    """Check the CEL expressions on a JSON body; where they cannot be evaluated it fails too."""
    if not options.has_cel:
        return None
    unwanted, wanted = options.fail_if_body_json_matches_cel, options.fail_if_body_json_not_matches_cel
    try:
        found = parsed(body)
        if unwanted is not None and unwanted.holds_for(found):
            return Verdict(Reason.BODY, f"the body: {unwanted.text!r} is true of it", due_to_cel=True)
        if wanted is not None and not wanted.holds_for(found):
            return Verdict(Reason.BODY, f"the body: {wanted.text!r} is not true of it", due_to_cel=True)
    except ValueError as error:
        return Verdict(Reason.BODY, f"the body is not JSON ({error})", due_to_cel=True)
    except CelError as error:
        return Verdict(Reason.BODY, f"the body cannot be judged by CEL: {error}", due_to_cel=True)
    return None


def _values(match: HeaderMatch, headers: Headers) -> list[bytes]:
    wanted = match.header.lower()
    return [value for name, value in headers if name == wanted]
