"""Patterns in RE2's language, as Go has it: unanchored, refused at load time when they are wrong."""

import re

import re2

from exporter.matching.text_field import TextField


def _quiet() -> "re2.Options":
    options = re2.Options()
    options.log_errors = False
    return options


_OPTIONS = _quiet()


_REFERENCE = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})")


def expand(template: str, found: "re2._Match") -> str:
    """Write `template` with what was found in place of $1, ${1}, $name and ${name}, as Go's regexp does.

    $1x is the group named 1x: ${1}x is meant. What no group is named leaves nothing; $$ is a dollar.
    """

    def value(reference: re.Match[str]) -> str:
        name = reference[1] or reference[2]
        return "$" if name is None else _group(found, name).decode(errors="replace")

    return _REFERENCE.sub(value, template)


def _group(found: "re2._Match", name: str) -> bytes:
    if name.isascii() and name.isdecimal() and (name == "0" or name[0] != "0"):
        groups = (found.group(), *found.groups())
        return (groups[int(name)] if int(name) < len(groups) else None) or b""
    return found.groupdict().get(name.encode()) or b""


class Pattern(TextField):
    """One compiled RE2 pattern; a pydantic field type that reads text."""

    __slots__ = ("_compiled",)

    called = "a pattern"
    json_schema = {"type": "string", "format": "re2"}  # noqa: RUF012 - never changed

    def __init__(self, text: str) -> None:
        """Compile `text`. Raises ValueError, with RE2's own words, when it is no pattern."""
        super().__init__(text)
        try:
            self._compiled = re2.compile(text.encode(), _OPTIONS)
        except re2.error as error:
            cause = error.args[0] if error.args else "not understood"
            cause = cause.decode(errors="replace") if isinstance(cause, bytes) else str(cause)
            raise ValueError(f"must be a pattern in RE2's language ({cause}; got {text!r})") from error

    def found_in(self, data: bytes) -> bool:
        """Say whether the pattern is somewhere in `data`."""
        return self._compiled.search(data) is not None

    def first_in(self, data: bytes) -> "re2._Match | None":
        """Return where the pattern is first in `data`, None where it is not."""
        return self._compiled.search(data)
