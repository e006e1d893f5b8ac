"""The demo's story, on what real services once answered."""

import json
from pathlib import Path
from typing import Any

import pytest

from stack.errors import StackError
from stack.home import Home, only_one
from stack.promise import new_users_rhythm
from stack.story import sources as story_sources
from stack.story import story
from stack.story.plan import PLANS, Step, disorder
from stack.story.screen import Screen
from stack.story.sources import find_demo
from stack.story.story import Story, unready
from tests.demo.recorded_demo import RecordedDemo, frames

Answers = dict[str, Any]
SLOW_HOLD = 3  # the frame after which the recorded site was mended


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "EVERY", 0.001)
    monkeypatch.setattr(story, "QUIET", 0.02)


def a_demo(folder: Path, kind: str) -> RecordedDemo:
    return RecordedDemo(folder, frames(kind), SLOW_HOLD if kind == "slow" else None)


def run(demo: RecordedDemo, kind: str, timeout: float = 1.0) -> int:
    return Story(demo, PLANS[kind], Screen(), timeout).run()


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("bad-response", ["action          restart_container", "As it should be: break → action 10.4 s"]),
        ("unreachable", ["action          reboot_linode", "the server boots", "SSH is back", "≤ 97 s"]),
        ("slow", ["seen            by the exporter: it took", "mended", "nothing was touched"]),
    ],
)
def test_a_story_that_went_as_it_should_ends_with_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, told: list[str]
) -> None:
    demo = a_demo(tmp_path, kind)
    assert run(demo, kind) == 0
    shown = capsys.readouterr().out
    for text in [*told, *PLANS[kind].steps]:
        assert text in shown
    assert demo.orders == ["/break", "/mend"] if kind == "slow" else ["/break"]


def test_what_is_missing_is_told_with_the_log_to_read_and_the_site_is_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = a_demo(tmp_path, "bad-response")
    before = demo.played[0]["answers"]["/api/mails"]
    demo.change(lambda answers: answers.update({"/api/mails": before}))
    assert run(demo, "bad-response", timeout=0.3) == 1
    shown = capsys.readouterr().out
    assert "there was no: mail. Read" in shown
    assert "alertmanager.log" in shown
    assert "and so neither: resolved mail" in shown
    assert "NOT AS IT SHOULD BE" in shown


def test_without_an_end_of_the_alert_the_site_is_mended(tmp_path: Path) -> None:
    demo = a_demo(tmp_path, "bad-response")
    demo.played = demo.played[:5]
    assert run(demo, "bad-response", timeout=0.2) == 1
    assert demo.orders == ["/break", "/mend"]


def test_a_service_that_does_not_answer_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo = a_demo(tmp_path, "bad-response")
    demo.change(lambda answers: answers.pop("/api/v1/alerts"))
    assert run(demo, "bad-response", timeout=0.2) == 1
    shown = capsys.readouterr().out
    assert "prometheus does not answer" in shown
    assert "there was no: alert firing" in shown


def last_decision_refuses(answers: Answers) -> None:
    for path, answer in answers.items():
        if path.startswith("/api/v1/incidents/") and answer["id"] == 6:
            answer["attempts"] = []
            answer["closed_at"] = None
            answer["decisions"] = [{"verb": "refuse", "reason": "paused", "detail": "all is paused by me"}]


def test_the_remediators_last_word_is_told_when_nothing_was_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = a_demo(tmp_path, "bad-response")
    demo.change(last_decision_refuses)
    demo.played = demo.played[:6]
    assert run(demo, "bad-response", timeout=0.2) == 1
    assert "refuse (paused): all is paused by me" in capsys.readouterr().out


def asks_a_human(answers: Answers) -> None:
    for path, answer in answers.items():
        if path.startswith("/api/v1/incidents/") and answer["id"] == 6:
            answer.update(state="needs_human", reason="attempt_budget", detail="3 attempts in an hour")


def restarts_twice(answers: Answers) -> None:
    for path, answer in answers.items():
        if path.startswith("/api/v1/incidents/") and answer["id"] == 6 and answer["attempts"]:
            answer["attempts"].append({**answer["attempts"][0], "id": 99})


def fails_an_attempt(answers: Answers) -> None:
    for path, answer in answers.items():
        if path.startswith("/api/v1/incidents/") and answer["id"] == 6:
            for one in answer["attempts"]:
                one.update(stage="failed", detail="no such container")


def fires_another_alert(answers: Answers) -> None:
    alert = {"labels": {"alertname": "ExporterStale"}, "state": "firing"}
    answers["/api/v1/alerts"]["data"]["alerts"].append(alert)


def mails_another_thing(answers: Answers) -> None:
    mail = {"id": 900, "received": 0.0, "to": ["a@x"], "subject": "[NEEDS YOU] shop", "text": ""}
    answers["/api/mails"]["mails"].insert(0, mail)


def mails_the_same_again(answers: Answers) -> None:
    down = [one for one in answers["/api/mails"]["mails"] if one["subject"].startswith("[DOWN]")]
    if down and down[0]["id"] > 12:
        answers["/api/mails"]["mails"].insert(0, {**down[0], "id": 900})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (asks_a_human, "asks a human: attempt_budget: 3 attempts in an hour"),
        (restarts_twice, "it was not to be healed like this: restart_container, then restart_container"),
        (fails_an_attempt, "the attempt restart_container failed: no such container"),
        (fires_another_alert, "the alert ExporterStale fires too"),
        (mails_another_thing, "an unexpected mail: “[NEEDS YOU] shop”"),
        (mails_the_same_again, "the same mail again: “[DOWN] shop: answered 500”"),
    ],
)
def test_whatever_should_not_happen_ends_the_story_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, told: str
) -> None:
    demo = a_demo(tmp_path, "bad-response")
    demo.change(change)
    assert run(demo, "bad-response") == 1
    assert told in capsys.readouterr().out
    assert demo.orders[-1] == "/mend"


