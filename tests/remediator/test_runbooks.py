"""The console's pages of the runbooks that mails lead to."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediator.web.runbooks import FOLDER, render
from tests.remediator.doubles import Lab, lab

NAMES = sorted(path.stem for path in FOLDER.glob("*.md"))


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab(tmp_path_factory.mktemp("runbooks"), start=False) as found:
        yield found


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_is_a_page_without_a_trace_of_markdown(idle: Lab, name: str) -> None:
    answer = idle.client.get(f"/runbooks/{name}")
    assert answer.status_code == 200
    main = answer.text.partition("<main>")[2].partition("</main>")[0]
    assert f"<h1>{name}</h1>" in main or name == "README"
    prose = re.sub(r"<(code|pre)>.*?</\1>", "", main, flags=re.DOTALL)
    assert not re.search(r"`|\]\(|^#|^\||\*\*", prose, re.MULTILINE)
    for linked in re.findall(r'href="([^"]*)"', main):
        assert linked in NAMES


@pytest.mark.parametrize("name", ["Nothing", "..%2Fmetrics", "SiteDown.md", "../../pyproject", "README%00"])
def test_only_runbooks_are_pages(idle: Lab, name: str) -> None:
    assert idle.client.get(f"/runbooks/{name}").status_code == 404


def test_what_is_written_in_a_runbook_is_text(tmp_path: Path) -> None:
    text = (
        "# A <b>\n\n## B\nOne `a < b` and\ntwo.\n1. x\n   goes on\n2. [y](SiteDown.md)\n\n"
        "| a | b |\n| --- | --- |\n| `c` | <d> |\n\n    $ e\n"
    )
    assert render(text).replace("\n", "") == (
        "<h1>A &lt;b&gt;</h1><h2>B</h2><p>One <code>a &lt; b</code> and two.</p>"
        '<ol><li>x goes on</li><li><a href="SiteDown">y</a></li></ol>'
        '<div class="scroll"><table><tr><th>a</th><th>b</th></tr>'
        "<tr><td><code>c</code></td><td>&lt;d&gt;</td></tr></table></div><pre>$ e</pre>"
    )
