"""The committed dashboards as Grafana would read them, and their queries with Grafana's variables put in."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
BOARDS: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in FILES}
_SPECIAL = re.compile(r"[$^*{}\[\]'+?.()|]")


@dataclass(frozen=True)
class Query:
    """One query of a dashboard: who asks, and what."""

    board: str
    asker: str
    expr: str
    over_time: bool = False

    def __str__(self) -> str:
        return f"{self.board.removeprefix('sitemedic-')}: {self.asker}"


def community(exporter: str) -> list[dict[str, Any]]:
    """Return what dashboards that others made for an exporter ask; see community.yml."""
    found: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "community.yml").read_text())
    return [one for one in found if one.get("of", "blackbox_exporter") == exporter]


def panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a dashboard's panels without the rows that head them."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def variables(board: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return a dashboard's variables by name."""
    return {variable["name"]: variable for variable in board["templating"]["list"]}


def all_panels() -> list[tuple[str, dict[str, Any]]]:
    """Return every panel with the uid of its dashboard."""
    return [(uid, panel) for uid, board in BOARDS.items() for panel in panels(board)]


def queries() -> Iterator[Query]:
    """Yield every query: the panels', the annotations' and the variables'."""
    for uid, board in BOARDS.items():
        for panel in panels(board):
            for target in panel["targets"]:
                asker = f"{panel['title']} {target['refId']}"
                yield Query(uid, asker, target["expr"], over_time=bool(target.get("range")))
        for annotation in board["annotations"].get("list", []):
            yield Query(uid, f"annotation {annotation['name']}", annotation["expr"], over_time=True)
        for name, variable in variables(board).items():
            if variable["type"] == "query":
                yield Query(uid, f"variable {name}", variable_expr(variable["query"]))


def variable_expr(query: str) -> str:
    """Return the PromQL of a variable: a series with the label of label_values, or what query_result asks."""
    if found := re.fullmatch(r"query_result\((.*)\)", query, re.DOTALL):
        return found[1]
    found = re.fullmatch(r"label_values\((.*), *(\w+)\)", query, re.DOTALL)
    assert found, query
    return f"group by ({found[2]}) ({found[1]}) and on ({found[2]}) ({with_label(found[1], found[2])})"


def with_label(selector: str, label: str) -> str:
    """Return the selector with the demand that the series have the label."""
    metric, _, rest = selector.partition("{")
    return f'{metric}{{{label}!="", {rest}' if rest else f'{metric}{{{label}!=""}}'


def escaped(value: str) -> str:
    """Escape a value for a regular expression in PromQL as Grafana's Prometheus data source does."""
    return _SPECIAL.sub(lambda found: "\\\\" + found[0], value.replace("\\", "\\\\\\\\"))


def filled(expr: str, values: Mapping[str, str | Sequence[str]]) -> str:
    """Put values in the place of Grafana's variables: many of them as `(a|b)`, escaped."""
    for name, value in values.items():
        text = value if isinstance(value, str) else f"({'|'.join(map(escaped, value))})"
        expr = re.sub(rf"\${{{name}(:\w+)?}}|\${name}\b", lambda _, text=text: text, expr)
    assert "$" not in re.sub(r'"[^"]*"', "", expr), expr
    return expr
