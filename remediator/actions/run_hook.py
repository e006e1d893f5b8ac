"""Run a hook of a server: one fixed verb of the server's forced command, which does it once for a token.

The hook goes on by itself on the server; `act` starts it, `settle` asks until it has ended. `happened` asks
with the same question, and what has not run by then never will: the wrapper takes the token back.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from core.servers.options import CONTAINER_NAME
from core.servers.output import printable
from core.servers.server import ActionError, CommandResult, Reason
from remediator.model.action import Marks, Progress, Step, Target, World
from remediator.on_server import docker, wrapper

START_SECONDS = 15.0
AGAIN_SECONDS = 2.0
HOOK_SECONDS = 300.0
"""What the wrapper gives a hook (`hook_seconds`)."""
SETTLE_SECONDS = HOOK_SECONDS + 30.0
_KILLED = frozenset({124, 137, 143})
"""How timeout(1) ends: GNU's 124, busybox's 143, and 137 for what had to be killed."""


class RunHook:
    """Runs the hook that the playbook's step names."""

    name = "run_hook"

    def prepare(self, target: Target, world: World) -> Marks:
        """Refuse a hook that the server does not allow, and note the token of this one run."""
        hook = _hook(target)
        with world.connect(target.server) as connector:
            allowed = wrapper.ask(connector, target.server.name)
        if allowed is None:
            raise _no_wrapper(target)
        fault = hook_fault(allowed, hook)
        if fault is not None:
            raise ActionError(f"{target.server.name}: {fault}", reason=Reason.NOT_ALLOWED, permanent=True)
        return {"hook": hook, "token": secrets.token_hex(16), "prepared_at": world.now()}

    def happened(self, target: Target, marks: Marks, world: World) -> bool | None:
        """Ask the wrapper for the token; None while nobody answers."""
        try:
            return _became(target, marks, world) != ["never"]
        except ActionError:
            return None

    def act(self, target: Target, marks: Marks, world: World) -> Marks:
        """Start it, once; ActionError(unknown) when the wrapper's answer was not seen."""
        argv = wrapper.hook_argv(_hook(target), _token(marks))
        try:
            with world.connect(target.server) as connector:
                result = connector.run(argv, START_SECONDS)
        except ActionError as error:
            if error.reason is Reason.TIMEOUT:
                raise ActionError(error.message, reason=Reason.UNKNOWN) from error
            raise
        _need_success(result, argv, target)
        return {**marks, "acted_at": world.now()}

    def settle(self, target: Target, marks: Marks, world: World) -> Step:
        """Wait until the hook has ended, and go by its status."""
        word, *rest = _became(target, marks, world)
        hook = _hook(target)
        elapsed = world.now() - _number(marks, "acted_at", "acting_at", "prepared_at")
        if word == "never":
            text = f"hook {hook} was not run: its token was taken back"
            return Step(Progress.FAILED, text, reason=Reason.COMMAND_FAILED)
        if word == "running":
            if elapsed > SETTLE_SECONDS:
                text = f"hook {hook} has not ended after {elapsed:.0f} s"
                return Step(Progress.FAILED, text, reason=Reason.TIMEOUT)
            return Step(Progress.WAIT, f"hook {hook} runs", retry_after=AGAIN_SECONDS)
        return _ended(hook, word, rest)


def hook_fault(allowed: wrapper.Allowed, hook: str) -> str | None:
    """Say why the wrapper would not run a hook, None where it would."""
    if f"hook {hook}" in allowed.lines:
        return None
    told = next((fault for fault in allowed.faults if fault.startswith(f"hook {hook}: ")), None)
    return told or f"hook {hook} is not allowed there: add the line 'hook {hook}' to {wrapper.ALLOWED}"


def _ended(hook: str, word: str, output: Sequence[str]) -> Step:
    """Read `ended STATUS` and the hook's output; its last line tells most."""
    status = int(word.removeprefix("ended ").strip() or "-1")
    if status == 0:
        return Step(Progress.DONE, f"hook {hook} ended well")
    said = next((f": {line.strip()[:300]}" for line in reversed(output) if line.strip()), "")
    if status in _KILLED:
        text = f"hook {hook} was ended, most likely after {HOOK_SECONDS:.0f} s (status {status}){said}"
        return Step(Progress.FAILED, text, reason=Reason.TIMEOUT)
    text = f"hook {hook} ended with status {status}{said}"
    return Step(Progress.FAILED, text, reason=Reason.COMMAND_FAILED)


def _became(target: Target, marks: Marks, world: World) -> list[str]:
    """Return the lines of what became of the token: `never`, `running`, or `ended STATUS` and output."""
    argv = wrapper.hook_ran_argv(_hook(target), _token(marks))
    with world.connect(target.server) as connector:
        result = connector.run(argv, START_SECONDS)
    if result.exit_status == -1:
        text = f"the connection was lost while {target.server.name} was asked for its hook"
        raise ActionError(text, reason=Reason.UNREACHABLE)
    _need_success(result, argv, target)
    lines = [printable(line) for line in result.stdout.splitlines()]
    word = lines[0] if lines else ""
    if word in ("never", "running") or word.removeprefix("ended ").isdecimal():
        return lines
    text = f"{target.server.name} answers for its hook in words that are not the wrapper's"
    raise ActionError(text, reason=Reason.COMMAND_FAILED)


def _need_success(result: CommandResult, argv: Sequence[str], target: Target) -> None:
    if result.exit_status == 127:
        raise _no_wrapper(target)
    if result.exit_status != 0:
        raise docker.failure(result, " ".join(argv[:2]), target.server.name)


def _hook(target: Target) -> str:
    if target.hook is None or not CONTAINER_NAME.fullmatch(target.hook):
        problem = f"the step of {target.site} names no hook: give it hook: in sites.yml"
        raise ActionError(problem, reason=Reason.NOT_ALLOWED, permanent=True)
    return target.hook


def _token(marks: Marks) -> str:
    token = marks.get("token")
    if not isinstance(token, str):
        problem = "the attempt has no token for its hook"
        raise ActionError(problem, reason=Reason.NOT_ALLOWED, permanent=True)
    return token


def _no_wrapper(target: Target) -> ActionError:
    name = target.server.name
    text = f"{name} has no wrapper that could run hooks: see ./sitemedic server setup {name}"
    return ActionError(text, reason=Reason.NOT_ALLOWED, permanent=True)


def _number(marks: Marks, *keys: str) -> float:
    found = (marks.get(key) for key in keys)
    return next((float(value) for value in found if isinstance(value, int | float)), 0.0)
