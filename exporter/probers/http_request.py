"""What an HTTP probe asks for: planned once per target and module, set on a handle per hop."""

import base64
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import pycurl

from exporter.probers.http_options import HTTPOptions
from exporter.probers.paths import FileError, bytes_of, secret_of
from exporter.probers.proxies import proxy_of
from exporter.target import TargetError, WebTarget, parse_web_target
from exporter.transfer import ALWAYS, Settings

USER_AGENT = "Sitemedic"
_PLANS_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Plan:
    """A target and its options, made ready for many probes."""

    first: "Hop"
    options: HTTPOptions
    host_header: str | None
    """The Host header to send while the probe stays with the target's host."""
    server_name: str | None
    """The name to ask TLS for, where it is not the URL's."""
    names: frozenset[str]
    """The names under which the target's own host may be redirected to."""
    headers: tuple[str, ...]
    """Headers for whomever the probe is led to."""
    credentials: tuple[str, ...]
    """Headers for the target's own origin only."""
    sends_own_authorization: bool
    wants_body: bool
    """Whether anybody looks at the body."""
    wants_headers: bool
    ready: list[Settings] = field(default_factory=list)
    """The first hop's settings, once they have been made; empty while files are read for each probe."""

    def authorized(self, value: str) -> "Plan":
        """Return this plan with an Authorization header for the target's own origin."""
        if self.sends_own_authorization:
            return self
        credentials = (*self.credentials, f"Authorization: {value}")
        return replace(self, credentials=credentials, sends_own_authorization=True, ready=[])

    def is_home(self, web: WebTarget) -> bool:
        """Say whether `web` is the target's own host."""
        return web.host in self.names

    def may_have_credentials(self, web: WebTarget) -> bool:
        """Say whether `web` is the target's own origin, or its upgrade from port 80 to 443."""
        if not self.is_home(web):
            return False
        first = self.first.web
        upgraded = (first.scheme, first.port, web.scheme, web.port) == ("http", 80, "https", 443)
        return upgraded or (web.scheme, web.port) == (first.scheme, first.port)


@dataclass(frozen=True, slots=True)
class Hop:
    """One request on the way through redirects."""

    web: WebTarget
    method: str
    with_body: bool = True

    def led_to(self, web: WebTarget, status: int) -> "Hop":
        """Return the hop that a redirect of `status` to `web` asks for; POST becomes GET as in browsers."""
        becomes_get = (status == 303 and self.method != "HEAD") or (
            status in (301, 302) and self.method not in ("GET", "HEAD")
        )
        if becomes_get:
            return Hop(web, "GET", with_body=False)
        return Hop(web, self.method, self.with_body)


