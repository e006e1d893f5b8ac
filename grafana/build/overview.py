"""The dashboard "Sitemedic": every site's state, speed and uptime, and what was done about outages."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, QueryVariable, Row
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from grafana.build import healing, itself, sites
from grafana.build.panels import DATASOURCE

UID = "sitemedic-overview"
ROWS = {
    "Now": sites.now,
    "Sites": sites.table_and_timeline,
    "Incidents and attempts": healing.incidents_and_attempts,
    "Speed and failures": sites.speed,
    "Uptime": sites.uptime,
    "Sitemedic itself": itself.services,
}


def dashboard() -> Dashboard:
    """Build the whole dashboard."""
    made = (
        Dashboard("Sitemedic")
        .uid(UID)
        .description("Every site Sitemedic watches: is it up, how fast, and what was done when it was not.")
        .tags(["sitemedic"])
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(_datasource())
        .with_variable(_site())
    )
    for title, panels in ROWS.items():
        made = made.with_row(Row(title))
        for panel in panels():
            made = made.with_panel(panel)
    return made


def _datasource() -> DatasourceVariable:
    return DatasourceVariable("datasource").label("Data source").type("prometheus")


def _site() -> QueryVariable:
    return (
        QueryVariable("site")
        .label("Site")
        .datasource(DATASOURCE)
        .query("label_values(sitemedic_site_info, site)")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )
