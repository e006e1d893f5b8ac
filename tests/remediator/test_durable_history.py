"""`./sitemedic history` tells the audit trail of either database."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from remediator.model.seen import Look
from remediator.store.database import record
from remediator.store.incidents import keep_look
from stack.errors import StackError
from stack.history_cli import history_command
from tests.remediator.databases import storage_url
from tests.remediator.doubles import API, HOSTILE, lab
from tests.signing_in import sign_in
from tests.waiting import until


def asked(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> Result:
    monkeypatch.setenv("STORAGE_URL", storage_url(folder))
    return CliRunner().invoke(history_command, [f"--dir={folder}", *arguments], catch_exceptions=False)


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0
    return [json.loads(line) for line in result.output.splitlines()]


@pytest.fixture
def lived(tmp_path: Path) -> Path:
    """Return the folder of a remediator that has healed one site, been paused, and watches another."""
    with lab(tmp_path) as at_work:
        at_work.exporter.failing |= {"www": "status"}
        until(lambda: at_work.post("www").status_code == 200, 40, "it taken")
        at_work.wait("www", "recovered", 40)
        pause = {"scope": "site:shop", "by": "Ada", "reason": "move"}
        assert at_work.client.post("/api/v1/pause", json=pause, headers=API).status_code == 200
        at_work.exporter.failing["blog"] = "status"
        until(lambda: at_work.post("blog").status_code == 200, 40, "it taken")
        at_work.wait("blog", "observing", 40)
    return tmp_path


def test_every_incident_is_told_with_all_that_led_to_its_end(
    monkeypatch: pytest.MonkeyPatch, lived: Path
) -> None:
    told = lines(asked(monkeypatch, lived, "--json"))
    incidents = {one["incident"]["site"]: one["incident"] for one in told if "incident" in one}
    events = [one["event"]["kind"] for one in told if "event" in one]
    assert incidents.keys() == {"www", "blog"}
    assert "paused" in events
    www = incidents["www"]
    assert [one["kind"] for one in www["timeline"]][-1] == "recovered"
    assert [one["verb"] for one in www["decisions"]][-1] == "act"
    assert www["decisions"][-1]["numbers"]
    assert [one["stage"] for one in www["attempts"]] == ["succeeded"]
    assert www["attempts"][0]["evidence"]["probe"]["reason"] == "status"
    assert HOSTILE in json.dumps(www["attempts"])  # the look's own problems; its log lines are left out
    assert "log_tail" not in json.dumps(told)
    assert "log_tail" in asked(monkeypatch, lived, "--json", "--log-lines").output


def test_it_is_told_in_words_and_of_one_site(monkeypatch: pytest.MonkeyPatch, lived: Path) -> None:
    said = asked(monkeypatch, lived).output
    assert "www, incident 1: recovered (healed) after " in said
    assert "paused: site:shop paused by Ada: move" in said
    assert "decided: act restart_container: " in said
    of_blog = asked(monkeypatch, lived, "--site=blog").output
    assert "blog, incident 2: observing, no_recover" in of_blog
    assert "www" not in of_blog
    assert asked(monkeypatch, lived, "--site=nobody").output == "Nothing yet.\n"


def test_a_look_is_told_by_its_kind_and_what_it_found_also_one_that_an_older_sitemedic_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with lab(tmp_path, start=False) as idle:
        assert idle.post("www").status_code == 200
        number = idle.incidents("www")[0]["id"]
        with idle.remediator.store.write() as connection:
            record(connection, 1000.0, "looked", "looked: SSH fails (auth)", number)
            keep_look(connection, number, Look(1001.0, "unreachable"), 1001.0)
        found = [one["text"] for one in idle.incident("www")["timeline"] if one["kind"] == "looked"]
        assert found == ["SSH fails (auth)", "no SSH"]
        sign_in(idle.client)
        page = idle.client.get(f"/incidents/{number}").text.partition("<h2>Timeline</h2>")[2]
    said = asked(monkeypatch, tmp_path).output
    assert page.partition("</ol>")[0].count("looked") == said.count("looked") == 2
    assert "looked: SSH fails (auth)" in said
    assert "looked: no SSH" in said


def test_what_was_over_before_is_left_out(monkeypatch: pytest.MonkeyPatch, lived: Path) -> None:
    told = lines(asked(monkeypatch, lived, "--json", "--since=0s"))
    assert [one["incident"]["site"] for one in told] == ["blog"]
    assert len(lines(asked(monkeypatch, lived, "--json", "--since=2d"))) > 2
    assert asked(monkeypatch, lived, "--since=yesterday").exit_code == 2


def test_where_there_is_no_database_none_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("STORAGE_URL", raising=False)
    (tmp_path / "sites.yml").write_text("sites: []\n")
    with pytest.raises(StackError, match="there is no database"):
        CliRunner().invoke(history_command, [f"--dir={tmp_path}"], catch_exceptions=False)
    assert [one.name for one in tmp_path.iterdir()] == ["sites.yml"]