class Plans:
    """The plans in use, by target and options; the longest unused are forgotten."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str | None, int], Plan] = OrderedDict()

    def get(self, target: str, options: HTTPOptions, hostname: str | None) -> Plan:
        """Return the plan for `target`. Raises TargetError."""
        # The plan holds the options, so their id is not another's while the plan is kept.
        key = (target, hostname, id(options))
        plan = self._kept.get(key)
        if plan is None:
            plan = self._kept[key] = make_plan(target, options, hostname)
            if len(self._kept) > _PLANS_KEPT:
                self._kept.popitem(last=False)
        return plan


def make_plan(target: str, options: HTTPOptions, hostname: str | None) -> Plan:
    """Plan the requests of `target`. Raises TargetError."""
    web = parse_web_target(target)
    common, private, host_header = [], [], hostname
    for name, value in options.headers.items():
        line = f"{name}: {value}" if value else f"{name};"
        if name.lower() == "host":
            host_header = hostname or value
        elif name.lower() in ("authorization", "cookie", "proxy-authorization"):
            private.append(line)
        else:
            common.append(line)
    common += [f"{name}: {value}" for name, of in options.http_headers.items() for value in of.values]
    given = {name.lower() for name in options.headers}
    has_body = bool(options.body or options.body_file)
    # Without a value libcurl leaves out what it would add by itself.
    if (has_body or options.method == "POST") and "content-type" not in given:
        common.append("Content-Type:")
    if has_body:
        common.append("Expect:")
    alias = _bare_host(host_header) if host_header else None
    server_name = options.tls_config.server_name or alias
    names = frozenset(name.lower() for name in (web.host, alias, server_name) if name)
    return Plan(
        first=Hop(web, options.method),
        options=options,
        host_header=host_header,
        server_name=server_name,
        names=names,
        headers=tuple(common),
        credentials=tuple(private),
        sends_own_authorization="authorization" in given,
        wants_body=bool(
            options.fail_if_body_matches_regexp
            or options.fail_if_body_not_matches_regexp
            or options.compression
            or options.has_cel
        ),
        wants_headers=bool(options.fail_if_header_matches or options.fail_if_header_not_matches),
    )


def settings_of(plan: Plan, hop: Hop) -> Settings:
    """Return what `hop` sets a handle to. Raises FileError."""
    if hop is plan.first and plan.ready:
        return plan.ready[0]
    settings = tuple(_settings(plan, hop))
    if hop is plan.first and not _reads_files(plan.options):
        plan.ready.append(settings)
    return settings


def _settings(plan: Plan, hop: Hop) -> Iterator[tuple[int, Any]]:
    options, secure = plan.options, hop.web.scheme == "https"
    yield from ALWAYS
    yield pycurl.URL, _url(plan, hop.web)
    yield pycurl.USERAGENT, USER_AGENT
    yield pycurl.OPT_FILETIME, 1
    if not plan.wants_body:
        # `len` says "all taken" from C: a body that nobody looks at costs no Python call.
        yield pycurl.WRITEFUNCTION, len
    if options.follows:
        yield pycurl.COOKIEFILE, ""
    yield from _method(options, hop)
    headers = _headers(plan, hop.web)
    if headers:
        yield pycurl.HTTPHEADER, [line.encode() for line in headers]
    if options.compression not in ("", "identity"):
        yield pycurl.ACCEPT_ENCODING, options.compression
    if options.body_size_limit:
        yield pycurl.MAXFILESIZE_LARGE, options.body_size_limit
    proxy = proxy_of(options, hop.web)
    if proxy:
        yield pycurl.PROXY, proxy
        yield pycurl.NOPROXY, ""
        yield pycurl.HEADEROPT, pycurl.HEADER_SEPARATE
        for_proxy = options.proxy_connect_header.items()
        yield (
            pycurl.PROXYHEADER,
            [f"{name}: {one_line(one.reveal())}".encode() for name, values in for_proxy for one in values],
        )
    if secure and options.enable_http3:
        yield pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_3ONLY
    elif secure and not options.enable_http2:
        yield pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1


def _reads_files(options: HTTPOptions) -> bool:
    auth, given = options.basic_auth, options.authorization
    return bool(
        options.body_file
        or options.bearer_token_file
        or any(of.files for of in options.http_headers.values())
        or (auth and (auth.username_file or auth.password_file))
        or (given and given.credentials_file)
    )


def authorization_of(web: WebTarget, options: HTTPOptions) -> list[str]:
    """Return the Authorization header that the URL's credentials, or the options, ask for."""
    if web.username is not None:
        return [_basic(web.username, web.password or "")]
    if options.basic_auth is not None:
        auth = options.basic_auth
        name = secret_of(None, auth.username_file) if auth.username_file else auth.username
        return [_basic(name, secret_of(auth.password, auth.password_file))]
    if options.authorization is not None:
        given = options.authorization
        return [f"Authorization: {given.type} {secret_of(given.credentials, given.credentials_file)}"]
    if options.bearer_token is not None or options.bearer_token_file is not None:
        return [f"Authorization: Bearer {secret_of(options.bearer_token, options.bearer_token_file)}"]
    return []


def _url(plan: Plan, web: WebTarget) -> str:
    """Return the URL to hand to libcurl, under the name that TLS shall ask for."""
    if not is_renamed(plan, web):
        return web.url
    name = f"[{plan.server_name}]" if ":" in (plan.server_name or "") else plan.server_name
    return f"https://{name}:{web.port}{web.path}"


def is_renamed(plan: Plan, web: WebTarget) -> bool:
    """Say whether libcurl's URL bears another host than `web`, which it must then be led to."""
    return plan.server_name is not None and web.scheme == "https" and plan.is_home(web)


def _headers(plan: Plan, web: WebTarget) -> list[str]:
    headers = list(plan.headers)
    if (plan.host_header or plan.server_name) and plan.is_home(web):
        headers.append(f"Host: {plan.host_header or _authority(web)}")
    if plan.may_have_credentials(web):
        headers += plan.credentials
        headers += _secret_headers(plan.options)
        if not plan.sends_own_authorization:
            headers += authorization_of(plan.first.web, plan.options)
    return headers


def _secret_headers(options: HTTPOptions) -> Iterator[str]:
    for name, of in options.http_headers.items():
        for value in (
            *(secret.reveal() for secret in of.secrets),
            *(secret_of(None, file) for file in of.files),
        ):
            yield f"{name}: {one_line(value)}"


def one_line(value: str) -> str:
    """Return a header's value. Raises FileError where it is more than a line."""
    if any(mark in value for mark in "\r\n\0"):
        raise FileError("a header's value must be one line")
    return value


def _method(options: HTTPOptions, hop: Hop) -> Iterator[tuple[int, Any]]:
    body = b""
    if hop.with_body:
        body = bytes_of(options.body_file) if options.body_file else options.body.encode()
    if body or hop.method == "POST":
        yield pycurl.POSTFIELDS, body
    if hop.method not in ("GET", "POST", "HEAD") or (body and hop.method != "POST"):
        yield pycurl.CUSTOMREQUEST, hop.method
    if hop.method == "HEAD":
        yield pycurl.NOBODY, 1


def _authority(web: WebTarget) -> str:
    return urlsplit(web.url).netloc


def _bare_host(header: str) -> str:
    """Return a Host header's name without its port. Raises TargetError."""
    try:
        return parse_web_target(f"http://{header}").host
    except TargetError as error:
        raise TargetError(f"the Host header {header!r} is no host name") from error


def _basic(username: str, password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
