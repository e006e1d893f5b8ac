"""OAuth 2 client credentials: a token for the http prober, kept until shortly before it ends.

OAuth2Error        no token; the message is for people and holds no secret
"""

import json
import math
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote_plus, urlencode

import pycurl
from pydantic import ConfigDict, Field, field_validator, model_validator

from core.secrets import Secret
from core.sites import Options
from exporter.probers.paths import secret_of
from exporter.probers.prober import Attempt
from exporter.probers.tls import TLSConfig, configure_tls
from exporter.resolve import ResolveError, literal
from exporter.target import TargetError, parse_web_target
from exporter.transfer import ALWAYS, Settings, configure, connect_to, failure

_EARLY = 10.0
"""Seconds before its end at which a token is not used any more."""
_LARGEST = 1 << 20
_KEPT = 1000
_TOKENS: "OrderedDict[int, tuple[OAuth2, str, float]]" = OrderedDict()
"""By the options' id, which is not another's while they are held: options, Authorization, until when."""


class OAuth2Error(Exception):
    """No token; the message is for people and holds no secret."""


class OAuth2(Options):
    """Client credentials, under the names that Prometheus gives them."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    client_id: str = Field(min_length=1)
    """The client's name."""
    client_secret: Secret | None = None
    """Its secret."""
    client_secret_file: Path | None = None
    """The same from a file."""
    scopes: tuple[str, ...] = ()
    """What the token shall allow."""
    token_url: str
    """Where tokens are given."""
    endpoint_params: dict[str, str] = Field(default_factory=dict)
    """Further parameters of the request for a token."""
    tls_config: TLSConfig = TLSConfig()
    """TLS settings for token_url."""
    proxy_url: str = ""
    """The proxy to reach token_url through."""

    @field_validator("token_url")
    @classmethod
    def _url(cls, url: str) -> str:
        parse_web_target(url)
        return url

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.client_secret is None) == (self.client_secret_file is None):
            raise ValueError("set client_secret or client_secret_file")
        return self


async def authorization(attempt: Attempt, options: OAuth2) -> str:
    """Return the Authorization header's value. Raises OAuth2Error, FileError."""
    known = _TOKENS.get(id(options))
    if known is not None and time.monotonic() < known[2]:
        return known[1]
    secret = secret_of(options.client_secret, options.client_secret_file)
    try:
        status, body = await _asked(attempt, options, secret, by_header=True)
        if status in (400, 401):  # some want it in the body, as Go tries too
            status, body = await _asked(attempt, options, secret, by_header=False)
    except (TargetError, ResolveError) as error:
        raise OAuth2Error(f"no token: {error}") from error
    value, lasts = _read(status, body)
    _TOKENS[id(options)] = (options, value, time.monotonic() + lasts - _EARLY)
    if len(_TOKENS) > _KEPT:
        _TOKENS.popitem(last=False)
    return value


def forget(options: OAuth2) -> None:
    """Ask for a new token next time: the site did not take this one."""
    _TOKENS.pop(id(options), None)


async def _asked(attempt: Attempt, options: OAuth2, secret: str, *, by_header: bool) -> tuple[int, bytes]:
    """Ask for a token; return status and body."""
    web = parse_web_target(options.token_url)
    form = {"grant_type": "client_credentials"} | options.endpoint_params
    if options.scopes:
        form["scope"] = " ".join(options.scopes)
    if not by_header:
        form |= {"client_id": options.client_id, "client_secret": secret}
    body = bytearray()

    def take(piece: bytes) -> int:
        body.extend(piece)
        return len(piece) if len(body) <= _LARGEST else 0

    settings: Settings = (
        *ALWAYS, (pycurl.URL, web.url), (pycurl.POSTFIELDS, urlencode(form)), (pycurl.WRITEFUNCTION, take),
        (pycurl.PROXY, options.proxy_url),
    )  # fmt: skip
    curl = attempt.engine.take()
    try:
        configure(curl, settings, attempt.deadline - time.monotonic())
        if by_header:
            curl.setopt(pycurl.USERNAME, quote_plus(options.client_id))
            curl.setopt(pycurl.PASSWORD, quote_plus(secret))
        if not options.proxy_url and literal(web.host) is None:
            left = attempt.deadline - time.monotonic()
            found = await attempt.resolver.lookup(web.host, 4, True, left)
            curl.setopt(pycurl.CONNECT_TO, connect_to(found[0], web.port))
        if web.scheme == "https":
            configure_tls(curl, options.tls_config)
        ending = await attempt.engine.perform(curl)
        if ending.code:
            raise OAuth2Error(f"no token: {failure(curl, ending, secure=web.scheme == 'https')[1]}")
        return int(curl.getinfo(pycurl.RESPONSE_CODE)), bytes(body)
    finally:
        attempt.engine.give_back(curl)


def _read(status: int, body: bytes) -> tuple[str, float]:
    """Return the header's value, and for how many seconds it lasts."""
    if not 200 <= status < 300:
        raise OAuth2Error(f"no token: token_url answered {status}")
    try:
        said: Any = json.loads(body)
        token, kind = str(said["access_token"]), str(said.get("token_type") or "Bearer")
        lasts = float(said.get("expires_in") or math.inf)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise OAuth2Error("no token: token_url's answer holds no access_token") from error
    if not token or not f"{kind}{token}".isascii() or not f"{kind}{token}".isprintable():
        raise OAuth2Error("no token: token_url's access_token cannot be a header")
    return f"{'Bearer' if kind.lower() == 'bearer' else kind} {token}", lasts
