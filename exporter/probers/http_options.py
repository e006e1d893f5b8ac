"""The options of the http prober, under blackbox_exporter's key names."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from core.faults import quoted
from core.secrets import Secret
from core.sites import Options
from exporter.matching.cel import LACKING, Cel, is_there
from exporter.matching.patterns import Pattern
from exporter.probers.oauth2 import OAuth2
from exporter.probers.tls import TLSConfig

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SIZES = {"": 1, "B": 1, "KB": 1 << 10, "KIB": 1 << 10, "MB": 1 << 20, "MIB": 1 << 20, "GB": 1 << 30,
          "GIB": 1 << 30}  # fmt: skip


def _status(value: object) -> int | str:
    if isinstance(value, str) and re.fullmatch(r"[1-5]xx", value.strip().lower()):
        return value.strip().lower()
    if isinstance(value, str) and value.strip().isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
        return value
    raise ValueError(f"must be a status such as 200, or a class such as 2xx (got {quoted(value)})")


def _size(value: object) -> int:
    """Read a size as Prometheus's libraries do: powers of 1024."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = re.fullmatch(r"(\d+)\s*([A-Z]*)", str(value).strip().upper())
    if match is None or match[2] not in _SIZES:
        raise ValueError(f"must be a size such as 512KB or 2MB (got {quoted(value)})")
    return int(match[1]) * _SIZES[match[2]]


def _one_or_many(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


StatusMatch = Annotated[
    int | str,
    BeforeValidator(_status),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 100, "maximum": 599},
                {"type": "string", "pattern": "^[1-5]xx$"},
            ]
        }
    ),
]
"""An HTTP status, or a class of them: 200, `2xx`."""
Size = Annotated[int, BeforeValidator(_size), WithJsonSchema({"type": ["string", "integer"]})]


class HeaderMatch(Options):
    """A pattern on the values of one header."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    header: str
    """The header's name."""
    regexp: Pattern
    """RE2, unanchored."""
    allow_missing: bool = False
    """Do not fail when the answer lacks the header."""


class HeaderValues(Options):
    """The values of one header, from three places."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    values: tuple[str, ...] = ()
    """As they are."""
    secrets: tuple[Secret, ...] = ()
    """Masked wherever the configuration is shown; sent to the target's own origin only."""
    files: tuple[Path, ...] = ()
    """Each holds a value; sent to the target's own origin only."""


