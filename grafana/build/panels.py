"""The kinds of panel the dashboards are made of, each with a unit, a description and $datasource."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import bargauge, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.common import (
    ReduceDataOptions,
    StackingConfig,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import DashboardLink, ThresholdsConfig
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    DataSourceRef,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, DynamicConfigValue, ValueMapping
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.build.looks import GOOD, NEUTRAL, STATES, steps

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
Panel = bargauge.Panel | stat.Panel | statetimeline.Panel | table.Panel | timeseries.Panel


@dataclass(frozen=True)
class Series:
    """One query of a panel and how its lines are named (a Grafana legend template)."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class About:
    """What every panel must say about itself, and its place: columns of 24, rows of 38 px."""

    title: str
    description: str
    unit: str
    width: int
    height: int


@dataclass(frozen=True)
class Link:
    """Where a click leads: a Grafana URL template."""

    title: str
    url: str

    def build(self) -> DashboardLink:
        """Return it as a data link."""
        return DashboardLink(self.title).type(DashboardLinkType.LINK).url(self.url)


def queries(series: Sequence[Series], *, instant: bool, as_table: bool = False) -> list[prometheus.Dataquery]:
    """Return the targets for `series`, lettered from A."""
    made = []
    for index, one in enumerate(series):
        query = prometheus.Dataquery().datasource(DATASOURCE).ref_id(chr(ord("A") + index)).expr(one.expr)
        query = query.instant() if instant else query.range()
        if as_table:
            query = query.format(PromQueryFormat.TABLE)
        made.append(query.legend_format(one.legend or "__auto"))
    return made


def number(
    about: About,
    series: Series,
    colours: ThresholdsConfig | None = None,
    *,
    mappings: Sequence[ValueMapping] = (),
    decimals: int | None = None,
    nothing: str = "–",
    named: bool = False,
    link: Link | None = None,
) -> stat.Panel:
    """Show one number of this moment, coloured by `colours`; with `named` its legend instead."""
    panel = (
        stat.Panel()
        .title(about.title)
        .description(about.description)
        .unit(about.unit)
        .datasource(DATASOURCE)
        .span(about.width)
        .height(about.height)
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.NONE)
        .text_mode(BigValueTextMode.NAME if named else BigValueTextMode.VALUE)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(colours or steps(NEUTRAL))
        .mappings(list(mappings))
        .no_value(nothing)
    )
    if decimals is not None:
        panel = panel.decimals(decimals)
    if link is not None:
        panel = panel.data_links([link.build()])
    for query in queries([series], instant=True):
        panel = panel.with_target(query)
    return panel


def lines(
    about: About,
    series: Sequence[Series],
    *,
    stacked: bool = False,
    limit: str | None = None,
    colours: ThresholdsConfig | None = None,
) -> timeseries.Panel:
    """Draw `series` over time; lines whose name matches the expression `limit` are limits, not data."""
    panel = (
        timeseries.Panel()
        .title(about.title)
        .description(about.description)
        .unit(about.unit)
        .datasource(DATASOURCE)
        .span(about.width)
        .height(about.height)
        .min(0)
        .fill_opacity(40 if stacked else 5)
        .show_points(VisibilityMode.AUTO)
        .stacking(StackingConfig().mode(StackingMode.NORMAL if stacked else StackingMode.NONE))
        .thresholds(colours or steps(GOOD))
        .legend(_legend(shown=True))
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    if limit:
        panel = panel.override_by_regexp(
            limit,
            [
                DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 8]}),
                DynamicConfigValue("custom.fillOpacity", 0),
                DynamicConfigValue("custom.stacking", {"mode": "none", "group": "limit"}),
                DynamicConfigValue("color", {"mode": "fixed", "fixedColor": "red"}),
            ],
        )
    for query in queries(series, instant=False):
        panel = panel.with_target(query)
    return panel


def states(
    about: About, series: Series, mappings: Sequence[ValueMapping] = tuple(STATES), link: Link | None = None
) -> statetimeline.Panel:
    """Draw one row per line of `series`, its states side by side over time."""
    panel = (
        statetimeline.Panel()
        .title(about.title)
        .description(about.description)
        .unit(about.unit)
        .datasource(DATASOURCE)
        .span(about.width)
        .height(about.height)
        .mappings(list(mappings))
        .show_value(VisibilityMode.NEVER)
        .merge_values(True)
        .row_height(0.8)
        .per_page(10)
        .legend(_legend(shown=False))
    )
    if link is not None:
        panel = panel.data_links([link.build()])
    for query in queries([series], instant=False):
        panel = panel.with_target(query)
    return panel


def bars(about: About, series: Series, colours: ThresholdsConfig | None = None) -> bargauge.Panel:
    """Show one bar per line of `series`, of this moment."""
    panel = (
        bargauge.Panel()
        .title(about.title)
        .description(about.description)
        .unit(about.unit)
        .datasource(DATASOURCE)
        .span(about.width)
        .height(about.height)
        .min(0)
        .decimals(0)
        .orientation(VizOrientation.HORIZONTAL)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(colours or steps(NEUTRAL))
        .no_value("none")
    )
    for query in queries([series], instant=True):
        panel = panel.with_target(query)
    return panel


def _legend(*, shown: bool) -> VizLegendOptions:
    return (
        VizLegendOptions()
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(shown)
    )
