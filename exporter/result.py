"""What one probe found: plain facts, ready for metrics, JSON and the log.

Named tuples and not frozen dataclasses: one of each is made per probe, and these take a tenth of the time.
"""

from typing import NamedTuple

from exporter.reason import Reason


class Phases(NamedTuple):
    """Seconds spent in each phase, summed over redirects; 0 where a phase was not reached."""

    resolve: float = 0.0
    connect: float = 0.0
    tls: float = 0.0
    processing: float = 0.0
    transfer: float = 0.0


class ChainFacts(NamedTuple):
    """Whose the server's own certificate is, and how long its chain is trusted."""

    fingerprint: str
    """SHA-256, in hex."""
    subject: str
    issuer: str
    names: str
    """The DNS names that it is for, with commas between."""
    serial: str
    """Its number, in hex."""
    trusted_until: float | None
    """When the longest chain up to an authority ends, unix seconds; None where none was verified."""


class TLSFacts(NamedTuple):
    """What the last TLS handshake showed, also when its certificate was not accepted."""

    version: str | None
    """`TLS 1.3`, in Go's words; None where the handshake did not get so far."""
    cipher: str | None
    """IANA's name of the cipher suite, e.g. `TLS_AES_128_GCM_SHA256`."""
    earliest_expiry: float | None
    """Earliest notAfter of the certificates that were sent, unix seconds."""
    lifetime: float | None = None
    """Seconds from that certificate's notBefore to its notAfter."""
    chain: ChainFacts | None = None


class HTTPFacts(NamedTuple):
    """What only an HTTP probe knows; of the last answer when redirects were followed."""

    status_code: int = 0
    """0: no response."""
    http_version: float = 0.0
    redirects: int = 0
    """Redirects that were met; the last one need not have been followed."""
    ssl: bool = False
    content_length: int = 0
    """-1: not told by the server; 0 also when there was no response."""
    uncompressed_body_length: int = 0
    last_modified: float | None = None
    """The Last-Modified header in unix seconds."""
    failed_due_to_regex: bool = False
    failed_due_to_cel: bool | None = None
    """None: no CEL expression was asked for."""


class Result(NamedTuple):
    """One probe's outcome."""

    success: bool
    reason: Reason | None
    """None exactly when `success`."""
    detail: str
    """One sentence for people, without secrets; empty on success."""
    time: float
    """When the probe began, unix seconds."""
    duration: float
    """The whole probe, in seconds."""
    phases: Phases = Phases()
    dns_lookup_time: float = 0.0
    """Seconds, summed over redirects; 0 for an address."""
    ip_protocol: int = 0
    """4 or 6; 0 where no address was found."""
    ip_addr_hash: int = 0
    """FNV-1a 32 of the address's bytes, as blackbox_exporter has it; 0 where there is none."""
    prober: str = ""
    """The registry's name of the prober, e.g. `http`."""
    facts: object = None
    """What only this protocol tells; its prober knows what it is."""
    tls: TLSFacts | None = None

    @property
    def http(self) -> HTTPFacts | None:
        """Return what an HTTP probe found, None for another protocol."""
        return self.facts if isinstance(self.facts, HTTPFacts) else None

    @property
    def status_code(self) -> int | None:
        """Return the HTTP status, or None where there was none."""
        return (self.facts.status_code or None) if isinstance(self.facts, HTTPFacts) else None
