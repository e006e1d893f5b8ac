"""Certificates of an authority of our own, good and bad."""

import ssl
from datetime import UTC, datetime, timedelta

import trustme

NOW = datetime.now(UTC).replace(microsecond=0)


def context(authority: trustme.CA, *names: str, days: int = 30) -> ssl.SSLContext:
    """Make a server's TLS context with a certificate that ends in `days`, negative: ended already."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ends = NOW + timedelta(days=days)
    leaf = authority.issue_cert(*names, not_before=ends - timedelta(days=90), not_after=ends)
    leaf.configure_cert(made)
    return made


def ends_in(days: int) -> float:
    """Return the notAfter of such a certificate, in unix seconds."""
    return (NOW + timedelta(days=days)).timestamp()
