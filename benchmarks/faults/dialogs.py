"""Ways to hold a dialog over TCP or a unix socket, by name."""

from benchmarks.faults.peer import Peer, Script


def _irc(peer: Peer) -> None:
    nick, user = peer.line(), peer.line()
    assert nick.startswith(b"NICK ")
    assert user.startswith(b"USER ")
    peer.say(b":irc.test NOTICE AUTH :*** Looking up\r\nPING :cookie.42\r\n")
    if peer.line() == b"PONG cookie.42\n":
        peer.say(b":irc.test 001 prober :Welcome\r\n")
    peer.wait()


def _postgres(peer: Peer) -> None:
    """Answer an SSLRequest as PostgreSQL does, which bears no byte more than it has."""
    if peer.exactly(8) != bytes.fromhex("0000000804d2162f"):
        return
    peer.say(b"S")
    peer.start_tls()
    peer.wait()


def _injecting(peer: Peer) -> None:
    """Say beforehand, in the clear, what shall be taken for words of the encrypted connection."""
    peer.line()
    peer.say(b"220 go\n250 injected\n")
    peer.start_tls()
    peer.wait()


def _telling(*said: bytes, stays: bool = False) -> Script:
    def tell(peer: Peer) -> None:
        for data in said:
            peer.say(data)
        if stays:
            peer.wait()

    return tell


def _reset(peer: Peer) -> None:
    peer.say(b"hel")
    peer.reset()


def _starting(peer: Peer) -> None:
    peer.line()
    peer.say(b"220 go\n")
    peer.start_tls()
    peer.say(b"250 " + peer.line())
    peer.wait()


def _secure(peer: Peer) -> None:
    peer.start_tls()
    peer.say(b"SSH-2.0-Secure of course\n")
    peer.wait()


SCRIPTS: dict[str, Script] = {
    "secure": _secure,
    "irc": _irc,
    "postgres": _postgres,
    "injecting": _injecting,
    "starting": _starting,
    "banner": _telling(b"SSH-2.0-Test_1.2 some comment\r\n", stays=True),
    "unended": _telling(b"first\nSSH-2.0-Unended"),
    "other": _telling(b"220 mail.test\r\n250 ok\r\n"),
    "other_stays": _telling(b"421 too busy\r\n", stays=True),
    "empty_lines": _telling(b"\n\r\n\r\r\nSSH-2.0-x\n"),
    "pieces": _telling(b"SSH", b"-2.0", b"-Pieces a b\r", b"\n", stays=True),
    "fits": _telling(b"a" * 65_535 + b"\nSSH-2.0-x y\n", stays=True),
    "too_long": _telling(b"a" * 65_536 + b"\nSSH-2.0-x y\n", stays=True),
    "endless": _telling(b"a" * 200_000, stays=True),
    "binary": _telling(b"\xff\xfe\x00\nSSH-2.0-\xc3\xbc x\n", stays=True),
    "silent": _telling(stays=True),
    "closed": _telling(),
    "reset": _reset,
    "bytes": _telling(b"\x00\x01ok!", stays=True),
    "bytes_short": _telling(b"\x00\x01o"),
}
"""Ways to speak, by name."""
