"""Panels about incidents and what the remediator did."""

from grafana.build.looks import BAD, GOOD, NEUTRAL, WARNING, steps
from grafana.build.panels import About, Panel, Series, lines, number


def incidents_and_attempts() -> list[Panel]:
    """Show the open incidents, those with a human, what was tried, and what was decided instead."""
    return [
        number(
            About("Open incidents", "Outages that fresh probes have not yet proved over.", "short"),
            Series("sum(sitemedic_incidents_open) or vector(0)"),
            steps(GOOD, (1, WARNING)),
        ),
        number(
            About("With a human", "Open incidents that the remediator has handed over.", "short"),
            Series('sum(sitemedic_incidents_open{state="needs_human"}) or vector(0)'),
            steps(GOOD, (1, BAD)),
        ),
        number(
            About("Healed", "Incidents ended by an attempt, in the time shown above.", "short"),
            Series('sum(increase(sitemedic_incidents_total{outcome="healed"}[$__range])) or vector(0)'),
        ).decimals(0),
        number(
            About(
                "Attempts failed", "Attempts that failed or were abandoned, in the time shown above.", "short"
            ),
            Series('sum(increase(sitemedic_attempts_total{outcome!="succeeded"}[$__range])) or vector(0)'),
            steps(GOOD, (1, WARNING)),
        ).decimals(0),
        number(
            About(
                "Time to recover, median",
                "From the incident to its proved end, in the time shown above.",
                "s",
            ),
            Series(
                "histogram_quantile(0.5, sum by (le) "
                "(increase(sitemedic_incident_recover_seconds_bucket[$__range])))"
            ),
        ),
        number(
            About("Pauses in force", "While one is, nothing in its scope is acted on.", "short"),
            Series("sum(sitemedic_pauses) or vector(0)"),
            steps(GOOD, (1, WARNING)),
        ),
        *_over_time(),
    ]


def _over_time() -> list[Panel]:
    incidents = About("Incidents by state", "Open incidents over time, by what is being done.", "short")
    attempts = About("Attempts", "Attempts that ended, by action and outcome, per interval shown.", "short")
    decisions = About(
        "Decisions",
        "Decisions that were news, per interval shown: what was decided (act, wait, refuse, observe, "
        "escalate, close) and why.",
        "short",
    )
    ended = "sum by (action, outcome) (increase(sitemedic_attempts_total[$__rate_interval])) > 0"
    decided = "sum by (decision, reason) (increase(sitemedic_decisions_total[$__rate_interval])) > 0"
    neutral = steps(NEUTRAL)
    states = "sum by (state) (sitemedic_incidents_open)"
    return [
        lines(incidents, [Series(states, "{{state}}")], neutral, span=8),
        lines(attempts, [Series(ended, "{{action}} {{outcome}}")], neutral, span=8),
        lines(decisions, [Series(decided, "{{decision}}: {{reason}}")], neutral, span=8),
    ]
