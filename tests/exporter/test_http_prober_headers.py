import asyncio
from pathlib import Path

import pytest
from pydantic import ValidationError

from exporter.reason import Reason
from exporter.result import Result
from tests.exporter.loopback import always, answer, http_module, probe_answer, probed, run, serving
from tests.ports import free_port


def test_headers_come_from_values_secrets_and_files(tmp_path: Path):
    (tmp_path / "key").write_text("from-file\n")
    seen: list[bytes] = []
    headers = {"X-One": {"values": ["a", "b"], "secrets": ["s3cret"], "files": ["key"]}}
    module = http_module(http_headers=headers).rooted(tmp_path)
    assert "s3cret" not in module.model_dump_json()

    async def test() -> Result:
        async with serving(always(answer(), seen)) as port:
            return await probed(f"http://127.0.0.1:{port}/", module)

    assert run(test()).success
    sent = [line for line in seen[0].decode().split("\r\n") if line.startswith("X-One")]
    assert sent == ["X-One: a", "X-One: b", "X-One: s3cret", "X-One: from-file"]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path):
    module = http_module(http_headers={"X-One": {"files": [str(tmp_path / "none")]}})
    ((key, path, _),) = module.unreadable_files()
    assert (key, path) == ("http.http_headers.X-One.files[0]", tmp_path / "none")
    assert run(probed("http://127.0.0.1:1/", module)).reason is Reason.ERROR


def test_a_secret_header_is_not_sent_where_a_redirect_leads():
    seen: list[bytes] = []

    async def test() -> Result:
        async with serving(always(answer(), seen)) as port:
            away = answer("302 Found", b"", f"Location: http://localhost:{port}/")
            async with serving(always(away)) as first:
                module = http_module(http_headers={"X-One": {"values": ["open"], "secrets": ["s3cret"]}})
                return await probed(f"http://127.0.0.1:{first}/", module)

    assert run(test()).success
    assert (b"open" in seen[0], b"s3cret" in seen[0]) == (True, False)


def test_the_proxy_alone_gets_its_headers():
    seen: list[bytes] = []

    async def refuse(head: bytes, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(head)
        writer.write(answer("403 No"))

    async def test() -> Result:
        async with serving(refuse) as port:
            options = {"proxy_url": f"http://127.0.0.1:{port}", "proxy_connect_header": {"X-Proxy": ["p4ss"]}}
            module = http_module(**options, headers={"X-Site": "1"})
            return await probed(f"https://127.0.0.1:{free_port()}/", module)

    assert run(test()).reason is Reason.ERROR
    assert seen[0].startswith(b"CONNECT ")
    assert (b"X-Proxy: p4ss" in seen[0], b"X-Site" in seen[0]) == (True, False)


@pytest.mark.parametrize("name", ["Host", "Authorization", "a b"])
def test_a_name_that_cannot_be_a_header_here_is_refused(name: str):
    with pytest.raises(ValidationError, match="cannot be a header here"):
        http_module(http_headers={name: {"values": ["x"]}})


def test_a_value_of_two_lines_is_an_error():
    result = probe_answer(answer(), http_headers={"X-One": {"secrets": ["a\r\nX-Evil: 1"]}})
    assert (result.reason, "one line" in result.detail) == (Reason.ERROR, True)