def test_a_container_that_is_down_while_it_is_healed_is_not_wrong(tmp_path: Path) -> None:
    def down(answers: Answers) -> None:
        alert = {"labels": {"alertname": "ContainerDown", "site": "shop"}, "state": "firing"}
        answers["/api/v1/alerts"]["data"]["alerts"].append(alert)

    demo = a_demo(tmp_path, "bad-response")
    demo.change(down, since=4)
    assert run(demo, "bad-response") == 0


def test_an_incident_about_slowness_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo = a_demo(tmp_path, "slow")
    incident = frames("bad-response")[-1]["answers"]["/api/v1/incidents/6"]
    listed = {"/api/v1/incidents": {"incidents": [incident]}, "/api/v1/incidents/6": incident}
    demo.change(lambda answers: answers.update(listed), since=2)
    assert run(demo, "slow") == 1
    assert "slowness is nothing to heal" in capsys.readouterr().out


def test_an_alert_that_ends_before_anything_was_done_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = a_demo(tmp_path, "bad-response")
    quiet = demo.played[0]["answers"]["/api/v1/alerts"]
    demo.change(lambda answers: answers.update({"/api/v1/alerts": quiet}), since=4)
    assert run(demo, "bad-response") == 1
    assert "SiteDown ended although nothing was done" in capsys.readouterr().out


def test_ctrl_c_mends_the_site_and_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = a_demo(tmp_path, "bad-response")
    usual = demo.snapshot

    def interrupted() -> Any:
        if demo.at == 4:
            raise KeyboardInterrupt
        return usual()

    monkeypatch.setattr(demo, "snapshot", interrupted)
    assert run(demo, "bad-response") == 1
    assert demo.orders == ["/break", "/mend"]
    assert "interrupted" in capsys.readouterr().out


def test_a_demo_that_is_broken_from_before_is_mended_first(tmp_path: Path) -> None:
    demo = a_demo(tmp_path, "bad-response")
    demo.played[0]["answers"]["/state"]["fault"] = "slow"
    usual = demo._order

    def mending(path: str, body: object) -> Any:
        demo.played[0]["answers"]["/state"]["fault"] = None
        return usual(path, body)

    demo._order = mending  # type: ignore[method-assign]
    assert run(demo, "bad-response") == 0
    assert demo.orders == ["/mend", "/break"]


def test_two_stories_at_once_are_refused(tmp_path: Path) -> None:
    demo = a_demo(tmp_path, "bad-response")
    with story._alone(demo), pytest.raises(StackError, match=r"another \./sitemedic demo"):
        run(demo, "bad-response")
    assert demo.orders == []


@pytest.mark.parametrize(
    ("path", "key", "value", "reason"),
    [
        ("/api/v1/sites", "sites", [], "the exporter sees the site fail"),
        ("/api/v1/incidents/5", "closed_at", None, "an incident is still open"),
        ("/state", "fault", "slow", "the site is broken"),
    ],
)
def test_it_waits_while_the_demo_is_not_healthy(
    tmp_path: Path, path: str, key: str, value: object, reason: str
) -> None:
    demo = a_demo(tmp_path, "bad-response")
    assert unready(demo.snapshot(), "shop") is None
    demo._closed.clear()
    demo.frame["answers"][path][key] = value
    assert unready(demo.snapshot(), "shop") == reason


def test_a_mail_of_the_story_before_is_waited_for(tmp_path: Path) -> None:
    demo = a_demo(tmp_path, "bad-response")
    mails = demo.frame["answers"]["/api/mails"]["mails"]
    mails[0].update(subject="[DOWN] shop: answered 500", received=demo.frame["time"] - 2)
    assert unready(demo.snapshot(), "shop") == "the mail about its recovery is still to come"


def test_an_effect_before_its_cause_is_told() -> None:
    times = {Step.BROKEN: 0.0, Step.SEEN: 1.0, Step.ALERT: 4.0, Step.INCIDENT: 3.9, Step.ACTION: 2.0}
    assert disorder({**times, Step.EVIDENCE: 5.0}) == ["action (2.0 s) came before evidence (5.0 s)"]


def test_where_no_demo_runs_it_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"no demo is running here: start one with \./sitemedic up"):
        find_demo(tmp_path, "shop")


def test_while_the_demo_is_being_started_it_says_to_wait(tmp_path: Path) -> None:
    with only_one(Home(tmp_path, demo=True)), pytest.raises(StackError, match="just being started"):
        find_demo(tmp_path, "shop")


def test_a_real_stack_is_never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Home(tmp_path, demo=False)
    monkeypatch.setattr(story_sources, "read_running", lambda home: object() if home == real else None)
    with pytest.raises(StackError, match=r"watches real sites: nothing was touched"):
        find_demo(tmp_path, "shop")


def test_a_run_file_that_does_not_tell_of_a_demo_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path, demo=True)
    home.data.mkdir(parents=True)
    told = {"demo": False, "pid": 1, "started": 0, "urls": {}, "pids": {}, "control_token_file": None}
    home.run_file.write_text(json.dumps(told))
    with pytest.raises(StackError, match="nothing was touched"):
        find_demo(tmp_path, "shop")


def test_a_new_user_is_promised_an_action_within_two_minutes() -> None:
    rhythm = new_users_rhythm()
    assert rhythm.break_to_action() < rhythm.break_to_action(server_answers=False) < 120
    assert rhythm.interval + rhythm.after + rhythm.evaluation < rhythm.break_to_action()
