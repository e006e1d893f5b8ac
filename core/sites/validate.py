"""Turn pydantic's findings into faults that name file, path and mend."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from core.faults import Fault, quoted

M = TypeVar("M", bound=BaseModel)


def join_path(base: str, location: Sequence[int | str]) -> str:
    """Write a place as a user reads it: `sites[2].expect.status`."""
    path = base
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    return path


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean …?)` for the known word nearest to `word`, or nothing."""
    found = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f" (did you mean {found[0]!r}?)" if found else ""


def unknown_key(file: str, path: str, key: object, known: Iterable[str]) -> Fault:
    """Make the fault for a key that nobody reads."""
    names = sorted(known)
    hint = nearest(str(key), names) or (f" (known here: {', '.join(names)})" if names else "")
    return Fault(file, join_path(path, [str(key)]), f"unknown key{hint}")


def validate(model: type[M], value: Mapping[str, Any], file: str, path: str) -> tuple[M | None, list[Fault]]:
    """Return `value` as `model`, or None with every fault in it."""
    try:
        return model.model_validate(dict(value)), []
    except ValidationError as error:
        return None, list(faults_of(error, model, file, path))


def faults_of(error: ValidationError, model: type[BaseModel], file: str, path: str) -> list[Fault]:
    """Return the faults of a failed validation of `model`."""
    faults = []
    for finding in error.errors(include_url=False):
        location = [step for step in finding["loc"] if not _is_branch(step)]
        if finding["type"] == "extra_forbidden":
            known = _keys_at(model, location[:-1])
            faults.append(unknown_key(file, join_path(path, location[:-1]), location[-1], known))
        else:
            faults.append(Fault(file, join_path(path, location), _message(finding)))
    return list(dict.fromkeys(faults))


def _is_branch(step: int | str) -> bool:
    """Say whether a step is pydantic's name for a branch of a union or a function, not a key."""
    return isinstance(step, str) and (step in _BRANCHES or "[" in step or step.endswith("Options"))


_BRANCHES = {"str", "int", "float", "bool", "list", "dict", "none"}


_OF_SHAPE = {"model_type", "model_attributes_type", "dict_type", "list_type", "tuple_type"}


def _message(finding: Any) -> str:
    kind, context = finding["type"], finding.get("ctx", {})
    if kind == "missing":
        return "is required"
    if kind == "value_error":
        return str(context.get("error", finding["msg"]))
    message = finding["msg"].removeprefix("Input ")
    got = finding["input"]
    # What stands where a mapping or a list is meant may be a password: basic_auth: me:hunter2.
    shown = kind not in _OF_SHAPE
    if shown and isinstance(got, str | int | float | bool):
        return f"{message} (got {quoted(got)})"
    return str(message)


def _keys_at(model: type[BaseModel], location: Sequence[int | str]) -> set[str]:
    """Return the keys known at `location` inside `model`."""
    current: type[BaseModel] | None = model
    for step in location:
        if isinstance(step, int) or current is None:
            continue
        info = current.model_fields.get(step) or _by_alias(current, step)
        if info is None:
            continue  # a key of a free mapping, such as a module's name
        current = _model_in(info.annotation)
    return {field.alias or name for name, field in current.model_fields.items()} if current else set()


def _by_alias(model: type[BaseModel], alias: str) -> Any:
    return next((field for field in model.model_fields.values() if field.alias == alias), None)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
