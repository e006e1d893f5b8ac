"""Who may call: bearer tokens, compared in constant time."""

import hmac

from core.secrets import Secret


def bearer_matches(header: str | None, token: Secret) -> bool:
    """Say whether an `Authorization` header carries `token`."""
    if header is None:
        return False
    scheme, _, given = header.partition(" ")
    if scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.reveal().encode())
