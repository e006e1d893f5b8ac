"""A lean HTTP client: the driver must cost less than what it drives."""

import asyncio

from benchmarks.processes import Process


class AnswerError(Exception):
    """An answer that no measurement can be built on; says what was asked and what came."""


class Connection:
    """One kept connection, as Prometheus keeps its own; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, process: Process) -> "Connection":
        """Connect to the port of `process`. Raises OSError."""
        return cls(*await asyncio.open_connection("127.0.0.1", process.port, limit=2**20))

    async def get(self, path: str, headers: str = "") -> bytes:
        """Return the body of `path`, as it was sent. Raises AnswerError for anything but a 200.

        `headers` are whole lines with their ends.
        """
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n"
        self._writer.write(request.encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        body = await self._body(head)
        if not head.startswith(b"http/1.1 200 "):
            raise AnswerError(f"{path} answered {head.splitlines()[0]!r}: {body[:300]!r}")
        return body

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    async def _body(self, head: bytes) -> bytes:
        _, length, rest = head.partition(b"content-length:")
        if length:
            return await self._reader.readexactly(int(rest.partition(b"\r\n")[0]))
        pieces = []
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            pieces.append((await self._reader.readexactly(size + 2))[:-2])
        await self._reader.readexactly(2)
        return b"".join(pieces)
