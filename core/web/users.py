"""Basic authentication by bcrypt hashes; what was found is remembered, since bcrypt is slow on purpose.

One check of cost 10 takes some 75 ms of a core, of cost 12 some 310 ms.
"""

import base64
import binascii
import hmac
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping

import bcrypt

from core.secrets import Secret

MOST_REMEMBERED = 100
"""Answers that are kept of each kind; wrong passwords never push right ones out."""

_LONGEST = 72
"""Bytes of a password that bcrypt reads; Go's and htpasswd's ignore the rest as well."""
_USUAL_COST = 10
_HASH = re.compile(r"\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
_DECOY = "QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"
"""Salt and hash of nobody's password."""


class _Memory:
    """What bcrypt has answered, by marks that tell no password."""

    def __init__(self) -> None:
        self.key = secrets.token_bytes(32)
        self.one_at_a_time = threading.Lock()
        self._kept: dict[bool, OrderedDict[bytes, None]] = {True: OrderedDict(), False: OrderedDict()}

    def answer(self, mark: bytes) -> bool | None:
        return next((good for good, marks in self._kept.items() if mark in marks), None)

    def keep(self, mark: bytes, *, good: bool) -> None:
        marks = self._kept[good]
        marks[mark] = None
        if len(marks) > MOST_REMEMBERED:
            marks.popitem(last=False)


class Users:
    """Who may come in. Thread-safe."""

    def __init__(self, hashes: Mapping[str, Secret], before: "Users | None" = None) -> None:
        """Let those in who have a hash; `before` hands on what it remembers."""
        self._hashes = {user.encode(): hashed.reveal().encode() for user, hashed in hashes.items()}
        self._memory: _Memory = before._memory if before is not None else _Memory()
        cost = max((int(hashed[4:6]) for hashed in self._hashes.values()), default=_USUAL_COST)
        self._decoy = f"$2b${cost:02}${_DECOY}".encode()

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def remembered(self, header: str | None) -> bool | None:
        """Say whether an `Authorization` header lets in, where that is known at once; None: ask `check`."""
        given = _credentials(header)
        if given is None:
            return False
        mark = self._mark(*given)
        return self._memory.answer(mark)

    def check(self, header: str | None) -> bool:
        """Say whether an `Authorization` header lets in; takes as long for a user that does not exist.

        One at a time, so that many wrong passwords take one core at most.
        """
        given = _credentials(header)
        if given is None:
            return False
        with self._memory.one_at_a_time:
            known = self.remembered(header)
            if known is not None:
                return known
            user, password = given
            hashed = self._hashes.get(user)
            good = _matches(password, hashed or self._decoy) and hashed is not None
            self._memory.keep(self._mark(user, password), good=good)
            return good

    def _mark(self, user: bytes, password: bytes) -> bytes:
        """Return what stands for these credentials; no password is kept, and a new hash is a new mark."""
        parts = (user, self._hashes.get(user, b""), password)
        told = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._memory.key, told, "sha256")


def _matches(password: bytes, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password[:_LONGEST], hashed)
    except ValueError:  # a salt with bits that no program writes
        return False


def hash_fault(hashed: Secret) -> str | None:
    """Say what is wrong with a bcrypt hash, None where it can be used; it is never shown."""
    if _HASH.fullmatch(hashed.reveal()) is None:
        return "must be a bcrypt hash, as `htpasswd -nBC 10 NAME` prints behind the colon"
    return None


def _credentials(header: str | None) -> tuple[bytes, bytes] | None:
    scheme, _, given = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(given.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None
