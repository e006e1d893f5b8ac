"""Cipher suites: OpenSSL's names to IANA's, which Go and so blackbox_exporter uses.

TLS 1.3 suites bear the same name in both; of the older ones only those that OpenSSL 3 still agrees to.
"""

_ECDHE = {
    "AES128-GCM-SHA256": "AES_128_GCM_SHA256",
    "AES256-GCM-SHA384": "AES_256_GCM_SHA384",
    "CHACHA20-POLY1305": "CHACHA20_POLY1305_SHA256",
    "AES128-SHA256": "AES_128_CBC_SHA256",
    "AES256-SHA384": "AES_256_CBC_SHA384",
    "AES128-SHA": "AES_128_CBC_SHA",
    "AES256-SHA": "AES_256_CBC_SHA",
}
_RSA = {
    "AES128-GCM-SHA256": "AES_128_GCM_SHA256",
    "AES256-GCM-SHA384": "AES_256_GCM_SHA384",
    "AES128-SHA256": "AES_128_CBC_SHA256",
    "AES256-SHA256": "AES_256_CBC_SHA256",
    "AES128-SHA": "AES_128_CBC_SHA",
    "AES256-SHA": "AES_256_CBC_SHA",
}
_NAMES = {
    **{f"ECDHE-{key}-{name}": f"TLS_ECDHE_{key}_WITH_{suite}"
       for key in ("RSA", "ECDSA") for name, suite in _ECDHE.items()},
    **{name: f"TLS_RSA_WITH_{suite}" for name, suite in _RSA.items()},
    **{f"DHE-RSA-{name}": f"TLS_DHE_RSA_WITH_{suite}" for name, suite in _RSA.items()},
    "DHE-RSA-CHACHA20-POLY1305": "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
}  # fmt: skip


def go_cipher_name(name: str) -> str:
    """Return IANA's name of OpenSSL's suite `name`; the name itself where none is known."""
    return _NAMES.get(name, name)
