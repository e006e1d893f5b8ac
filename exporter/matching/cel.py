"""Expressions in the Common Expression Language (CEL) over a JSON body, refused at load when they are wrong.

The library is an extra (requirements-extra.in): 50 MB on the disk that few need. Numbers of a body are
doubles, as Go has them.

CelError           an expression that could not be evaluated, or gave no bool
"""

import importlib.util
import json
import re
from functools import lru_cache
from typing import Any

from exporter.matching.text_field import TextField

LACKING = "needs the package cel-expr-python (pip install -r requirements-extra.in)"


class CelError(Exception):
    """An expression that could not be evaluated, or gave no bool; the message is for people."""


class Cel(TextField):
    """One compiled expression over `body`; a pydantic field type that reads text."""

    __slots__ = ("_compiled",)

    called = "an expression"

    def __init__(self, text: str) -> None:
        """Compile `text`, where the library is there. Raises ValueError when it is no expression."""
        super().__init__(text)
        self._compiled: Any = None
        if not is_there():
            return
        try:
            self._compiled = _environment().compile(text)
        except RuntimeError as error:
            cause = re.sub(r"^.*?ERROR: <input>:", "", str(error).splitlines()[0])
            raise ValueError(f"must be an expression in CEL ({cause}; got {text!r})") from error

    def holds_for(self, body: object) -> bool:
        """Say whether the expression is true of a parsed body. Raises CelError."""
        if self._compiled is None:
            raise CelError(LACKING)
        found = self._compiled.eval(data={"body": body})
        value, kind = found.value(), found.type().name()
        if kind == "BOOL":
            return bool(value)
        raise CelError(str(value)[:200] if kind == "ERROR" else f"{self.text!r} gives {kind}, not BOOL")


def parsed(body: bytes) -> object:
    """Read a JSON body as Go does: every number is a double. Raises ValueError."""
    try:
        found: object = json.loads(body, parse_int=float, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return found


def is_there() -> bool:
    """Say whether the library is installed."""
    return importlib.util.find_spec("cel_expr_python") is not None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


@lru_cache(maxsize=1)
def _environment() -> Any:
    from cel_expr_python import cel  # 9 MB of memory that only those pay who use it

    return cel.NewEnv(variables={"body": cel.Type.DYN})
