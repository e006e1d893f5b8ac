"""What every dashboard has: its uid, tags, data source, the links to the others and to the console."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders.dashboard import (
    AnnotationQuery,
    CustomVariable,
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from grafana.build.panels import DATASOURCE, Link, Panel

TAG = "sitemedic"
OVERVIEW, SITE, CONTAINERS, HEALING, ITSELF = (
    f"sitemedic-{name}" for name in ("overview", "site", "containers", "healing", "itself")
)
Variable = CustomVariable | QueryVariable


@dataclass(frozen=True)
class Board:
    """One dashboard as data: what stands above the fold, and the rows below it."""

    uid: str
    title: str
    description: str
    first_glance: Sequence[Panel]
    rows: Sequence[tuple[str, Sequence[Panel]]] = ()
    variables: Sequence[Variable] = ()
    annotations: Sequence[AnnotationQuery] = ()
    since: str = "now-6h"

    def build(self) -> Dashboard:
        """Return it as Grafana's SDK has it."""
        made = (
            Dashboard(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags([TAG])
            .timezone("browser")
            .time(self.since, "now")
            .refresh("30s")
            .tooltip(DashboardCursorSync.CROSSHAIR)
            .readonly()
            .link(_others())
            .link(_console())
            .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
            .with_variable(_console_address())
        )
        for variable in self.variables:
            made = made.with_variable(variable)
        for annotation in self.annotations:
            made = made.annotation(annotation)
        for panel in self.first_glance:
            made = made.with_panel(panel)
        for title, panels in self.rows:
            made = made.with_row(Row(title))
            for panel in panels:
                made = made.with_panel(panel)
        return made


def asked(
    name: str, label: str, description: str, query: str, *, many: bool = False, hidden: bool = False
) -> QueryVariable:
    """Return a variable whose values Prometheus knows; `many` may be chosen, all of them by a short `.*`."""
    variable = (
        QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(DATASOURCE)
        .query(query)
        .definition(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(many)
        .include_all(many)
    )
    if many:
        everything = VariableOption(selected=True, text="All", value="$__all")
        variable = variable.all_value(".*").current(everything)
    if hidden:
        variable = variable.hide(VariableHide.HIDE_VARIABLE)
    return variable


def marked(name: str, expr: str, title: str, text: str, colour: str) -> AnnotationQuery:
    """Return an annotation: a region over the time in which `expr` has a value."""
    return (
        AnnotationQuery()
        .name(name)
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color(colour)
        .expr(expr)
        .step("15s")
        .title_format(title)
        .text_format(text)
    )


def to_site(name: str) -> Link:
    """Return the link to a site's dashboard; `name` is Grafana's expression for the site's name."""
    url = f"/d/{SITE}?var-datasource=${{datasource}}&var-site=${{{name}:percentencode}}&${{__url_time_range}}"
    return Link("Open the site", url)


def to_containers(server: str) -> Link:
    """Return the link to a server's containers; `server` is Grafana's expression for its name."""
    return Link("Open its containers", _containers(server))


def to_container(server: str, name: str) -> Link:
    """Return the link to one container alone, by Grafana's expressions for its server and its name."""
    return Link("Open the container", f"{_containers(server)}&var-container=${{{name}:percentencode}}")


def to_incident(number: str) -> Link:
    """Return the link to an incident in the console; `number` is Grafana's expression for its id."""
    return Link("Open in the console", f"${{console}}/incidents/${{{number}}}")


def _containers(server: str) -> str:
    return (
        f"/d/{CONTAINERS}?var-datasource=${{datasource}}&${{__url_time_range}}"
        f"&var-server=${{{server}:percentencode}}"
    )


def _others() -> DashboardLink:
    return (
        DashboardLink("Sitemedic")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .tooltip("The other dashboards of Sitemedic")
        .keep_time(True)
    )


def _console() -> DashboardLink:
    return (
        DashboardLink("Console")
        .type(DashboardLinkType.LINK)
        .url("${console}/")
        .icon("external link")
        .tooltip("Incidents, approvals, pauses")
        .target_blank(True)
    )


def _console_address() -> QueryVariable:
    return asked(
        "console",
        "Console",
        "Where the remediator's console is.",
        "label_values(sitemedic_console_info, url)",
        hidden=True,
    )
