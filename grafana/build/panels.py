"""The kinds of panel the dashboards are made of, each with a unit, a description and $datasource."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import bargauge, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.common import (
    ReduceDataOptions,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    DataSourceRef,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    ValueMapping,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.build.looks import GOOD, NEUTRAL, UP_OR_DOWN, steps

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH = 24
Panel = bargauge.Panel | stat.Panel | statetimeline.Panel | table.Panel | timeseries.Panel


@dataclass(frozen=True)
class Series:
    """One query of a panel and how its lines are named (a Grafana legend template)."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class About:
    """What every panel must say about itself."""

    title: str
    description: str
    unit: str


def _queries(
    series: Sequence[Series], *, instant: bool, as_table: bool = False
) -> list[prometheus.Dataquery]:
    made = []
    for index, one in enumerate(series):
        query = prometheus.Dataquery().datasource(DATASOURCE).ref_id(chr(ord("A") + index)).expr(one.expr)
        query = query.instant() if instant else query.range()
        if as_table:
            query = query.format(PromQueryFormat.TABLE)
        made.append(query.legend_format(one.legend or "__auto"))
    return made


def number(
    about: About, series: Series, colours: ThresholdsConfig | None = None, *, span: int = 4
) -> stat.Panel:
    """Show one number of this moment, coloured by `colours`."""
    panel = (
        stat.Panel()
        .title(about.title)
        .description(about.description)
        .unit(about.unit)
        .datasource(DATASOURCE)
        .span(span)
        .height(4)
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(colours or steps(NEUTRAL))
        .no_value("–")
    )
    for query in _queries([series], instant=True):
        panel = panel.with_target(query)
    return panel


def lines(
    about: About,
    series: Sequence[Series],
    colours: ThresholdsConfig | None = None,
    *,
    span: int = 12,
    dashed: str | None = None,
) -> timeseries.Panel:
    """Draw `series` over time; lines whose name matches the expression `dashed` are limits, not data."""
    panel = (
        timeseries.Panel()
        .title(about.title)
        .description(about.description)
        .unit(about.unit)
        .datasource(DATASOURCE)
        .span(span)
        .height(9)
        .min(0)
        .fill_opacity(5)
        .show_points(VisibilityMode.NEVER)
        .thresholds(colours or steps(GOOD))
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    if dashed:
        panel = panel.override_by_regexp(
            dashed,
            [
                DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 8]}),
                DynamicConfigValue("custom.fillOpacity", 0),
            ],
        )
    for query in _queries(series, instant=False):
        panel = panel.with_target(query)
    return panel


def states(about: About, series: Series, mappings: list[ValueMapping] = UP_OR_DOWN) -> statetimeline.Panel:
    """Draw one row per line of `series`, its states side by side over time."""
    panel = (
        statetimeline.Panel()
        .title(about.title)
        .description(about.description)
        .unit(about.unit)
        .datasource(DATASOURCE)
        .span(WIDTH)
        .height(9)
        .mappings(mappings)
        .show_value(VisibilityMode.NEVER)
        .merge_values(True)
        .row_height(0.8)
        .per_page(25)
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(False)
        )
    )
    for query in _queries([series], instant=False):
        panel = panel.with_target(query)
    return panel


def bars(about: About, series: Series, colours: ThresholdsConfig, *, span: int = 8) -> bargauge.Panel:
    """Show one bar per line of `series`, of this moment, from 0 to 1."""
    panel = (
        bargauge.Panel()
        .title(about.title)
        .description(about.description)
        .unit(about.unit)
        .datasource(DATASOURCE)
        .span(span)
        .height(9)
        .min(0)
        .max(1)
        .decimals(3)
        .orientation(VizOrientation.HORIZONTAL)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(colours)
    )
    for query in _queries([series], instant=True):
        panel = panel.with_target(query)
    return panel


@dataclass(frozen=True)
class Column:
    """One value column of a table: its heading, its query, and how its cells look."""

    heading: str
    expr: str
    unit: str = "short"
    mappings: tuple[ValueMapping, ...] = ()
    colours: ThresholdsConfig | None = None


def rows(about: About, columns: Sequence[Column], labels: Sequence[str], *, span: int = WIDTH) -> table.Panel:
    """Show a table: one row per set of `labels`, which are the leading columns, then `columns`.

    The queries must agree on the labels they share, since Grafana's `merge` joins by them.
    """
    letters = [chr(ord("A") + index) for index in range(len(columns))]
    order = [*labels, *(f"Value #{letter}" for letter in letters)]
    if len(columns) == 1:
        order[-1] = "Value"
    headings = dict(zip(order[len(labels) :], (column.heading for column in columns), strict=True))
    panel = (
        table.Panel()
        .title(about.title)
        .description(about.description)
        .unit(about.unit)
        .datasource(DATASOURCE)
        .span(span)
        .height(10)
        .with_transformation(DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": {"Time": True},
                    "indexByName": {name: index for index, name in enumerate(order)},
                    "renameByName": headings,
                },
            )
        )
    )
    for column in columns:
        panel = panel.override_by_name(column.heading, _cell(column))
    for query in _queries([Series(column.expr) for column in columns], instant=True, as_table=True):
        panel = panel.with_target(query)
    return panel


def _cell(column: Column) -> list[DynamicConfigValue]:
    wanted = [DynamicConfigValue("unit", column.unit)]
    if column.mappings:
        wanted.append(DynamicConfigValue("mappings", list(column.mappings)))
    if column.colours is not None:
        wanted.append(DynamicConfigValue("thresholds", column.colours.build()))
    if column.mappings or column.colours is not None:
        wanted.append(DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    return wanted
