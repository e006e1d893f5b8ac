"""Tables: one row per site, alert or incident, put together out of several queries."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.common import TableCellHeight
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue, ValueMapping

from grafana.build.panels import DATASOURCE, About, Link, Series, queries


@dataclass(frozen=True)
class Column:
    """One value column of a table: its heading, its query, and how its cells look.

    A `hidden` column is there for its labels, or to sort by.
    """

    heading: str
    expr: str
    unit: str = "none"
    mappings: Sequence[ValueMapping] = ()
    colours: ThresholdsConfig | None = None
    decimals: int | None = None
    hidden: bool = False


@dataclass(frozen=True)
class Label:
    """One label as a column: its heading, and where a click on it leads."""

    name: str
    heading: str
    link: Link | None = None


def rows(
    about: About, labels: Sequence[Label], columns: Sequence[Column], *, worst_first: str | None = None
) -> table.Panel:
    """Show a table: one row per set of the labels that all queries share; see Grafana's `merge`.

    The rows are sorted by the column with the heading `worst_first`, highest first.
    """
    values = _value_fields(columns)
    hidden = {"Time": True} | {name: True for name, column in values.items() if column.hidden}
    shown = {name: column for name, column in values.items() if not column.hidden}
    headings = {label.name: label.heading for label in labels} | {
        name: column.heading for name, column in shown.items()
    }
    panel = (
        table.Panel()
        .title(about.title)
        .description(about.description)
        .unit(about.unit)
        .datasource(DATASOURCE)
        .span(about.width)
        .height(about.height)
        .cell_height(TableCellHeight.SM)
        .no_value("none")
        .with_transformation(DataTransformerConfig(id_val="merge", options={}))
    )
    if worst_first is not None:
        (field,) = (name for name, column in values.items() if column.heading == worst_first)
        panel = panel.with_transformation(
            DataTransformerConfig(
                id_val="sortBy", options={"fields": {}, "sort": [{"field": field, "desc": True}]}
            )
        )
    panel = panel.with_transformation(
        DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": hidden,
                "indexByName": {name: index for index, name in enumerate(headings)},
                "renameByName": headings,
            },
        )
    )
    for label in labels:
        if label.link is not None:
            panel = panel.override_by_name(label.heading, [DynamicConfigValue("links", [_link(label.link)])])
    for column in shown.values():
        panel = panel.override_by_name(column.heading, _cell(column))
    for query in queries([Series(column.expr) for column in columns], instant=True, as_table=True):
        panel = panel.with_target(query)
    return panel


def _value_fields(columns: Sequence[Column]) -> dict[str, Column]:
    """Return the columns by the name that Grafana gives to their values."""
    if len(columns) == 1:
        return {"Value": columns[0]}
    return {f"Value #{chr(ord('A') + index)}": column for index, column in enumerate(columns)}


def _link(link: Link) -> dict[str, object]:
    return {"title": link.title, "url": link.url}


def _cell(column: Column) -> list[DynamicConfigValue]:
    wanted = [DynamicConfigValue("unit", column.unit)]
    if column.decimals is not None:
        wanted.append(DynamicConfigValue("decimals", column.decimals))
    if column.mappings:
        wanted.append(DynamicConfigValue("mappings", list(column.mappings)))
    if column.colours is not None:
        wanted.append(DynamicConfigValue("thresholds", column.colours.build()))
    if column.mappings or column.colours is not None:
        wanted.append(DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    return wanted
