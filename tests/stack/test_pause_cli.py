"""`./sitemedic pause`, `resume`, `approvals`, `approve` and `deny`, against a remediator that runs."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from werkzeug.serving import make_server

from remediator.web import create_app
from stack.cli import main
from stack.errors import StackError
from tests.ports import free_port
from tests.remediator.doubles import SITES, Lab, lab
from tests.waiting import until

ROOT = Path(__file__).parents[2]
APPROVE = SITES.replace("remediation: {", "remediation: {mode: approve, ")


@dataclass
class Typed:
    """A command line in a remediator's folder."""

    at_work: Lab
    folder: Path

    def __call__(self, *words: str, code: int = 0) -> str:
        done = CliRunner().invoke(main, [*words, "--dir", str(self.folder)])
        assert done.exit_code == code, done.output
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.output

    def fails(self, *words: str) -> str:
        with pytest.raises(StackError) as caught:
            self(*words, code=1)
        return str(caught.value)


@contextmanager
def typing(folder: Path, sites: str = SITES) -> Iterator[Typed]:
    with lab(folder, sites) as at_work:
        server = make_server("127.0.0.1", 0, create_app(at_work.remediator), threaded=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        (folder / ".env").write_text(f"API_TOKEN=api-token\nREMEDIATOR_PORT={server.server_port}\n")
        try:
            yield Typed(at_work, folder)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def typed(tmp_path: Path) -> Iterator[Typed]:
    with typing(tmp_path) as found:
        yield found


def test_a_pause_is_shown_with_who_and_why_until_it_is_ended(typed: Typed) -> None:
    assert "Nothing is paused." in typed("pause")
    said = typed("pause", "server:web", "--reason", "we move the database", "--by", "ann")
    assert said == "Paused: server:web, until ./sitemedic resume server:web.\n"
    shown = typed("pause")
    assert "server:web  paused by ann, " in shown
    assert "we move the database" in shown
    assert typed("resume", "server:web") == "Resumed: server:web.\n"
    assert "Nothing is paused." in typed("pause")


def test_a_pause_for_a_time_says_when_it_ends(typed: Typed) -> None:
    assert " UTC (in 2h)" in typed("pause", "all", "--reason", "deploy", "--for", "2h").replace(
        "1h59m59s", "2h"
    )
    assert "ends " in typed("pause")


def test_a_bare_name_will_do_and_so_does_resume_alone(typed: Typed) -> None:
    assert "Paused: site:www" in typed("pause", "www", "--reason", "x")
    assert "Paused: server:db" in typed("pause", "db", "--reason", "x")
    assert "say which: site:www, server:db" in typed("resume", code=2)
    assert typed("resume", "db") == "Resumed: server:db. Still paused: site:www.\n"
    assert typed("resume") == "Resumed: site:www.\n"
    assert typed("resume") == "Nothing is paused.\n"


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ("site:wwww", "sites.yml has no site 'wwww' (did you mean 'www'?)"),
        ("sevrer:web", "'sevrer:web' is no scope: all, site:NAME or server:NAME"),
        ("shopp", "sites.yml has neither a site nor a server 'shopp' (did you mean 'shop'?)"),
        ("server:www", "sites.yml has no server 'www'"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(typed: Typed, scope: str, said: str) -> None:
    assert said in typed.fails("pause", scope, "--reason", "x")
    assert "Nothing is paused." in typed("pause")


def test_a_bare_name_will_do_in_the_demo_too(typed: Typed) -> None:
    """Its sites.yml is its own, below data/demo."""
    demo = typed.folder / "data" / "demo"
    demo.mkdir(parents=True)
    (typed.folder / "sites.yml").rename(demo / "sites.yml")
    at_work = Path(typed.at_work.remediator.settings.config_file)
    assert not at_work.exists(), "the remediator's own is the one that was moved"
    assert "Paused: site:www" in typed("pause", "www", "--reason", "x")


def test_what_is_not_paused_cannot_be_resumed(typed: Typed) -> None:
    typed("pause", "site:www", "--reason", "x")
    assert typed.fails("resume", "site:ww") == "site:ww is not paused (did you mean 'site:www'?)"


def test_a_pause_wants_its_reason_and_a_duration_that_is_one(typed: Typed) -> None:
    assert "say why: --reason TEXT" in typed("pause", "all", code=2)
    assert "must be a duration such as 30m or 2h" in typed("pause", "all", "--for", "soon", code=2)
    assert "say what to pause" in typed("pause", "--reason", "x", code=2)


def test_a_question_is_shown_with_its_evidence_and_approved_by_its_number(tmp_path: Path) -> None:
    with typing(tmp_path, APPROVE) as typed:
        assert typed("approvals") == "Nothing waits for an approval.\n"
        typed.at_work.exporter.failing["www"] = "status"
        typed.at_work.post("www")
        typed.at_work.wait("www", "awaiting_approval", 20)
        shown = typed("approvals")
        assert "1  www (status): may I restart container?" in shown
        assert "found: SSH works" in shown
        assert "It holds for 15m and one attempt." in typed("approve", "1", "--by", "Ada")
        typed.at_work.wait("www", "recovered", 20)
        assert len(typed.at_work.ledger.lines()) == 1
        assert "answered already, or is not asked any more" in typed.fails("approve", "1", "--by", "Ada")
        refused = typed.fails("deny", "99", "--by", "Ada")
        assert refused == "no such question: ./sitemedic approvals shows what is asked"


def test_what_is_denied_is_a_humans(tmp_path: Path) -> None:
    with typing(tmp_path, APPROVE) as typed:
        typed.at_work.exporter.failing["www"] = "status"
        typed.at_work.post("www")
        typed.at_work.wait("www", "awaiting_approval", 20)
        assert "Denied: restart container (question 1)" in typed("deny", "1", "--by", "Ada")
        assert typed.at_work.wait("www", "needs_human", 20)["reason"] == "approval_denied"
        assert typed.at_work.ledger.lines() == []


def test_another_token_is_told_without_showing_it(typed: Typed) -> None:
    file = typed.folder / ".env"
    file.write_text(file.read_text().replace("api-token", "planted-secret"))
    said = typed.fails("pause", "all", "--reason", "x")
    assert "was started with another API_TOKEN" in said
    assert "planted-secret" not in said


def test_without_a_remediator_it_says_how_to_start_one_and_makes_no_token(tmp_path: Path) -> None:
    (tmp_path / "sites.yml").write_text("sites: [{name: www, url: 'http://127.0.0.1:1/'}]\n")
    port = free_port()

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stack", *words, "--dir", str(tmp_path)]
        return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)

    done = run("pause")
    assert done.returncode == 1
    assert "no API_TOKEN in .env" in done.stderr
    assert not (tmp_path / "data").exists()
    (tmp_path / ".env").write_text(f"API_TOKEN=x\nREMEDIATOR_PORT={port}\n")
    done = run("resume", "all")
    assert done.returncode == 1
    assert f"the remediator does not answer at http://127.0.0.1:{port}" in done.stderr
    assert "./sitemedic up starts it" in done.stderr


def test_the_address_is_the_running_stacks_own(typed: Typed) -> None:
    file = typed.folder / ".env"
    real = file.read_text().split("REMEDIATOR_PORT=")[1].strip()
    file.write_text("API_TOKEN=api-token\n")
    (typed.folder / "data").mkdir()
    urls = f'{{"remediator": "http://127.0.0.1:{real}"}}'
    (typed.folder / "data" / "run.json").write_text(
        f'{{"demo": false, "pid": 1, "started": 0, "urls": {urls}}}'
    )
    until(lambda: "Nothing is paused." in typed("pause"), 5, "the answer")
