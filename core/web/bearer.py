"""Who may call: bearer tokens, compared in constant time; and which passwords will do."""

import hmac

from core.secrets import Secret

SHORTEST_PASSWORD = 10


def bearer_matches(header: str | None, token: Secret) -> bool:
    """Say whether an `Authorization` header carries `token`."""
    if header is None:
        return False
    scheme, _, given = header.partition(" ")
    if scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.reveal().encode())


def password_fault(password: Secret) -> str | None:
    """Say what is wrong with a password that people choose, None where it will do."""
    if len(password.reveal()) < SHORTEST_PASSWORD:
        return f"must be at least {SHORTEST_PASSWORD} characters long: whoever knows it can pause and approve"
    return None
