"""Where a probe connects to: the addresses of a host, in the order that the options ask for."""

import time
from typing import Literal, Protocol

from exporter.probers.prober import Attempt, Reading
from exporter.resolve import Address, ResolveError, literal
from exporter.target import TargetError


class AddressOptions(Protocol):
    """What the options of a prober say about addresses."""

    @property
    def preferred_ip_protocol(self) -> Literal["ip4", "ip6"]:
        """Return the protocol to use where a name has addresses of both."""

    @property
    def ip_protocol_fallback(self) -> bool:
        """Say whether the other protocol will do."""


async def addresses_of(
    host: str, options: AddressOptions, attempt: Attempt, reading: Reading, port: int | None = None
) -> list[Address]:
    """Return the addresses of `host` to try, the preferred one first; counts the time into the reading.

    `port` is None for the target's own.

    Raises ResolveError, and TargetError where it leads only to addresses that are barred.
    """
    found = await _found(host, options, attempt, reading)
    if attempt.barred is None:
        return found
    free = [address for address in found if not attempt.barred(host, port, address.text)]
    if not free:
        led_to = "" if found[0].text == host else f" leads to {found[0].text}, which"
        raise TargetError(f"{host}{led_to} is a private address: allow it with the key probe_targets")
    return free


def usable_literal(host: str, options: AddressOptions) -> Address | None:
    """Return `host` as an address where it is one, and the options let it be used."""
    known = literal(host)
    usable = known is not None and (known.protocol == _preferred(options) or options.ip_protocol_fallback)
    return known if usable else None


def _preferred(options: AddressOptions) -> int:
    return 6 if options.preferred_ip_protocol == "ip6" else 4


async def _found(host: str, options: AddressOptions, attempt: Attempt, reading: Reading) -> list[Address]:
    prefer, fallback = _preferred(options), options.ip_protocol_fallback
    known = literal(host)
    if known is not None:
        if known.protocol != prefer and not fallback:
            raise ResolveError(f"{host} is no IPv{prefer} address, and ip_protocol_fallback is off")
        return [known]
    began = time.monotonic()
    try:
        return await attempt.resolver.lookup(host, prefer, fallback, attempt.deadline - began)
    finally:
        reading.resolve += time.monotonic() - began
