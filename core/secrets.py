"""Secrets: from files or the environment, masked wherever they could be seen."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from core.faults import ConfigError

MASK = "********"


class Secret:
    """A value that must not be seen: only `reveal()` gives it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself, for the one place that has to send it."""
        return self._value

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validate, serialization=core_schema.plain_serializer_function_ser_schema(lambda _: MASK)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "writeOnly": True}

    @classmethod
    def _validate(cls, value: object) -> "Secret":
        if isinstance(value, Secret):
            return value
        if isinstance(value, str):
            return cls(value)
        raise ValueError(f"must be text (got {type(value).__name__}); put it in quotes")


def read_secret_file(path: Path) -> Secret:
    """Read a secret from `path`, without its last newline.

    Raises ConfigError when the file is missing, unreadable or empty: a service that starts
    without its password fails later and in a stranger place.
    """
    try:
        value = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError.single(str(path), "", f"cannot read this secret: {cause}") from error
    if not value:
        raise ConfigError.single(str(path), "", "this secret is empty: write the value into it")
    return Secret(value)


def from_environment(name: str, environ: Mapping[str, str]) -> Secret | None:
    """Return the secret in `NAME`, or in the file that `NAME_FILE` names, or None.

    Raises ConfigError when both are set or the file cannot be read.
    """
    value = environ.get(name, "")
    file = environ.get(f"{name}_FILE", "")
    if value and file:
        raise ConfigError.single("environment", name, f"set {name} or {name}_FILE, not both")
    if file:
        return read_secret_file(Path(file))
    return Secret(value) if value else None
