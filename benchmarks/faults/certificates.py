"""Certificates of an authority of our own, good and bad, and the TLS contexts of servers that show them."""

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HERE = "127.0.0.1"
_DAY = datetime.timedelta(days=1)


class Authority:
    """Signs what it is asked to sign."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        self._now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        self.certificate = (
            _begun(self._name, self._key.public_key(), self._now - 900 * _DAY, self._now + 900 * _DAY)
            .issuer_name(self._name)
            .add_extension(x509.BasicConstraints(True, None), critical=True)
            .sign(self._key, SHA256())
        )

    def context(self, folder: Path, name: str = HERE, begins: int = -60, ends: int = 30) -> ssl.SSLContext:
        """Return a server's context whose certificate is for `name`; days from now, its files in `folder`."""
        file = folder / f"{x509.random_serial_number():x}.pem"
        file.write_bytes(self.certified(name, begins, ends))
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(file)
        return made

    def certified(self, name: str = HERE, begins: int = -60, ends: int = 30) -> bytes:
        """Return a P-256 key and a certificate of it for `name`, as PEM; days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternative: x509.GeneralName = x509.DNSName(name)
        if name == HERE:
            alternative = x509.IPAddress(ipaddress.ip_address(name))
        leaf = (
            _begun(_named(name), key.public_key(), self._now + begins * _DAY, self._now + ends * _DAY)
            .issuer_name(self._name)
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            .sign(self._key, SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return private + leaf.public_bytes(Encoding.PEM)

    def write(self, file: Path) -> None:
        """Write the authority's own certificate."""
        file.write_bytes(self.certificate.public_bytes(Encoding.PEM))


def contexts(folder: Path) -> dict[str, ssl.SSLContext]:
    """Return servers' contexts by what is right or wrong with them; `folder`/authority.pem is trusted."""
    authority, stranger = Authority("The authority"), Authority("A stranger")
    authority.write(folder / "authority.pem")
    old, asking, http2 = (authority.context(folder) for _ in range(3))
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    asking.verify_mode = ssl.CERT_REQUIRED
    asking.load_verify_locations(folder / "authority.pem")
    http2.set_alpn_protocols(["h2"])
    return {
        "good": authority.context(folder),
        "expired": authority.context(folder, ends=-3),
        "early": authority.context(folder, begins=3),
        "untrusted": stranger.context(folder),
        "other name": authority.context(folder, "other.example"),
        "old": old,
        "asking": asking,
        "http2": http2,
    }


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _begun(
    name: x509.Name, key: ec.EllipticCurvePublicKey, begins: datetime.datetime, ends: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
