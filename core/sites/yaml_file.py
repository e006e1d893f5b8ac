"""YAML as a user writes it: safe, without doubled keys, with the line of a mistake."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from core.faults import ConfigError


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """The safe loader, but a key given twice is a mistake: the first would silently be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.MarkedYAMLError(
                        None, None, f"the key {key.value!r} is given twice", key.start_mark
                    )
                seen.add(key.value)
        result: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return result


def read_yaml(path: Path, shown: str) -> Any:
    """Return what `path` holds; faults name the file as `shown`.

    Raises ConfigError when it cannot be read or is no YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError.single(shown, "", "is not UTF-8 text") from error
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        first = "make one: ./sitemedic init" if path.name == "sites.yml" else "look at its name and folder"
        mend = first if missing else "check its permissions"
        raise ConfigError.single(shown, "", f"cannot be read: {error.strerror} ({mend})") from error
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError.single(shown, where, f"is not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError.single(shown, "", f"is not valid YAML: {' '.join(str(error).split())}") from error
