"""The options of the dns prober, under blackbox_exporter's key names."""

from collections.abc import Callable, Mapping
from typing import Literal

import dns.exception
import dns.rcode
import dns.rdataclass
import dns.rdatatype
from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from core.faults import quoted
from core.sites import Options
from exporter.matching.patterns import Pattern
from exporter.probers.tls import TLSConfig


class RRValidator(Options):
    """What the records of one section of an answer must look like, as text: `name ttl class type value`."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    fail_if_matches_regexp: tuple[Pattern, ...] = ()
    """Fail where any record matches any of these."""
    fail_if_all_match_regexp: tuple[Pattern, ...] = ()
    """Fail where every record matches, for any of these."""
    fail_if_not_matches_regexp: tuple[Pattern, ...] = ()
    """Fail where any record does not match, for any of these; also where there is no record."""
    fail_if_none_matches_regexp: tuple[Pattern, ...] = ()
    """Fail where no record matches any of these."""


class DNSOptions(Options):
    """What the dns prober asks for."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    preferred_ip_protocol: Literal["ip4", "ip6"] = "ip6"
    """The protocol to use where the name server's name has addresses of both."""
    ip_protocol_fallback: bool = True
    """Use the other protocol where the preferred one cannot be."""
    source_ip_address: str = ""
    """The own address to ask from."""
    transport_protocol: Literal["udp", "tcp"] = "udp"
    """How to ask."""
    dns_over_tls: bool = False
    """Ask over TLS; needs transport_protocol tcp."""
    tls_config: TLSConfig = TLSConfig()
    """TLS settings."""
    query_name: str = ""
    """The name to ask for; a site's URL may give its own: dns://192.0.2.53/example.com?type=A."""
    query_type: str = "ANY"
    """The type of record to ask for."""
    query_class: str = "IN"
    """Its class."""
    recursion_desired: bool = True
    """Ask the server to ask others."""
    valid_rcodes: tuple[str, ...] = Field(default=("NOERROR",))
    """The response codes to accept."""
    validate_answer_rrs: RRValidator = RRValidator()
    """For the answer section."""
    validate_authority_rrs: RRValidator = RRValidator()
    """For the authority section."""
    validate_additional_rrs: RRValidator = RRValidator()
    """For the additional section."""

    @field_validator("query_type", "query_class")
    @classmethod
    def _check_name(cls, value: str, field: ValidationInfo) -> str:
        read, what = _NAMES[field.field_name or ""]
        return _known(value, read, what)

    @field_validator("valid_rcodes")
    @classmethod
    def _check_rcodes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        what = "response codes such as NOERROR"
        return tuple(_known(name, dns.rcode.from_text, what) for name in value) or ("NOERROR",)

    def complaints(self) -> list[tuple[str, str]]:
        """Say what of these options does not go together, as (key, message)."""
        if self.dns_over_tls and self.transport_protocol != "tcp":
            return [("dns_over_tls", "needs transport_protocol: tcp")]
        return []


_NAMES: Mapping[str, tuple[Callable[[str], object], str]] = {
    "query_type": (dns.rdatatype.from_text, "a type of record such as A, AAAA or MX"),
    "query_class": (dns.rdataclass.from_text, "a class such as IN"),
}


def _known(name: str, read: Callable[[str], object], what: str) -> str:
    """Return a name of DNS's own as it is written there. Raises ValueError where there is none such."""
    try:
        read(name)
    except (ValueError, dns.exception.DNSException) as error:
        raise ValueError(f"must be {what} (got {quoted(name)})") from error
    return name.upper()
