"""One libcurl transfer: what every one is set to, its phase times, and why it failed.

Facts: libcurl's times are microseconds since the transfer began, 0 where a step was not reached;
pycurl's codes and messages are mapped to reasons here and nowhere else.
"""

import errno
import re
from typing import Any

import pycurl

from exporter.engine import Ending
from exporter.probers.prober import Reading
from exporter.reason import Reason
from exporter.resolve import Address

_NOT_HTTP = (Reason.PROTOCOL, "the answer is not HTTP ({})")
_OWN_FILES = (Reason.ERROR, "tls_config cannot be used ({})")
_SENTENCES = {
    pycurl.E_UNSUPPORTED_PROTOCOL: _NOT_HTTP,  # HTTP/0.9, which is what garbage looks like
    pycurl.E_FTP_WEIRD_SERVER_REPLY: _NOT_HTTP,
    pycurl.E_HTTP2: _NOT_HTTP,
    92: _NOT_HTTP,  # CURLE_HTTP2_STREAM
    95: _NOT_HTTP,  # CURLE_HTTP3
    100: _NOT_HTTP,  # CURLE_TOO_LARGE: endless headers
    pycurl.E_PEER_FAILED_VERIFICATION: (Reason.CERTIFICATE, "{}"),
    pycurl.E_COULDNT_RESOLVE_HOST: (Reason.DNS, "{}"),
    pycurl.E_COULDNT_RESOLVE_PROXY: (Reason.ERROR, "{}"),
    pycurl.E_FILESIZE_EXCEEDED: (Reason.BODY, "the body is larger than body_size_limit"),
    pycurl.E_WRITE_ERROR: (Reason.BODY, "the body unpacks to more than 32 MiB, or than body_size_limit"),
    pycurl.E_BAD_CONTENT_ENCODING: (Reason.BODY, "the body cannot be unpacked"),
    pycurl.E_SSL_CERTPROBLEM: _OWN_FILES,
    pycurl.E_SSL_CACERT_BADFILE: _OWN_FILES,
    pycurl.E_SSL_ISSUER_ERROR: _OWN_FILES,
    pycurl.E_SSL_CRL_BADFILE: _OWN_FILES,
    pycurl.E_SSL_CIPHER: _OWN_FILES,
}
_OF_HTTP2 = {pycurl.E_HTTP2, 92}
_PROXY = {97, pycurl.E_COULDNT_CONNECT, pycurl.E_COULDNT_RESOLVE_PROXY}
_CLOSED = {pycurl.E_GOT_NOTHING, pycurl.E_RECV_ERROR, pycurl.E_SEND_ERROR, pycurl.E_PARTIAL_FILE}
_GAVE_UP = "nghttp2 shuts down connection"
"""libcurl's words for an answer that is not HTTP/2; without a further byte only the timeout ends it."""
_CUT_STREAM = re.compile(r"send failure|recv failure|reset by server|broken pipe", re.IGNORECASE)
_GARBLED = re.compile(r"chunk|hexadecimal|header|nul byte|malformed|invalid", re.IGNORECASE)
_CUT_HANDSHAKE = re.compile(
    r"SSL_ERROR_SYSCALL|unexpected eof|connection reset|broken pipe|ERROR_ZERO", re.IGNORECASE
)
_NO_ROUTE_HERE = {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL}


Settings = tuple[tuple[int, Any], ...]
"""What a handle is to be set to: libcurl's options and their values."""

ALWAYS: Settings = (
    (pycurl.NOSIGNAL, 1),
    (pycurl.FRESH_CONNECT, 1),
    (pycurl.FORBID_REUSE, 1),
    (pycurl.PROXY, ""),  # also shuts the environment's proxies out
)
"""What every probe's transfer has: a connection of its own."""


def configure(curl: Any, settings: Settings, seconds: float) -> None:
    """Set `curl`, and let it take `seconds` at most."""
    setopt = curl.setopt
    for option, value in settings:
        setopt(option, value)
    setopt(pycurl.TIMEOUT_MS, max(1, int(seconds * 1000)))


def connect_to(address: Address, port: int) -> list[str]:
    """Write what CONNECT_TO takes to lead any host of a URL to `address`."""
    return [f"::[{address.text}]:{port}" if address.protocol == 6 else f"::{address.text}:{port}"]


