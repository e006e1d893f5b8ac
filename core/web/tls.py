"""TLS for a server: a context out of `tls_server_config`, and one that can be exchanged while it serves."""

import ssl
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from core.faults import ConfigError
from core.tls import VERSIONS, in_memory
from core.web.config import TLSServer

_VERIFY = {
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}


class LiveContext(ssl.SSLContext):
    """A context whose next connections take another's settings: certificates change while it serves."""

    current: ssl.SSLContext

    @classmethod
    def around(cls, context: ssl.SSLContext) -> "LiveContext":
        """Make one that begins with `context`."""
        live = cls(ssl.PROTOCOL_TLS_SERVER)
        live.current = context
        return live

    def wrap_bio(self, *arguments: Any, **keys: Any) -> ssl.SSLObject:
        """Begin a connection with the settings that hold now."""
        return self.current.wrap_bio(*arguments, **keys)


def server_context(tls: TLSServer, shown: str) -> ssl.SSLContext:
    """Return a context; faults name the file as `shown`. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = VERSIONS[tls.min_version], VERSIONS[tls.max_version]
    if tls.prefer_server_cipher_suites:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    where = f"tls_server_config: {tls.cert_file or 'cert'}, {tls.key_file or 'key'}"
    try:
        with (
            _file(tls.cert_file, tls.cert) as cert,
            _file(tls.key_file, tls.key.reveal() if tls.key else None) as key,
        ):
            context.load_cert_chain(cert, key, password=lambda: b"")
        where = f"tls_server_config: {tls.client_ca_file or 'client_ca'}"
        if tls.client_auth_type in _VERIFY:
            with _file(tls.client_ca_file, tls.client_ca) as authority:
                context.load_verify_locations(authority)
            context.verify_mode = _VERIFY[tls.client_auth_type]
        where = "tls_server_config.cipher_suites"
        # Those of TLS 1.3 cannot be chosen, in Go neither.
        if older := [openssl_cipher(name) for name in tls.cipher_suites if "_WITH_" in name]:
            context.set_ciphers(":".join(older))
        where = "tls_server_config.curve_preferences"
        for curve in tls.curve_preferences:
            context.set_ecdh_curve(_CURVES[curve])
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError.single(shown, where, f"cannot be used: {_cause(error)}") from error
    return context


def openssl_cipher(name: str) -> str:
    """Return OpenSSL's name of a cipher suite that Go names as IANA does."""
    known = name.removeprefix("TLS_").removesuffix("_SHA256") if name.endswith("POLY1305_SHA256") else name
    bare = known.removeprefix("TLS_").removeprefix("RSA_WITH_").replace("_WITH_", "_").replace("_CBC_", "_")
    return bare.replace("AES_128", "AES128").replace("AES_256", "AES256").replace("_", "-")


def _file(path: Path | None, text: str | None) -> AbstractContextManager[str]:
    """Give `path`, or a file in memory with `text`."""
    return nullcontext(str(path)) if path is not None else in_memory((text or "").encode())


def _cause(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]} is unknown"
    if isinstance(error, ssl.SSLError):
        return (getattr(error, "reason", None) or str(error)).lower().replace("_", " ")
    return str(error.strerror if isinstance(error, OSError) and error.strerror else error)
