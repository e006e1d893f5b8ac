"""The runbooks as pages: docs/runbooks/*.md, in the little Markdown that they are written in.

Headings, paragraphs, lists, tables, indented code, `code` and links to other runbooks; a link to
anything else is shown as its words, since the console serves nothing else of docs/.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from markupsafe import Markup, escape

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "runbooks"

_KINDS = {
    "h1": re.compile(r"# (.*)"),
    "h2": re.compile(r"## (.*)"),
    "rule": re.compile(r"\|[-| :]+\|"),
    "table": re.compile(r"\|(.*)\|"),
    "ol": re.compile(r"\d+\. (.*)"),
    "ul": re.compile(r"- (.*)"),
    "pre": re.compile(r" {4}(.*)"),
}
_INLINE = re.compile(r"`([^`]+)`|\[([^]]+)\]\(([^)]+)\)")
_RUNBOOK = re.compile(r"([A-Za-z]+)\.md(#[\w-]*)?")


@dataclass
class _Line:
    kind: str
    text: str


def runbook(name: str, folder: Path = FOLDER) -> Markup | None:
    """Return a runbook as HTML, None where there is none of that name."""
    known = {path.stem: path for path in folder.glob("*.md")}
    return render(known[name].read_text(encoding="utf-8")) if name in known else None


def runbooks(folder: Path = FOLDER) -> list[str]:
    """Return the names of the runbooks."""
    return sorted(path.stem for path in folder.glob("*.md") if path.stem != "README")


def render(text: str) -> Markup:
    """Return the HTML of a text in that Markdown."""
    return Markup("\n").join(
        _block(kind, [line.text for line in lines])
        for kind, lines in groupby(_lines(text), lambda one: one.kind)
    )


def _lines(text: str) -> Iterator[_Line]:
    """Yield the lines with what they are; one that goes on with the one before is joined to it."""
    waiting: _Line | None = None
    for raw in text.splitlines():
        kind, content = _kind(raw)
        if waiting and kind == "p" and content and waiting.kind in ("p", "ol", "ul"):
            waiting.text += f" {content}"
            continue
        if waiting:
            yield waiting
        waiting = _Line(kind, content) if content else None
    if waiting:
        yield waiting


def _kind(line: str) -> tuple[str, str]:
    for kind, pattern in _KINDS.items():
        if match := pattern.fullmatch(line):
            return kind, match[1] if kind != "rule" else ""
    return "p", line.strip()


def _block(kind: str, texts: list[str]) -> Markup:
    if kind == "pre":
        return Markup("<pre>{}</pre>").format("\n".join(texts))
    if kind in ("ol", "ul"):
        items = Markup("").join(Markup("<li>{}</li>").format(_inline(text)) for text in texts)
        return Markup(f"<{kind}>{{}}</{kind}>").format(items)
    if kind == "table":
        head, *rows = ([cell.strip() for cell in text.split("|")] for text in texts)
        body = Markup("").join(_row("td", cells) for cells in rows)
        return Markup('<div class="scroll"><table>{}{}</table></div>').format(_row("th", head), body)
    return Markup("\n").join(Markup(f"<{kind}>{{}}</{kind}>").format(_inline(text)) for text in texts)


def _row(tag: str, cells: list[str]) -> Markup:
    return Markup("<tr>{}</tr>").format(
        Markup("").join(Markup(f"<{tag}>{{}}</{tag}>").format(_inline(cell)) for cell in cells)
    )


def _inline(text: str) -> Markup:
    out, end = Markup(""), 0
    for match in _INLINE.finditer(text):
        out += escape(text[end : match.start()]) + _span(*match.groups())
        end = match.end()
    return out + escape(text[end:])


def _span(code: str | None, words: str | None, address: str | None) -> Markup:
    if code is not None:
        return Markup("<code>{}</code>").format(code)
    if runbook_ := _RUNBOOK.fullmatch(address or ""):
        return Markup('<a href="{}">{}</a>').format(runbook_[1], _inline(words or ""))
    return _inline(words or "")
