"""What the certificates of a TLS server say: whose the first is, and how long the chain will be trusted.

Names are written as Go writes them. To read a chain takes a millisecond, so what was found is kept by its
digest.
"""

import hashlib
import ssl
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from exporter.result import ChainFacts

_KEPT = 20_000
_KNOWN: OrderedDict[bytes, ChainFacts | None] = OrderedDict()
_DEEPEST = 10
_NAMED = (
    (NameOID.SERIAL_NUMBER, "SERIALNUMBER"), (NameOID.COMMON_NAME, "CN"), (NameOID.POSTAL_CODE, "POSTALCODE"),
    (NameOID.STREET_ADDRESS, "STREET"), (NameOID.STATE_OR_PROVINCE_NAME, "ST"), (NameOID.LOCALITY_NAME, "L"),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "OU"), (NameOID.ORGANIZATION_NAME, "O"), (NameOID.COUNTRY_NAME, "C"),
)  # fmt: skip
_SINGLE = (NameOID.SERIAL_NUMBER, NameOID.COMMON_NAME)
_PRINTABLE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?")


def chain_facts(sent: Sequence[bytes], trusted: str | Path | None) -> ChainFacts | None:
    """Return what the certificates `sent` (the server's first; PEM or DER) say; None where they are none.

    `trusted` holds the authorities, as PEM text or a file; None where the chain was not verified.
    """
    if not sent:
        return None
    stamp = _stamp(trusted) if isinstance(trusted, Path) else 0
    digest = hashlib.sha256(f"{type(trusted)} {trusted} {stamp}".encode())
    for one in sent:
        digest.update(one)
    key = digest.digest()
    if key not in _KNOWN:
        _KNOWN[key] = _read(sent, trusted, stamp)
        if len(_KNOWN) > _KEPT:
            _KNOWN.popitem(last=False)
    return _KNOWN[key]


def go_name(name: x509.Name) -> str:
    """Write a name as Go's pkix does: known parts in its own order, the others behind, as hex."""
    parts = []
    for oid, shown in _NAMED:
        values = [_escaped(_text(one.value)) for one in name.get_attributes_for_oid(oid)]
        values = values[-1:] if oid in _SINGLE else values
        if values:
            parts.append("+".join(f"{shown}={value}" for value in values))
    known = {oid for oid, _ in _NAMED}
    others = [one for one in name if one.oid not in known]
    parts += [f"{one.oid.dotted_string}=#{_string(_text(one.value)).hex()}" for one in reversed(others)]
    return ",".join(parts)


def _read(sent: Sequence[bytes], trusted: str | Path | None, stamp: int) -> ChainFacts | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)  # it was accepted all the same
        try:
            chain = [_certificate(one) for one in sent]
            leaf = chain[0]
            return ChainFacts(
                leaf.fingerprint(hashes.SHA256()).hex(),
                go_name(leaf.subject),
                go_name(leaf.issuer),
                ",".join(_names(leaf)),
                f"{leaf.serial_number:x}",
                None if trusted is None else _lasts(leaf, chain[1:], _authorities(trusted, stamp)),
            )
        except ValueError:
            return None


def _certificate(data: bytes) -> x509.Certificate:
    if data.startswith(b"-----"):
        return x509.load_pem_x509_certificate(data)
    return x509.load_der_x509_certificate(data)


def _names(leaf: x509.Certificate) -> list[str]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return found.value.get_values_for_type(x509.DNSName)


def _lasts(
    certificate: x509.Certificate,
    others: Sequence[x509.Certificate],
    authorities: dict[bytes, list[x509.Certificate]],
    depth: int = 0,
) -> float | None:
    """Return until when the longest trusted way from `certificate` up to an authority holds."""
    end = certificate.not_valid_after_utc.timestamp()
    if any(one == certificate for one in authorities.get(certificate.subject.public_bytes(), ())):
        return end
    if depth >= _DEEPEST:
        return None
    ends = [
        one.not_valid_after_utc.timestamp()
        for one in authorities.get(certificate.issuer.public_bytes(), ())
        if _has_issued(one, certificate)
    ]
    for one in others:
        if one.subject == certificate.issuer and _has_issued(one, certificate):
            above = _lasts(one, [other for other in others if other is not one], authorities, depth + 1)
            ends += [] if above is None else [above]
    return min(end, max(ends)) if ends else None


def _has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


@lru_cache(maxsize=32)
def _authorities(trusted: str | Path, _stamp: int) -> dict[bytes, list[x509.Certificate]]:
    """Return the authorities of a file or a text, by name."""
    text = trusted.read_text(errors="replace") if isinstance(trusted, Path) else trusted
    found: dict[bytes, list[x509.Certificate]] = {}
    for pem in _pems(text):
        try:
            one = x509.load_der_x509_certificate(ssl.PEM_cert_to_DER_cert(pem))
            found.setdefault(one.subject.public_bytes(), []).append(one)
        except ValueError:
            continue  # what OpenSSL makes of it is its own affair
    return found


def _pems(text: str) -> Iterator[str]:
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    for piece in text.split(begin)[1:]:
        yield f"{begin}{piece.partition(end)[0]}{end}\n"


def _stamp(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _escaped(value: str) -> str:
    escaped = "".join(f"\\{one}" if one in ',+"\\<>;' else one for one in value)
    if escaped[:1] in ("#", " "):
        escaped = f"\\{escaped}"
    return f"{escaped[:-1]}\\ " if escaped.endswith(" ") and len(value) > 1 else escaped


def _string(value: str) -> bytes:
    """Return ASN.1's encoding of a text, as Go chooses it."""
    data = value.encode()
    length = len(data)
    size = bytes([length]) if length < 128 else b"\x82" + length.to_bytes(2, "big")
    if 128 <= length < 256:
        size = bytes([0x81, length])
    return (b"\x13" if _PRINTABLE.issuperset(data) else b"\x0c") + size + data
