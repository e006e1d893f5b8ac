"""The dialog of the tcp and unix probers: what is waited for and what is sent, step by step."""

import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, ConfigDict, model_validator

from core.faults import quoted
from core.sites import Options
from exporter.families import gauge
from exporter.labels import Labels, escaped
from exporter.matching.patterns import Pattern, expand
from exporter.probers.prober import ProbeLog, Reading
from exporter.probers.stream import Stream, StreamError
from exporter.probers.tls import TLSConfig
from exporter.reason import Reason
from exporter.result import Result, TLSFacts

FAMILIES = (
    gauge("probe_failed_due_to_bytes", "Indicates if probe failed due to bytes"),
    gauge("probe_expect_info", "Explicit content matched"),
)
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TAKEN = ("site", "instance")
"""Labels that every series of a site has; another of that name is renamed as Prometheus would."""
_SHOWN = 100


class DialogFacts(NamedTuple):
    """What only a probe with a dialog knows."""

    failed_due_to_regex: bool = False
    """The peer ended before a line matched."""
    failed_due_to_bytes: bool = False
    """Other bytes came."""
    expect_info: tuple[tuple[str, str], ...] | None = None
    """The labels of the last step that has some and matched."""


def _label_name(name: str) -> str:
    if not _LABEL.fullmatch(name) or name.startswith("__"):
        raise ValueError(f"must be a label's name: letters, digits and underscores (got {quoted(name)})")
    return name


class ExpectLabel(Options):
    """One label of probe_expect_info."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: Annotated[str, AfterValidator(_label_name)]
    """Its name."""
    value: str = ""
    """Its value, in which $1, ${1} and ${name} are what the pattern's groups found."""


