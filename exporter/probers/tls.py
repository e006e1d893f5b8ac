"""TLS for every prober: its options, how libcurl is told, what a handshake shows.

Facts, found by running libcurl 8.23: INFO_CERTINFO holds the chain that was sent also when its
verification fails; a resumed session leaves it empty; version and cipher stand only in the verbose text.
"""

import os
import re
from calendar import timegm
from functools import lru_cache
from pathlib import Path
from time import strptime
from typing import Any, Literal, Self

import certifi
import pycurl
from pydantic import ConfigDict, model_validator

from core.secrets import Secret
from core.sites import Options
from exporter.probers.chain import chain_facts
from exporter.probers.ciphers import go_cipher_name
from exporter.result import TLSFacts

Version = Literal["TLS10", "TLS11", "TLS12", "TLS13"]

_LEAST = {
    "TLS10": pycurl.SSLVERSION_TLSv1_0,
    "TLS11": pycurl.SSLVERSION_TLSv1_1,
    "TLS12": pycurl.SSLVERSION_TLSv1_2,
    "TLS13": pycurl.SSLVERSION_TLSv1_3,
}
_MOST = {
    "TLS10": pycurl.SSLVERSION_MAX_TLSv1_0,
    "TLS11": pycurl.SSLVERSION_MAX_TLSv1_1,
    "TLS12": pycurl.SSLVERSION_MAX_TLSv1_2,
    "TLS13": pycurl.SSLVERSION_MAX_TLSv1_3,
}
_AES_128_FIRST = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
"""Go's order: without it OpenSSL would agree on AES-256 where blackbox_exporter reports AES-128."""
_CURVES = "X25519:P-256:P-384:P-521"
"""Without the post-quantum share that OpenSSL 3.5 sends by itself: it costs CPU and shows nothing."""
_TEXT = pycurl.INFOTYPE_TEXT
_AGREED = re.compile(rb"SSL connection using (\S+) / (\S+)")
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


class TLSConfig(Options):
    """TLS settings, under the names that Prometheus gives them."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    ca: str | None = None
    """Certificates that are trusted in place of the system's, as PEM text."""
    ca_file: Path | None = None
    """The same as a file."""
    cert: str | None = None
    """The client's certificate, as PEM text."""
    cert_file: Path | None = None
    """The same as a file."""
    key: Secret | None = None
    """The client's key, as PEM text."""
    key_file: Path | None = None
    """The same as a file."""
    server_name: str = ""
    """The name that the certificate must bear, in place of the target's."""
    insecure_skip_verify: bool = False
    """Accept any certificate."""
    min_version: Version = "TLS12"
    """The oldest TLS version to agree on."""
    max_version: Version = "TLS13"
    """The newest TLS version to agree on."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        for name in ("ca", "cert", "key"):
            if getattr(self, name) is not None and getattr(self, f"{name}_file") is not None:
                raise ValueError(f"set {name} or {name}_file, not both")
        has_cert = self.cert is not None or self.cert_file is not None
        has_key = self.key is not None or self.key_file is not None
        if has_cert != has_key:
            raise ValueError("a client certificate needs both: cert (or cert_file) and key (or key_file)")
        if _LEAST[self.min_version] > _LEAST[self.max_version]:
            raise ValueError(f"min_version {self.min_version} is above max_version {self.max_version}")
        return self


class Handshake:
    """Collects what libcurl says of one handshake."""

    __slots__ = ("agreed", "config")

    def __init__(self, config: TLSConfig) -> None:
        self.config = config
        self.agreed: tuple[str, str] | None = None

    def hear(self, kind: int, text: bytes) -> None:
        """Take one of the 70 pieces of libcurl's verbose text; set as DEBUGFUNCTION."""
        if kind == _TEXT and text.startswith(b"SSL connection using"):
            match = _AGREED.match(text)
            if match:
                self.agreed = (match[1].decode(), match[2].decode())

    def facts(self, curl: Any) -> TLSFacts | None:
        """Return what the transfer of `curl` showed, or None where no certificate came."""
        sent = [dict(certificate) for certificate in curl.getinfo_raw(pycurl.INFO_CERTINFO)]
        expiry, lifetime = _earliest_expiry(sent)
        if expiry is None and self.agreed is None:
            return None
        version, cipher = self.agreed or ("", "")
        verified = not self.config.insecure_skip_verify and curl.getinfo(pycurl.SSL_VERIFYRESULT) == 0
        trusted = authorities_of(self.config) if self.agreed and verified else None
        chain = chain_facts([one[b"Cert"] for one in sent if b"Cert" in one], trusted)
        cipher_name = go_cipher_name(cipher) if cipher else None
        return TLSFacts(_version(version), cipher_name, expiry, lifetime, chain)


