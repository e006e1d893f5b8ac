"""A connection that a prober speaks on itself, plain or with TLS begun at any time.

For protocols that libcurl does not speak. Each wait ends at the probe's deadline; what goes wrong on the
connection is raised as StreamError, with its reason.

StreamError        the connection failed; `reason` says how
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable
from types import TracebackType
from typing import Any, Self, TypeVar

from cryptography import x509

from exporter.probers.ciphers import go_cipher_name
from exporter.probers.paths import FileError
from exporter.probers.tls import TLSConfig, system_bundle
from exporter.reason import Reason
from exporter.resolve import Address
from exporter.result import TLSFacts

T = TypeVar("T")
LONGEST_LINE = 64 * 1024
"""Bytes of a line at most, as blackbox_exporter has it: a peer that sends no end of line is cut off."""
_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}


class StreamError(Exception):
    """The connection failed; `reason` says how, the message is for people."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Stream:
    """One connection; a context manager that closes it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, deadline: float) -> None:
        self._reader = reader
        self._writer = writer
        self._deadline = deadline

    @classmethod
    async def open(cls, address: Address, port: int, deadline: float, source: str = "") -> Self:
        """Connect to an address, from `source` where given; `deadline` is `time.monotonic()`'s."""
        local = (source, 0) if source else None
        opening = asyncio.open_connection(address.text, port, local_addr=local, limit=LONGEST_LINE)
        reader, writer = await _within(deadline, opening, "connecting")
        return cls(reader, writer, deadline)

    @classmethod
    async def open_unix(cls, path: str, deadline: float) -> Self:
        """Connect to a socket of this machine."""
        opening = asyncio.open_unix_connection(path, limit=LONGEST_LINE)
        reader, writer = await _within(deadline, opening, "connecting")
        return cls(reader, writer, deadline)

    async def start_tls(self, config: TLSConfig, name: str) -> TLSFacts:
        """Agree on TLS with the peer, whose certificate must be `name`'s; return what was agreed."""
        starting = self._writer.start_tls(context_of(config), server_hostname=config.server_name or name)
        await _within(self._deadline, starting, "agreeing on TLS")
        return _facts(self._writer.get_extra_info("ssl_object"))

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)
        await _within(self._deadline, self._writer.drain(), "sending")

    async def line(self) -> bytes | None:
        """Return the next line without its end, None where the peer has closed."""
        try:
            found = await _within(self._deadline, self._reader.readline(), "waiting for a line")
        except ValueError as error:
            raise StreamError(Reason.PROTOCOL, f"a line of more than {LONGEST_LINE} bytes came") from error
        return found.removesuffix(b"\n").removesuffix(b"\r") if found else None

    async def exactly(self, count: int) -> bytes:
        """Return so many bytes."""
        return await _within(self._deadline, self._reader.readexactly(count), "waiting for an answer")

    async def some(self, most: int) -> bytes:
        """Return the bytes that have come, `most` at most; empty where the peer has closed."""
        return await _within(self._deadline, self._reader.read(most), "waiting for an answer")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.transport.abort()


def context_of(config: TLSConfig) -> ssl.SSLContext:
    """Return what `ssl` needs to speak TLS as `config` says. Raises FileError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _VERSIONS[config.min_version]
    context.maximum_version = _VERSIONS[config.max_version]
    try:
        if config.insecure_skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif config.ca is not None:
            context.load_verify_locations(cadata=config.ca)
        else:
            context.load_verify_locations(str(config.ca_file) if config.ca_file else system_bundle())
        if config.cert_file is not None:
            context.load_cert_chain(str(config.cert_file), str(config.key_file))
    except (OSError, ssl.SSLError) as error:
        raise FileError(f"tls_config cannot be used ({error})") from error
    return context


async def _within(deadline: float, waiting: Awaitable[T], what: str) -> T:
    """Wait until the deadline at most; every failure of the connection becomes a StreamError."""
    try:
        async with asyncio.timeout(max(0.001, deadline - time.monotonic())):
            return await waiting
    except TimeoutError as error:
        raise StreamError(Reason.TIMEOUT, f"no answer in time while {what}") from error
    except ssl.SSLCertVerificationError as error:
        raise StreamError(Reason.CERTIFICATE, error.verify_message or str(error)) from error
    except ssl.SSLError as error:
        raise StreamError(Reason.TLS, f"no TLS ({error.reason or error})") from error
    except ConnectionRefusedError as error:
        raise StreamError(Reason.REFUSED, "the connection was refused") from error
    except (ConnectionError, asyncio.IncompleteReadError) as error:
        raise StreamError(Reason.RESET, f"the connection was closed while {what}") from error
    except FileNotFoundError as error:
        raise StreamError(Reason.REFUSED, "there is no such socket") from error
    except OSError as error:
        raise StreamError(Reason.TIMEOUT, f"no way there ({error.strerror or error})") from error


def _facts(tls: Any) -> TLSFacts:
    """Read what a handshake showed; the earliest end counts of all certificates that were sent."""
    earliest: x509.Certificate | None = None
    for der in _chain(tls):
        certificate = x509.load_der_x509_certificate(der)
        if earliest is None or certificate.not_valid_after_utc < earliest.not_valid_after_utc:
            earliest = certificate
    cipher, version = tls.cipher(), tls.version() or ""
    expiry = None if earliest is None else earliest.not_valid_after_utc.timestamp()
    lifetime = (
        None if earliest is None or expiry is None else expiry - earliest.not_valid_before_utc.timestamp()
    )
    return TLSFacts(
        version.replace("TLSv", "TLS ") if "." in version else "TLS 1.0",
        go_cipher_name(cipher[0]) if cipher else None,
        expiry,
        lifetime,
    )


def _chain(tls: Any) -> list[bytes]:
    """Return the certificates that were sent, as DER; Python has had no public way to all before 3.13."""
    public = getattr(tls, "get_unverified_chain", None)
    if public is not None:
        return [bytes(one) for one in public()]
    private = getattr(getattr(tls, "_sslobj", None), "get_unverified_chain", None)
    if private is not None:
        return [one.public_bytes(2) for one in private() or ()]  # 2: DER
    leaf = tls.getpeercert(binary_form=True)
    return [leaf] if leaf else []
