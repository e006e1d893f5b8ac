"""Why a probe failed: a closed set, which becomes a metric's label."""

from enum import StrEnum


class Kind(StrEnum):
    """What a reason says about the site, and so who can mend it."""

    ANSWERS_WRONGLY = "answers_wrongly"
    DOES_NOT_ANSWER = "does_not_answer"
    FOR_A_HUMAN = "for_a_human"


class Reason(StrEnum):
    """The one reason of a failed probe."""

    STATUS = "status"
    """It answered with a status (or an HTTP version) that was not expected."""
    BODY = "body"
    """Its body lacks a wanted pattern, holds an unwanted one, is too large or badly packed."""
    HEADER = "header"
    """A header lacks a wanted pattern or holds an unwanted one."""
    PROTOCOL = "protocol"
    """It answered, but not in the protocol that was asked for."""
    REFUSED = "refused"
    """Its machine, or a router before it, refused the connection."""
    RESET = "reset"
    """The connection was closed before the whole answer came."""
    TIMEOUT = "timeout"
    """No whole answer came in time, or no way led to its machine."""
    DNS = "dns"
    """Its name leads to no address."""
    CERTIFICATE = "certificate"
    """Its certificate has expired, is not trusted or belongs to another name."""
    TLS = "tls"
    """TLS could not be agreed upon, or was used where it must not be (or the other way round)."""
    SILENT = "silent"
    """Its job was not heard in time (a heartbeat)."""
    FAILED = "failed"
    """Its job says that it failed (a heartbeat)."""
    ERROR = "error"
    """None of these, or the probe itself could not be made; never acted upon."""

    @property
    def kind(self) -> Kind:
        """Return what this reason says about the site."""
        return _KINDS.get(self, Kind.FOR_A_HUMAN)


_KINDS = {
    Reason.STATUS: Kind.ANSWERS_WRONGLY,
    Reason.BODY: Kind.ANSWERS_WRONGLY,
    Reason.HEADER: Kind.ANSWERS_WRONGLY,
    Reason.PROTOCOL: Kind.ANSWERS_WRONGLY,
    Reason.REFUSED: Kind.DOES_NOT_ANSWER,
    Reason.RESET: Kind.DOES_NOT_ANSWER,
    Reason.TIMEOUT: Kind.DOES_NOT_ANSWER,
}