def configure_tls(curl: Any, config: TLSConfig) -> Handshake:
    """Tell `curl` how to speak TLS, and return what will have listened to the handshake."""
    handshake = Handshake(config)
    curl.setopt(pycurl.OPT_CERTINFO, 1)
    curl.setopt(pycurl.SSL_SESSIONID_CACHE, 0)
    curl.setopt(pycurl.VERBOSE, 1)
    curl.setopt(pycurl.DEBUGFUNCTION, handshake.hear)
    curl.setopt(pycurl.SSLVERSION, _LEAST[config.min_version] | _MOST[config.max_version])
    curl.setopt(pycurl.TLS13_CIPHERS, _AES_128_FIRST)
    curl.setopt(pycurl.SSL_EC_CURVES, _CURVES)
    if config.insecure_skip_verify:
        curl.setopt(pycurl.SSL_VERIFYPEER, 0)
        curl.setopt(pycurl.SSL_VERIFYHOST, 0)
    if config.ca is not None:
        curl.setopt(pycurl.CAINFO_BLOB, config.ca.encode())
    else:
        curl.setopt(pycurl.CAINFO, str(config.ca_file) if config.ca_file else system_bundle())
    _configure_client(curl, config)
    return handshake


def authorities_of(config: TLSConfig) -> str | Path:
    """Return the authorities that `config` trusts: their text, or their file."""
    return config.ca if config.ca is not None else config.ca_file or _system_bundle_path()


def _earliest_expiry(sent: list[dict[bytes, bytes]]) -> tuple[float | None, float | None]:
    """Return the earliest notAfter of the certificates sent, in unix seconds, and that one's lifetime."""
    earliest = lifetime = None
    for dates in sent:
        ends = _seconds(dates.get(b"Expire date", b""))
        if ends is not None and (earliest is None or ends < earliest):
            begins = _seconds(dates.get(b"Start date", b""))
            earliest, lifetime = ends, None if begins is None else ends - begins
    return earliest, lifetime


@lru_cache(maxsize=1)
def system_bundle() -> str:
    """Return the file of the authorities that this machine trusts (pycurl's wheel knows Red Hat's only)."""
    own = os.environ.get("SSL_CERT_FILE", "")
    return next((path for path in (own, *_BUNDLES) if path and Path(path).is_file()), certifi.where())


@lru_cache(maxsize=1)
def _system_bundle_path() -> Path:
    return Path(system_bundle())


def _configure_client(curl: Any, config: TLSConfig) -> None:
    if config.cert is not None:
        curl.setopt(pycurl.SSLCERT_BLOB, config.cert.encode())
    elif config.cert_file is not None:
        curl.setopt(pycurl.SSLCERT, str(config.cert_file))
    if config.key is not None:
        curl.setopt(pycurl.SSLKEY_BLOB, config.key.reveal().encode())
    elif config.key_file is not None:
        curl.setopt(pycurl.SSLKEY, str(config.key_file))


@lru_cache(maxsize=20_000)
def _seconds(date: bytes) -> float | None:
    try:
        return float(timegm(strptime(date.decode(), "%b %d %H:%M:%S %Y GMT")))
    except ValueError:
        return None


def _version(name: str) -> str | None:
    """Write OpenSSL's `TLSv1.3` as Go does: `TLS 1.3`."""
    match = re.fullmatch(r"TLSv1(?:\.(\d))?", name)
    return f"TLS 1.{match[1] or 0}" if match else name or None
