import asyncio
import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import ValidationError

from exporter.module import Module
from exporter.probe import Probers
from exporter.reason import Reason
from exporter.result import Result
from tests.exporter.loopback import always, answer, http_module, run, serving
from tests.ports import free_port

TOKEN = json.dumps({"access_token": "t0k", "token_type": "bearer", "expires_in": 3600}).encode()


def module(port: int, **options: Any) -> Module:
    given = {"client_id": "me", "client_secret": "s3cret", "token_url": f"http://127.0.0.1:{port}/token"}
    return http_module(oauth2=given | options)


def probe_with(
    token: bytes, times: int = 1, refuse_header: bool = False, reply: bytes = answer(), **options: Any
) -> tuple[list[Result], list[bytes], list[tuple[bytes, dict[str, list[str]]]]]:
    """Return the results, the requests to the site, and those for tokens with their forms."""
    seen: list[bytes] = []
    asked: list[tuple[bytes, dict[str, list[str]]]] = []

    async def give(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        form = await reader.readexactly(int(length.partition(b":")[2]))
        asked.append((head, parse_qs(form.decode())))
        refused = refuse_header and b"authorization:" in head.lower()
        writer.write(answer("401 Unauthorized") if refused else token)

    async def test() -> list[Result]:
        async with serving(give) as at, serving(always(reply, seen)) as port, Probers.start() as probers:
            used = module(at, **options)
            return [await probers.probe(f"http://127.0.0.1:{port}/", used, 5) for _ in range(times)]

    return run(test()), seen, asked


def test_a_token_is_asked_for_once_and_sent_with_every_probe():
    results, seen, asked = probe_with(
        answer("200 OK", TOKEN), 3, scopes=["a", "b"], endpoint_params={"x": "1"}
    )
    assert all(result.success for result in results)
    assert [b"authorization: bearer t0k" in request.lower() for request in seen] == [True] * 3
    ((head, form),) = asked
    assert b"Basic bWU6czNjcmV0" in head
    assert form == {"grant_type": ["client_credentials"], "scope": ["a b"], "x": ["1"]}


def test_a_token_that_the_site_does_not_take_is_not_sent_again():
    results, seen, asked = probe_with(answer("200 OK", TOKEN), 2, reply=answer("401 Unauthorized"))
    assert [result.status_code for result in results] == [401, 401]
    assert (len(seen), len(asked)) == (2, 2)


def test_a_token_that_ends_at_once_is_asked_for_each_time():
    token = json.dumps({"access_token": "t", "expires_in": 5}).encode()
    assert len(probe_with(answer("200 OK", token), 2)[2]) == 2


def test_who_wants_the_secret_in_the_form_gets_it_there():
    results, _, asked = probe_with(answer("200 OK", TOKEN), refuse_header=True)
    assert results[0].success
    assert asked[1][1]["client_secret"] == ["s3cret"]


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (answer("500 Oops"), "token_url answered 500"),
        (answer("200 OK", b"hello"), "holds no access_token"),
        (answer("200 OK", b"[]"), "holds no access_token"),
        (answer("200 OK", b'{"access_token": "a\\nX-Evil: 1"}'), "cannot be a header"),
        (b"", "closed before an answer"),
    ],
)
def test_without_a_token_the_site_is_not_asked_and_not_blamed(token: bytes, words: str):
    (result,), seen, _ = probe_with(token)
    assert (result.reason, words in result.detail, seen) == (Reason.ERROR, True, []), result.detail
    assert "s3cret" not in result.detail


def test_nobody_at_token_url_is_told():
    async def test() -> Result:
        async with Probers.start() as probers:
            return await probers.probe("http://127.0.0.1:1/", module(free_port()), 5)

    result = run(test())
    assert (result.reason, result.detail) == (Reason.ERROR, "no token: connection refused")


@pytest.mark.parametrize(
    "options",
    [{"client_secret": None}, {"client_secret_file": "x"}, {"client_id": ""}, {"token_url": "ftp://x"}],
)
def test_wrong_options_are_refused(options: dict[str, Any]):
    with pytest.raises(ValidationError):
        module(1, **options)
