"""TLS for a prober that speaks itself: Python's `ssl` told what libcurl is told, and what a handshake showed.

Facts: to load the system's authorities takes 50 ms, so contexts are kept until a file of theirs changes;
OpenSSL 3.0 forgets the certificates of a handshake that it refuses.
"""

import ssl
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography import x509

from core.tls import VERSIONS, in_memory
from exporter.probers.chain import chain_facts
from exporter.probers.ciphers import go_cipher_name
from exporter.probers.paths import FileError, bytes_of
from exporter.probers.tls import TLSConfig, authorities_of, system_bundle
from exporter.result import TLSFacts

Stamp = tuple[int, int]

_KEPT = 256


def context_of(config: TLSConfig) -> ssl.SSLContext:
    """Return what `ssl` needs to speak TLS as `config` says. Raises FileError."""
    authorities = config.ca_file or Path(system_bundle())
    return _context(config, *(_stamp(file) for file in (authorities, config.cert_file, config.key_file)))


def facts_of(tls: Any, config: TLSConfig) -> TLSFacts:
    """Read what a handshake showed; the earliest end counts of all certificates that were sent."""
    chain = _chain(tls)
    sent = [x509.load_der_x509_certificate(der) for der in chain]
    first = min(sent, key=lambda one: one.not_valid_after_utc, default=None)
    expiry = lifetime = None
    if first is not None:
        expiry = first.not_valid_after_utc.timestamp()
        lifetime = expiry - first.not_valid_before_utc.timestamp()
    cipher, version = tls.cipher(), tls.version() or ""
    return TLSFacts(
        version.replace("TLSv", "TLS ") if "." in version else "TLS 1.0",
        go_cipher_name(cipher[0]) if cipher else None,
        expiry,
        lifetime,
        chain_facts(chain, None if config.insecure_skip_verify else authorities_of(config)),
    )


def _stamp(file: Path | None) -> Stamp:
    """Return what changes when a file does."""
    if file is None:
        return 0, 0
    try:
        found = file.stat()
    except OSError as error:
        raise FileError(f"cannot read {file}: {error.strerror}") from error
    return found.st_mtime_ns, found.st_ino


@lru_cache(maxsize=_KEPT)
def _context(config: TLSConfig, *_stamps: Stamp) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TLS 1.0 and 1.1, which were asked for
        context.minimum_version = VERSIONS[config.min_version]
        context.maximum_version = VERSIONS[config.max_version]
    try:
        if config.insecure_skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif config.ca is not None:
            context.load_verify_locations(cadata=config.ca)
        else:
            context.load_verify_locations(str(config.ca_file or system_bundle()))
        _load_client(context, config)
    except (OSError, ValueError) as error:
        raise FileError(f"tls_config cannot be used ({error})") from error
    return context


def _load_client(context: ssl.SSLContext, config: TLSConfig) -> None:
    """Load the client's certificate and key, of which each may stand in the options or in a file."""
    if config.cert is None and config.cert_file is None:
        return
    cert = config.cert.encode() if config.cert is not None else _read(config.cert_file)
    key = config.key.reveal().encode() if config.key is not None else _read(config.key_file)
    with in_memory(cert.rstrip() + b"\n" + key) as file:
        context.load_cert_chain(file, password=_no_password)


def _read(file: Path | None) -> bytes:
    assert file is not None  # the options hold both or none
    return bytes_of(file)


def _no_password() -> str:
    raise ValueError("the key is encrypted")  # rather than ask at the terminal


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