def add_phases(reading: Reading, curl: Any, *, well: bool, secure: bool) -> None:
    """Add the transfer's times to the reading; an unfinished step has the time spent in it."""
    getinfo = curl.getinfo
    total = getinfo(pycurl.TOTAL_TIME_T)
    reading.transfers += total / 1e6
    connected = getinfo(pycurl.CONNECT_TIME_T)
    if not connected:
        reading.connect += total / 1e6
        return
    reading.connect += connected / 1e6
    ready = connected
    if secure:
        ready = getinfo(pycurl.APPCONNECT_TIME_T)
        reading.tls_time += ((ready or total) - connected) / 1e6
        if not ready:
            return
    answered = getinfo(pycurl.STARTTRANSFER_TIME_T)
    if answered or not well:
        reading.processing += max(0, (answered or total) - ready) / 1e6
    if answered:
        reading.transfer += max(0, total - answered) / 1e6


def is_unreachable_from_here(curl: Any, ending: Ending, address: Address | None) -> bool:
    """Say whether another protocol's address should be tried: it failed for a reason of this machine's.

    That is no route for such addresses at all, or nothing on this machine's own ::1 or 127.0.0.1.
    """
    if ending.code != pycurl.E_COULDNT_CONNECT:
        return False
    own = address is not None and (address.text == "::1" or address.text.startswith("127."))
    return own or curl.getinfo(pycurl.OS_ERRNO) in _NO_ROUTE_HERE


def final_status(curl: Any) -> int:
    """Return the status of the answer, 0 where none came, or only announcements (100, 103) of one."""
    status: int = curl.getinfo(pycurl.RESPONSE_CODE)
    return status if status >= 200 or status == 101 else 0


def failure(curl: Any, ending: Ending, *, secure: bool, proxied: bool = False) -> tuple[Reason, str]:
    """Return why a transfer failed, and a sentence about it."""
    code, message = ending
    if proxied and _is_of_proxy(curl, code):
        return Reason.ERROR, f"the proxy did not let the probe through ({_plain(message)})"
    if code == pycurl.E_OPERATION_TIMEDOUT and message.startswith(_GAVE_UP):
        code = pycurl.E_HTTP2
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return Reason.TIMEOUT, _stalled(curl, secure)
    if code == pycurl.E_COULDNT_CONNECT:
        return _unconnected(curl.getinfo(pycurl.OS_ERRNO))
    if code == pycurl.E_SSL_CONNECT_ERROR:
        return _no_handshake(curl.getinfo(pycurl.OS_ERRNO), message)
    if code in _CLOSED or (code in _OF_HTTP2 and (not message or _CUT_STREAM.search(message))):
        return _closed(curl, code, message)
    reason, sentence = _SENTENCES.get(code, (Reason.ERROR, "{} (libcurl code " + str(code) + ")"))
    return reason, sentence.format(_plain(message))


def _is_of_proxy(curl: Any, code: int) -> bool:
    return code in _PROXY or curl.getinfo(pycurl.HTTP_CONNECTCODE) >= 300


def _stalled(curl: Any, secure: bool) -> str:
    if not curl.getinfo(pycurl.CONNECT_TIME_T):
        return "no connection in time"
    if secure and not curl.getinfo(pycurl.APPCONNECT_TIME_T):
        return "connected, but TLS was not agreed upon in time"
    status = final_status(curl)
    if not status:
        return "connected, but no answer in time"
    return f"answered {status}, but the answer did not end in time"


def _unconnected(number: int) -> tuple[Reason, str]:
    if number == errno.ECONNREFUSED:
        return Reason.REFUSED, "connection refused"
    if number in (errno.ECONNRESET, errno.ECONNABORTED):
        return Reason.RESET, "connection reset while connecting"
    if number in (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.EHOSTDOWN):
        return Reason.TIMEOUT, "no way to its machine (host unreachable)"
    if number in _NO_ROUTE_HERE:
        return Reason.ERROR, "this machine has no route to that address"
    return Reason.ERROR, f"could not connect ({errno.errorcode.get(number, number)})"


def _no_handshake(number: int, message: str) -> tuple[Reason, str]:
    if number == errno.ECONNRESET or _CUT_HANDSHAKE.search(message):
        return Reason.RESET, "the connection was closed during the TLS handshake"
    return Reason.TLS, f"TLS was not agreed upon ({_plain(message)})"


def _closed(curl: Any, code: int, message: str) -> tuple[Reason, str]:
    status = final_status(curl)
    if code == pycurl.E_RECV_ERROR and status and _GARBLED.search(message):
        return Reason.PROTOCOL, f"the answer is not HTTP ({_plain(message)})"
    if "SSL routines" in message and "unexpected eof" not in message:
        return Reason.TLS, f"TLS broke off ({_plain(message)})"
    if status:
        return Reason.RESET, f"answered {status}, but the connection was closed in mid-answer"
    return Reason.RESET, "the connection was closed before an answer came"


def _plain(message: str) -> str:
    """Return libcurl's words without what may hold a URL."""
    return re.sub(r"\S+://\S+", "…", message).strip().rstrip(".")[:200] or "no reason given"