class QueryResponse(Options):
    """One step of a dialog: wait for what is expected, then send, then begin TLS."""

    model_config = ConfigDict(use_attribute_docstrings=True, ser_json_bytes="base64")

    expect: Pattern | None = None
    """A pattern that a line must match; the lines before it are skipped."""
    expect_bytes: str | bytes = ""
    """The very bytes that must come next."""
    labels: tuple[ExpectLabel, ...] = ()
    """Labels for probe_expect_info, from what expect has found."""
    send: str | bytes = ""
    """A line to send, with what expect's groups found for $1, ${1} and ${name}; !!binary goes as it is."""
    starttls: bool = False
    """Begin TLS then."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.expect is not None and self.expect_bytes:
            raise ValueError("set expect or expect_bytes, not both")
        if self.labels and self.expect is None:
            raise ValueError("labels need expect")
        names = [label.name for label in self.labels]
        if len(set(names)) < len(names):
            raise ValueError("each label may be there once")
        return self


class Dialog(NamedTuple):
    """What is to be said, and how to speak TLS where that is wanted."""

    steps: tuple[QueryResponse, ...]
    tls: bool
    """From the start."""
    tls_config: TLSConfig
    name: str
    """Whose the certificate must be."""


async def hold(
    dialog: Dialog, connect: Callable[[], Awaitable[Stream]], reading: Reading, log: ProbeLog | None
) -> None:
    """Connect and hold a dialog; what goes wrong stands in the reading. Raises FileError."""
    began = time.monotonic()
    try:
        async with await connect() as stream:
            reading.connect = time.monotonic() - began
            if log:
                log.add("Connected", to=reading.address or "the socket")
            await _converse(stream, dialog, reading, log)
    except StreamError as error:
        reading.fail(error.reason, error.detail)
    reading.processing = time.monotonic() - began - reading.connect - reading.tls_time
    if reading.reason is Reason.CERTIFICATE:
        with suppress(StreamError):
            reading.tls = await _refused(dialog, connect)


async def _refused(dialog: Dialog, connect: Callable[[], Awaitable[Stream]]) -> TLSFacts | None:
    """Have a second look at a certificate that was refused, for when it ends. Raises StreamError.

    OpenSSL has forgotten it. What goes before TLS is said again, and nothing after it.
    """
    trusting = dialog.tls_config.model_copy(update={"insecure_skip_verify": True})
    until = next((number for number, step in enumerate(dialog.steps, 1) if step.starttls), 0)
    steps = () if dialog.tls else dialog.steps[:until]
    look = Reading(facts=DialogFacts())
    async with await connect() as stream:
        await _converse(stream, dialog._replace(steps=steps, tls_config=trusting), look, None)
    return look.tls


async def _converse(stream: Stream, dialog: Dialog, reading: Reading, log: ProbeLog | None) -> None:
    """Take step by step; the first that goes wrong ends it. Raises StreamError."""
    if dialog.tls:
        await _start_tls(stream, dialog, reading)
    for number, step in enumerate(dialog.steps, 1):
        send = step.send
        if step.expect is not None:
            line = await _matching(stream, step.expect, number, reading, log)
            if line is None:
                return
            send = _noted(step, step.expect, line, reading)
        elif step.expect_bytes and not await _same_bytes(stream, step.expect_bytes, number, reading):
            return
        if send:
            await stream.send(send if isinstance(send, bytes) else f"{send}\n".encode())
            if log:
                log.add("Sent", step=number)  # not what: it may be a password
        if step.starttls:
            await _start_tls(stream, dialog, reading)
            if log and reading.tls:
                log.add("Began TLS", step=number, version=reading.tls.version)


async def _start_tls(stream: Stream, dialog: Dialog, reading: Reading) -> None:
    began = time.monotonic()
    try:
        reading.tls = await stream.start_tls(dialog.tls_config, dialog.name)
    finally:
        reading.tls_time += time.monotonic() - began


def _noted(step: QueryResponse, expect: Pattern, line: bytes, reading: Reading) -> str | bytes:
    """Note what a line says that matched, and return what to send then."""
    found = expect.first_in(line)
    assert found is not None
    if step.labels:
        pairs = tuple((label.name, expand(label.value, found)) for label in step.labels)
        reading.facts = reading.facts._replace(expect_info=pairs)
    return expand(step.send, found) if isinstance(step.send, str) else step.send


async def _matching(
    stream: Stream, wanted: Pattern, number: int, reading: Reading, log: ProbeLog | None
) -> bytes | None:
    """Return the first line that matches, None (and the reading failed) where none does."""
    last: bytes | None = None
    while True:
        try:
            line = await stream.line()
        except StreamError as error:
            if last is None or error.reason is not Reason.TIMEOUT:
                raise
            # It does answer, but not what is wanted: not to be taken for silence.
            reading.fail(Reason.BODY, _unmatched(number, wanted, last))
            return None
        if line is None:
            reading.facts = reading.facts._replace(failed_due_to_regex=True)
            if last is None:
                reading.fail(Reason.RESET, f"step {number}: the connection was closed before a line came")
            else:
                reading.fail(Reason.BODY, _unmatched(number, wanted, last))
            return None
        if log:
            log.add("Read", step=number, line=line.decode(errors="replace"))
        if wanted.found_in(line):
            return line
        last = line


def _unmatched(number: int, wanted: Pattern, last: bytes) -> str:
    shown = last[:_SHOWN].decode(errors="replace")
    return f"step {number}: no line matched {wanted.text!r}; the last one was {shown!r}"


async def _same_bytes(stream: Stream, wanted: str | bytes, number: int, reading: Reading) -> bool:
    expected = wanted if isinstance(wanted, bytes) else wanted.encode()
    came = await stream.exactly(len(expected))
    if came == expected:
        return True
    reading.facts = reading.facts._replace(failed_due_to_bytes=True)
    reading.fail(Reason.BODY, f"step {number}: other bytes came: {came[:_SHOWN]!r}")
    return False


def lines(result: Result, labels: Labels) -> tuple[str, ...]:
    """Return the lines of one result, in the order of `FAMILIES`."""
    facts = result.facts
    assert isinstance(facts, DialogFacts)
    failed = f"probe_failed_due_to_bytes{labels.plain} {int(facts.failed_due_to_bytes)}\n"
    if facts.expect_info is None:
        return failed, ""
    taken = _TAKEN if labels.plain else ()
    own = ",".join(
        f'{"exported_" if name in taken else ""}{name}="{escaped(value)}"'
        for name, value in facts.expect_info
    )
    return failed, f"probe_expect_info{labels.head}{own}}} 1\n"