class BasicAuth(Options):
    """A user's name and password."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    username: str = ""
    """The user's name."""
    username_file: Path | None = None
    """The same from a file."""
    password: Secret | None = None
    """The password."""
    password_file: Path | None = None
    """The same from a file."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("set password or password_file, not both")
        if self.username and self.username_file is not None:
            raise ValueError("set username or username_file, not both")
        return self


class Authorization(Options):
    """The Authorization header."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str = "Bearer"
    """The scheme, the header's first word."""
    credentials: Secret | None = None
    """What follows the scheme."""
    credentials_file: Path | None = None
    """The same from a file."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.credentials is not None and self.credentials_file is not None:
            raise ValueError("set credentials or credentials_file, not both")
        if self.type.strip().lower() == "basic":
            raise ValueError("type cannot be Basic: use basic_auth")
        return self


class HTTPOptions(Options):
    """What the http prober asks for, and what it expects."""

    model_config = ConfigDict(use_attribute_docstrings=True, coerce_numbers_to_str=True)

    valid_status_codes: tuple[StatusMatch, ...] = ()
    """Statuses that are well, such as 200 or 3xx; empty: 2xx."""
    valid_http_versions: tuple[str, ...] = ()
    """HTTP versions that are well: HTTP/1.0, HTTP/1.1, HTTP/2.0, HTTP/3.0; empty: all."""
    preferred_ip_protocol: Literal["ip4", "ip6"] = "ip6"
    """The protocol to use where the name has addresses of both."""
    ip_protocol_fallback: bool = True
    """Use the other protocol where the preferred one cannot be."""
    skip_resolve_phase_with_proxy: bool = False
    """Accepted for blackbox_exporter's files: with a proxy, the proxy resolves the name."""
    no_follow_redirects: bool | None = None
    """The old way to write follow_redirects: false."""
    follow_redirects: bool = True
    """Follow redirects, ten at most."""
    fail_if_ssl: bool = False
    """Fail when the last answer came over TLS."""
    fail_if_not_ssl: bool = False
    """Fail when the last answer came without TLS."""
    method: str = "GET"
    """The request's method."""
    headers: dict[str, str] = Field(default_factory=dict)
    """The request's headers."""
    http_headers: dict[str, HeaderValues] = Field(default_factory=dict)
    """Further headers of the request, each with its values."""
    body: str = ""
    """The request's body."""
    body_file: Path | None = None
    """The same from a file."""
    body_size_limit: Size = 0
    """Fail when the body is larger; 0: no limit, and patterns see the first 1 MiB."""
    compression: Literal["", "gzip", "br", "deflate", "identity"] = ""
    """Ask for a compressed body and unpack it."""
    fail_if_body_matches_regexp: tuple[Pattern, ...] = ()
    """Fail when one of these is in the body."""
    fail_if_body_not_matches_regexp: tuple[Pattern, ...] = ()
    """Fail when one of these is not in the body."""
    fail_if_body_json_matches_cel: Cel | None = None
    """Fail when this is true of the JSON body: body.status != "ok"; needs requirements-extra.in."""
    fail_if_body_json_not_matches_cel: Cel | None = None
    """Fail when this is not true of the JSON body; needs requirements-extra.in."""
    fail_if_header_matches: tuple[HeaderMatch, ...] = ()
    """Fail when a value of the header matches."""
    fail_if_header_not_matches: tuple[HeaderMatch, ...] = ()
    """Fail when no value of the header matches."""
    basic_auth: BasicAuth | None = None
    """Basic authentication."""
    authorization: Authorization | None = None
    """Another Authorization header."""
    bearer_token: Secret | None = None
    """The old way to write authorization.credentials."""
    bearer_token_file: Path | None = None
    """The old way to write authorization.credentials_file."""
    oauth2: OAuth2 | None = None
    """A token by client credentials, asked for anew shortly before it ends."""
    tls_config: TLSConfig = TLSConfig()
    """TLS settings."""
    proxy_url: str = ""
    """The proxy to go through."""
    proxy_connect_header: dict[str, tuple[Secret, ...]] = Field(default_factory=dict)
    """Headers for the proxy alone, where an https URL is reached through it."""
    proxy_from_environment: bool = False
    """Go through the proxies that the exporter's environment names: HTTP_PROXY, HTTPS_PROXY, NO_PROXY."""
    no_proxy: str = ""
    """Hosts to reach without the proxy, with commas between."""
    enable_http2: bool = True
    """Offer HTTP/2 over TLS."""
    enable_http3: bool = False
    """Use HTTP/3 alone for https URLs."""

    _as_list = field_validator(
        "valid_status_codes", mode="before", json_schema_input_type=StatusMatch | tuple[StatusMatch, ...]
    )(_one_or_many)

    @field_validator("method")
    @classmethod
    def _method(cls, method: str) -> str:
        if not TOKEN.fullmatch(method):
            raise ValueError(f"must be an HTTP method such as GET (got {quoted(method)})")
        return method.upper()

    @field_validator("http_headers", "proxy_connect_header")
    @classmethod
    def _names(cls, headers: dict[str, Any]) -> dict[str, Any]:
        for name in headers:
            if not TOKEN.fullmatch(name) or name.lower() in ("host", "authorization", "content-length"):
                raise ValueError(f"{name!r} cannot be a header here")
        return headers

    @field_validator("headers")
    @classmethod
    def _headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not TOKEN.fullmatch(name):
                raise ValueError(f"{name!r} is not a header's name")
            if re.search(r"[\r\n\x00]", value):
                raise ValueError(f"the value of {name} must be one line")
        return headers

    @field_validator("valid_http_versions")
    @classmethod
    def _versions(cls, versions: tuple[str, ...]) -> tuple[str, ...]:
        for version in versions:
            if not re.fullmatch(r"HTTP/\d(\.\d)?", version):
                raise ValueError(f"must be written like HTTP/1.1 or HTTP/2.0 (got {quoted(version)})")
        return versions

    @model_validator(mode="after")
    def _together(self) -> Self:
        ways = [self.basic_auth, self.authorization, self.bearer_token, self.bearer_token_file, self.oauth2]
        if sum(way is not None for way in ways) > 1:
            raise ValueError("set one of basic_auth, authorization, bearer_token, bearer_token_file, oauth2")
        if self.body and self.body_file is not None:
            raise ValueError("set body or body_file, not both")
        if self.fail_if_ssl and self.fail_if_not_ssl:
            raise ValueError("set fail_if_ssl or fail_if_not_ssl, not both: together they always fail")
        return self

    @property
    def follows(self) -> bool:
        """Say whether redirects are followed."""
        return not self.no_follow_redirects if self.no_follow_redirects is not None else self.follow_redirects

    @property
    def has_cel(self) -> bool:
        """Say whether the body is looked at as JSON."""
        return (self.fail_if_body_json_matches_cel or self.fail_if_body_json_not_matches_cel) is not None

    def complaints(self) -> list[tuple[str, str]]:
        """Say what of these options cannot be used, as (key, message)."""
        found = []
        if self.proxy_from_environment:
            both = [name for name in ("proxy_url", "no_proxy") if getattr(self, name)]
            found += [(name, "cannot be beside proxy_from_environment: keep one of them") for name in both]
        names = ("fail_if_body_json_matches_cel", "fail_if_body_json_not_matches_cel")
        wanted = [name for name in names if getattr(self, name)]
        if wanted and not is_there():
            found += [(name, LACKING) for name in wanted]
        return found
