"""What a hop of an HTTP probe sets a handle to."""

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pycurl

from exporter.probers.http_options import HTTPOptions
from exporter.probers.http_plan import Hop, Plan
from exporter.probers.paths import FileError, bytes_of, secret_of
from exporter.probers.proxies import proxy_of
from exporter.target import WebTarget
from exporter.transfer import ALWAYS, Settings

USER_AGENT = "Sitemedic"


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
    if plan.follows:
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


def _basic(username: str, password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
