"""Tables: one row per site, alert or incident, put together out of several queries."""

from collections.abc import Mapping, Sequence
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


def rows(about: About, cells: Sequence[Label | Column], *, worst_first: str | None = None) -> table.Panel:
    """Show a table: one row per set of the labels that all queries share; see Grafana's `merge`.

    The rows are sorted by the column with the heading `worst_first`, highest first.
    """
    fields = _fields(cells)
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
        (field,) = (name for name, cell in fields.items() if cell.heading == worst_first)
        panel = panel.with_transformation(
            DataTransformerConfig(
                id_val="sortBy", options={"fields": {}, "sort": [{"field": field, "desc": True}]}
            )
        )
    panel = panel.with_transformation(_organized(fields))
    for cell in fields.values():
        properties = _properties(cell)
        if properties:
            panel = panel.override_by_name(cell.heading, properties)
    columns = [cell for cell in cells if isinstance(cell, Column)]
    for query in queries([Series(column.expr) for column in columns], instant=True, as_table=True):
        panel = panel.with_target(query)
    return panel


def _fields(cells: Sequence[Label | Column]) -> dict[str, Label | Column]:
    """Return the cells by the name that Grafana gives to each: a label's own, and `Value #A` and so on."""
    columns = [cell for cell in cells if isinstance(cell, Column)]
    if len(columns) == 1:
        letters = {id(columns[0]): "Value"}
    else:
        letters = {id(column): f"Value #{chr(ord('A') + index)}" for index, column in enumerate(columns)}
    return {cell.name if isinstance(cell, Label) else letters[id(cell)]: cell for cell in cells}


def _organized(fields: Mapping[str, Label | Column]) -> DataTransformerConfig:
    """Return Grafana's `organize`: the fields in this order, under their headings."""
    hidden = [name for name, cell in fields.items() if isinstance(cell, Column) and cell.hidden]
    shown = {name: cell.heading for name, cell in fields.items() if name not in hidden}
    return DataTransformerConfig(
        id_val="organize",
        options={
            "excludeByName": dict.fromkeys(["Time", *hidden], True),
            "indexByName": {name: index for index, name in enumerate(shown)},
            "renameByName": shown,
        },
    )


def _properties(cell: Label | Column) -> list[DynamicConfigValue]:
    if isinstance(cell, Label):
        return [DynamicConfigValue("links", [_link(cell.link)])] if cell.link else []
    return [] if cell.hidden else _cell(cell)


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
