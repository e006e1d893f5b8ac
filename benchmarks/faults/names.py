"""How a name server can behave: over UDP, TCP and TLS."""

import struct
from collections.abc import Mapping
from typing import Any

import dns.message

from benchmarks.faults.behaviour import (
    AUTHORITY,
    Behaviour,
    Opens,
    full,
    named,
    noise,
    nowhere,
    spoken,
    unheard,
)
from benchmarks.faults.https import CERTIFICATES, HANDSHAKES
from benchmarks.faults.name_server import ODD
from benchmarks.faults.peer import Peer, Script

IPV4 = {"preferred_ip_protocol": "ip4", "query_type": "A"}
OVER_TCP = IPV4 | {"transport_protocol": "tcp"}
OVER_TLS = OVER_TCP | {"dns_over_tls": True, "tls_config": {"ca_file": AUTHORITY}}
WANTED = {"validate_answer_rrs": {"fail_if_not_matches_regexp": ["10[.]0"]}}


def answering(way: str, cut: int = 0) -> Script:
    """Answer over TLS as the misbehaving name server does, all but the last `cut` bytes."""

    def script(peer: Peer) -> None:
        peer.start_tls()
        wire = peer.exactly(struct.unpack("!H", peer.exactly(2))[0])
        for answer in ODD[way](dns.message.from_wire(wire)):
            if answer is None:
                return
            peer.say((struct.pack("!H", len(answer)) + answer)[: None if not cut else -cut])
        if not cut:
            peer.wait()

    return script


def _asked(way: str, options: Mapping[str, Any] = IPV4, **more: bool) -> Behaviour:
    return Behaviour(named, "dns", f"dns://{{}}/{way}.test", options, **more)


def _at(opens: Opens, options: Mapping[str, Any], **more: bool) -> Behaviour:
    return Behaviour(opens, "dns", "dns://{}/good.test", options, **more)


def drip(peer: Peer) -> None:
    """Announce an answer and send it slowly."""
    peer.exactly(2)
    peer.say(b"\xff\xff")
    while not peer.has_gone(0.05):
        peer.say(b"\0")


ALIKE = {
    "answers": "good", "refuses-the-question": "refused", "fails": "servfail",
    "knows-no-such-name": "nxdomain", "garbage": "garbage", "cut": "cut", "short": "short",
    "answers-another-question": "another", "echoes-the-question": "itself",
}  # fmt: skip
"""What it does over UDP and TCP alike: its first label."""

DNS = {
    **{f"udp-{name}": _asked(way) for name, way in ALIKE.items()},
    **{f"tcp-{name}": _asked(way, OVER_TCP) for name, way in ALIKE.items()},
    "udp-answers-after-a-forgery": _asked("forged"),
    "udp-record-not-as-wanted": _asked("good", IPV4 | WANTED),
    "udp-silent": _asked("silent", ends=False),
    "udp-other-number": _asked("numbered", ends=False),
    "udp-nobody": _at(unheard, IPV4),
    "tcp-silent": _asked("silent", OVER_TCP, ends=False),
    "tcp-other-number": _asked("numbered", OVER_TCP),
    "tcp-closes": _asked("closed", OVER_TCP),
    "tcp-noise": _at(noise(b"\0\x20"), OVER_TCP),
    "tcp-drips": _at(spoken(drip), OVER_TCP, ends=False),
    "tcp-nobody": _at(unheard, OVER_TCP),
    "tcp-queue-full": _at(full, OVER_TCP, ends=False),
    "tls-answers": _at(spoken(answering("good")), OVER_TLS),
    "tls-answer-cut": _at(spoken(answering("good", cut=3)), OVER_TLS),
    **{
        f"tls-certificate-{name.replace(' ', '-')}": _at(spoken(answering("good"), name), OVER_TLS)
        for name in CERTIFICATES
    },
    **{f"tls-{name}": _at(opens, OVER_TLS, ends=ends) for name, (opens, ends) in HANDSHAKES.items()},
    "unknown-name": Behaviour(nowhere, "dns", "dns://no-such-host.invalid/good.test", IPV4),
}
