"""Panels about incidents and what the remediator did."""

from grafana.build.looks import BAD, GOOD, NEUTRAL, WARNING, steps
from grafana.build.panels import About, Panel, Series, lines, number


def incidents_and_attempts() -> list[Panel]:
    """Show the open incidents, those with a human, and the attempts by action and outcome."""
    return [
        number(
            About("Open incidents", "Outages that are not yet over.", "short"),
            Series("sum(sitemedic_remediator_incidents_open) or vector(0)"),
            steps(GOOD, (1, WARNING)),
        ),
        number(
            About("With a human", "Incidents that the remediator has handed over.", "short"),
            Series('sum(sitemedic_remediator_incidents_open{state="needs_human"}) or vector(0)'),
            steps(GOOD, (1, BAD)),
        ),
        lines(
            About("Attempts", "Attempts that ended, by action and outcome.", "short"),
            [
                Series(
                    "sum by (action, outcome) (increase(sitemedic_remediator_attempts_total"
                    "[$__rate_interval]))",
                    "{{action}} {{outcome}}",
                )
            ],
            steps(NEUTRAL),
            span=16,
        ),
    ]
