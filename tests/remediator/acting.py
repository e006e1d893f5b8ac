"""What the tests of both actions wait for, and what they expect to be refused."""

import pytest

from core.servers.server import ActionError
from remediator.model.action import Action, Marks, Progress, Step, Target, World
from tests.waiting import until


def settled(action: Action, target: Target, marks: Marks, world: World, seconds: float) -> Step:
    """Ask `settle` until it waits no more, and return its last answer."""
    step = until(
        lambda: (found := action.settle(target, marks, world)).progress is not Progress.WAIT and found,
        seconds,
        f"{action.name} to settle",
    )
    assert isinstance(step, Step)
    return step


def refused(action: Action, target: Target, world: World) -> ActionError:
    """Return the error with which `prepare` refuses."""
    with pytest.raises(ActionError) as caught:
        action.prepare(target, world)
    return caught.value
