"""YAML as a user writes it: safe, without doubled keys, with the line of a mistake."""

import errno
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from core.faults import ConfigError
from core.plain_files import read_text
from core.sites.yaml_bounds import UnboundedError, refuse_unbounded


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
        text = read_text(path)
    except UnicodeDecodeError as error:
        raise ConfigError.single(shown, "", "is not UTF-8 text") from error
    except OSError as error:
        raise ConfigError.single(
            shown, "", f"cannot be read: {error.strerror} ({_mend(error, path)})"
        ) from error
    try:
        refuse_unbounded(text)
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = "cannot be used" if isinstance(error, UnboundedError) else "is not valid YAML"
        raise ConfigError.single(shown, where, f"{what}: {error.problem}{_tab(text, error)}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError.single(shown, "", f"is not valid YAML: {' '.join(str(error).split())}") from error


def _tab(text: str, error: yaml.MarkedYAMLError) -> str:
    """Say so where a line is indented with what looks like blanks and is none."""
    mark, lines = error.problem_mark, text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    indent = line[: len(line) - len(line.lstrip())]
    return " (a tab: indent with blanks)" if "\t" in indent else ""


def _mend(error: OSError, path: Path) -> str:
    match error.errno:
        case errno.ENOENT if path.name == "sites.yml":
            return "make one: ./sitemedic init"
        case errno.ENOENT | errno.ELOOP:
            return "look at its name and folder"
        case errno.EISDIR | errno.ENXIO:
            return "put a file in its place"
    return "check its permissions"
