"""What a value compiled out of text needs to be a field of options: read from text, written as text."""

from typing import Any, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema


class TextField:
    """A pydantic field type that is made of one text, and equal where that is."""

    __slots__ = ("text",)

    called = "a text"
    """What a person calls it."""
    json_schema: dict[str, Any] = {"type": "string"}  # noqa: RUF012 - never changed

    def __init__(self, text: str) -> None:
        """Take `text`. Raises ValueError when it is none of this kind."""
        self.text = text

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, TextField) and other.text == self.text

    def __hash__(self) -> int:
        return hash((type(self), self.text))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda field: field.text),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return dict(cls.json_schema)

    @classmethod
    def _validate(cls, value: object) -> Self:
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls(value)
        raise ValueError(f"must be {cls.called} (got {type(value).__name__}); put it in quotes")
