import asyncio

import pytest

from exporter.probe import Probers
from exporter.reason import Reason
from exporter.result import Result
from tests.exporter.loopback import eventually, probed, run, serving, tcp_module
from tests.ports import free_port


async def _hold(_: bytes, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize("target", ["127.0.0.1:{}", "tcp://127.0.0.1:{}", "tcp://localhost:{}/"])
def test_an_open_port_is_a_success(target: str):
    async def test() -> Result:
        async with serving(_hold, reads=False) as port:
            return await probed(target.format(port), tcp_module())

    result = run(test())
    assert result.success
    assert result.prober == "tcp"
    assert result.http is None
    assert result.tls is None
    assert 0 < result.phases.connect < 0.1
    assert result.phases.processing == 0
    assert (result.phases.resolve > 0) is ("localhost" in target)


def test_the_server_sees_a_connection_and_its_end_and_not_a_byte():
    seen: list[bytes] = []

    async def note(_: bytes, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        seen.append(await reader.read())

    async def test() -> None:
        async with serving(note, reads=False) as port, Probers.start() as probers:
            assert (await probers.probe(f"127.0.0.1:{port}", tcp_module(), 5)).success
            await eventually(lambda: bool(seen))

    run(test())
    assert seen == [b""]


def test_a_closed_port_is_refused():
    result = run(probed(f"127.0.0.1:{free_port()}", tcp_module()))
    assert result.reason is Reason.REFUSED
    assert result.detail == "connection refused"


@pytest.mark.parametrize(
    "target", ["127.0.0.1", "http://127.0.0.1:80", "127.0.0.1:80/path", "me:hunter2@host:1"]
)
def test_what_is_no_host_and_port_is_an_error_that_shows_no_secret(target: str):
    result = run(probed(target, tcp_module()))
    assert result.reason is Reason.ERROR
    assert "hunter2" not in result.detail


def test_an_unknown_name_is_a_dns_failure():
    assert run(probed("no-such-host.invalid:80", tcp_module())).reason is Reason.DNS


def test_a_source_address_is_used():
    seen: list[str] = []

    async def note(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("peername")[0])

    async def test() -> None:
        async with serving(note, reads=False) as port, Probers.start() as probers:
            module = tcp_module(source_ip_address="127.0.0.9")
            assert (await probers.probe(f"127.0.0.1:{port}", module, 5)).success
            await eventually(lambda: bool(seen))

    run(test())
    assert seen == ["127.0.0.9"]
