"""How a machine and the routers before it can behave to pings; most of it only in a network made for it."""

from benchmarks.faults.behaviour import Behaviour, nowhere


def _ping(host: str, *, here: bool = False, ends: bool = True) -> Behaviour:
    return Behaviour(nowhere, "icmp", host, here=here, ends=ends)


ICMP = {
    "replies": _ping("127.0.0.1", here=True),
    "replies-v6": _ping("::1", here=True),
    "unknown-name": _ping("no-such-host.invalid", here=True),
    "source-not-ours": Behaviour(nowhere, "icmp", "127.0.0.1", {"source_ip_address": "192.0.2.250"}),
    "silent": _ping("10.9.0.77", ends=False),
    "prohibited": _ping("198.51.100.9"),
    "unreachable": _ping("203.0.113.9"),
    "ttl-used-up": Behaviour(nowhere, "icmp", "10.8.0.1", {"ttl": 1}, here=False),
    "no-route": _ping("2001:db8::9"),
}
"""`silent` and what follows it: addresses of the network that tests/exporter/pinged_network.py makes."""
