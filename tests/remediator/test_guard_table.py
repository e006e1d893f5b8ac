"""What each guard holds back and lets through, and that each is needed."""

from dataclasses import replace
from pathlib import Path

import pytest

from remediator.deciding.decide import decide
from remediator.guards import GUARDS
from remediator.guards.verdict import Allow, Ask, Refuse, WaitUntil
from remediator.model.facts import Facts, Step
from remediator.model.incident import Reason, Verb
from tests.remediator.deciding import DEAD_SERVER, FACTS, NOW, REBOOT
from tests.remediator.guard_table import GUARD_TABLE


@pytest.mark.parametrize(("guard", "change", "step", "reason"), GUARD_TABLE)
def test_each_guard_holds_back_what_it_is_for(
    guard: str, change: dict[str, object], step: Step, reason: Reason | None
) -> None:
    verdict = GUARDS[guard](replace(FACTS, **change), step, NOW)  # type: ignore[arg-type]
    assert (None if isinstance(verdict, Allow) else verdict.reason) is reason


def test_every_guard_stands_in_the_table_with_both_answers() -> None:
    for name in GUARDS:
        answers = {reason is None for guard, _change, _step, reason in GUARD_TABLE if guard == name}
        assert answers == {True, False}, name


def test_every_guard_has_a_file_of_its_name() -> None:
    folder = Path("remediator/guards")
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "verdict"}
    assert files == set(GUARDS)


def test_each_guard_alone_stands_between_its_case_and_an_act() -> None:
    for left_out in sorted(set(GUARDS) - {"may_reboot"}):  # the playbook asks for that permission as well
        less = {name: guard for name, guard in GUARDS.items() if name != left_out}
        slipped = [decide(facts, NOW, less).verb is Verb.ACT for facts in held_back_by(left_out)]
        assert any(slipped), left_out


def held_back_by(guard: str) -> list[Facts]:
    """Return the facts of the table that this guard holds back, on a step that would be taken."""
    found = []
    for name, change, step, reason in GUARD_TABLE:
        if name == guard and reason is not None:
            found.append(replace(DEAD_SERVER if step is REBOOT else FACTS, **change))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("guard", sorted(GUARDS))
def test_a_verdict_that_is_not_to_allow_always_says_why(guard: str) -> None:
    for name, change, step, _reason in GUARD_TABLE:
        if name == guard:
            verdict = GUARDS[name](replace(FACTS, **change), step, NOW)  # type: ignore[arg-type]
            assert isinstance(verdict, Allow | WaitUntil | Refuse | Ask)
            assert isinstance(verdict, Allow) or verdict.detail
