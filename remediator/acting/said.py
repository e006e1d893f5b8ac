"""What people say of an attempt's site, asked right before anything is touched there."""

from __future__ import annotations

from sqlalchemy import Connection

from core.servers.server import ActionError, Reason
from remediator.acting.attempts import Attempts
from remediator.clock import off
from remediator.configuration.maintenance import open_window
from remediator.deciding.last_check import Said, Withdrawn, before_the_act, hands_off
from remediator.model.action import Target
from remediator.model.incident import Attempt
from remediator.store.database import pauses


def forbidden(
    attempts: Attempts,
    connection: Connection,
    attempt: Attempt,
    target: Target,
    silenced: bool | None,
    now: float,
) -> Withdrawn | None:
    """Say what forbids the act at this moment; whether the site is silenced was asked just before."""
    policy, limit = attempts.shop.policy(), attempts.shop.timing.act_within
    yes = attempts.was_approved_in(connection, attempt)
    said = _said(attempts, connection, attempt, silenced, now)
    return before_the_act(attempt, target, policy, said, now, limit, yes=yes)


def let_go(attempts: Attempts, attempt: Attempt, target: Target) -> None:
    """Raise ActionError where people keep hands off by now; it settles on when they do no more."""
    shop = attempts.shop
    silenced, policy, now = shop.silenced(attempt.site), shop.policy(), shop.now()
    with shop.store.read() as connection:
        yes = attempts.was_approved_in(connection, attempt)
        said = _said(attempts, connection, attempt, silenced, now)
    held = hands_off(attempt, target, policy, said, now, yes=yes)
    if held is not None:
        raise ActionError(held.detail, reason=Reason.NOT_ALLOWED)


def _said(
    attempts: Attempts, connection: Connection, attempt: Attempt, silenced: bool | None, now: float
) -> Said:
    windows, ahead = attempts.shop.policy().windows, off(attempts.shop.now)
    window = open_window(windows, attempt.site, attempt.server, now, ahead)
    return Said(pauses(connection), window, silenced)
