"""What only a DNS probe tells, as metrics."""

from typing import NamedTuple

from exporter.families import gauge
from exporter.labels import Labels
from exporter.result import Result

FAMILIES = (
    gauge("probe_dns_duration_seconds", "Duration of DNS request by phase"),
    gauge("probe_dns_answer_rrs", "Returns number of entries in the answer resource record list"),
    gauge("probe_dns_authority_rrs", "Returns number of entries in the authority resource record list"),
    gauge("probe_dns_additional_rrs", "Returns number of entries in the additional resource record list"),
    gauge("probe_dns_query_succeeded", "Displays whether or not the query was executed successfully"),
    gauge("probe_dns_serial", "Returns the serial number of the zone"),
)


class DNSFacts(NamedTuple):
    """What only a DNS probe knows."""

    query_succeeded: bool = False
    """An answer came, whatever it says."""
    answers: int = 0
    authorities: int = 0
    additionals: int = 0
    serial: int | None = None
    """Of the zone, where its SOA was asked for; 0 where it is not in the answer."""


def dns_lines(result: Result, labels: Labels) -> tuple[str, ...]:
    """Return the lines of one result, in the order of `FAMILIES`."""
    facts, phases, of = result.facts, result.phases, labels.plain
    assert isinstance(facts, DNSFacts)
    phase = f'probe_dns_duration_seconds{labels.head}phase="'
    durations = (
        f'{phase}resolve"}} {phases.resolve:.6f}\n{phase}connect"}} {phases.connect + phases.tls:.6f}\n'
        f'{phase}request"}} {phases.processing:.6f}\n'
    )
    return (
        durations,
        f"probe_dns_answer_rrs{of} {facts.answers}\n",
        f"probe_dns_authority_rrs{of} {facts.authorities}\n",
        f"probe_dns_additional_rrs{of} {facts.additionals}\n",
        f"probe_dns_query_succeeded{of} {int(facts.query_succeeded)}\n",
        f"probe_dns_serial{of} {facts.serial}\n" if facts.serial is not None else "",
    )
