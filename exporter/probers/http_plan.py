"""What an HTTP probe asks for, planned once per target and module."""

from collections import OrderedDict
from dataclasses import dataclass, field, replace

from exporter.probers.addresses import usable_literal
from exporter.probers.http_answer import Room, room_for
from exporter.probers.http_checks import asks_for_more
from exporter.probers.http_options import HTTPOptions
from exporter.probers.oauth2 import OAuth2
from exporter.probers.proxies import proxy_of
from exporter.resolve import Address
from exporter.result import HTTPFacts
from exporter.target import TargetError, WebTarget, parse_web_target
from exporter.transfer import Settings

_PLANS_KEPT = 20_000
_NOTHING = HTTPFacts()
_NOTHING_OF_CEL = HTTPFacts(failed_due_to_cel=False)


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
    asks_for_more: bool
    """Whether more is asked of an answer than a status of 2xx."""
    follows: bool
    """Whether redirects are followed."""
    unpacks: bool
    """Whether a packed body is asked for, and unpacked."""
    room: Room
    nothing: HTTPFacts
    """What is known where no answer came."""
    oauth2: OAuth2 | None
    address: Address | None
    """Where the target's host is: it is an address that may be used, and no proxy stands before it."""
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
        asks_for_more=asks_for_more(options),
        follows=options.follows,
        unpacks=bool(options.compression),
        room=room_for(options),
        nothing=nothing_of(options),
        oauth2=options.oauth2,
        address=None if proxy_of(options, web) else usable_literal(web.host, options),
    )


def nothing_of(options: HTTPOptions) -> HTTPFacts:
    """Return what is known where no answer came."""
    return _NOTHING_OF_CEL if options.has_cel else _NOTHING


def _bare_host(header: str) -> str:
    """Return a Host header's name without its port. Raises TargetError."""
    try:
        return parse_web_target(f"http://{header}").host
    except TargetError as error:
        raise TargetError(f"the Host header {header!r} is no host name") from error
