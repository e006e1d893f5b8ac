"""Where modules come from: the built-in ones, a blackbox.yml, and `modules:` in sites.yml.

UnreadableError    modules name files that cannot be read; `files` says which
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import ConfigDict, Field

from core.faults import ConfigError, Fault
from core.plain_files import read_text
from core.sites import Options
from core.sites.validate import nearest, unknown_key, validate
from core.sites.yaml_file import read_yaml
from exporter.module import BUILT_IN, Module

Modules = Mapping[str, Module]

_KEY = "modules"
_SITES = re.compile(r"^(sites|site_files)\s*:", re.MULTILINE)


class UnreadableError(ConfigError):
    """Modules name files that cannot be read; `files` says which."""

    def __init__(self, unreadable: Iterable[tuple[Fault, Path]]) -> None:
        found = list(unreadable)
        super().__init__(fault for fault, _ in found)
        self.files = tuple(file for _, file in found)


class _ModulesFile(Options):
    """A blackbox.yml: modules and nothing else."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    modules: dict[str, Module] = Field(default_factory=dict)
    """Probe options by name."""


def is_modules_file(path: Path) -> bool:
    """Say whether a file is a blackbox.yml: `modules` is its only key.

    Raises ConfigError when it cannot be read.
    """
    try:
        if _SITES.search(read_text(path)):
            return False  # without reading a large file twice
    except (OSError, UnicodeDecodeError):
        pass  # read_yaml says it better
    raw = read_yaml(path, path.name)
    return isinstance(raw, Mapping) and set(raw) == {_KEY}


def modules_file(path: Path, shown: str) -> dict[str, Module]:
    """Return the built-in modules and those of a blackbox.yml; faults name the file as `shown`.

    Raises ConfigError with every fault.
    """
    raw = read_yaml(path, shown)
    if not isinstance(raw, Mapping):
        raise ConfigError.single(shown, "", "must be a mapping with modules: (a blackbox.yml)")
    faults: list[Fault] = [unknown_key(shown, "", key, [_KEY]) for key in raw if key != _KEY]
    found, wrong = validate(_ModulesFile, {_KEY: raw.get(_KEY) or {}}, shown, "")
    faults.extend(wrong)
    if faults or found is None:
        raise ConfigError(faults)
    return {**BUILT_IN, **_rooted(found.modules, path.parent)}


def with_inline(base: Modules, inline: Modules, folder: Path) -> dict[str, Module]:
    """Lay the modules of a sites.yml over `base`; their relative paths start from `folder`."""
    return {**base, **_rooted(inline, folder)}


def named(modules: Modules, name: str) -> Module:
    """Return the module of that name. Raises ValueError, with the nearest name, when there is none."""
    module = modules.get(name)
    if module is None:
        hint = nearest(name, modules) or f" (there are: {', '.join(sorted(modules)[:20])})"
        raise ValueError(f"unknown module {name!r}{hint}")
    return module


def unreadable(modules: Modules, shown: str) -> Iterator[tuple[Fault, Path]]:
    """Tell which files that `modules` name cannot be read; `shown` is the file that defines them."""
    for name, module in modules.items():
        for key, path, message in module.unreadable_files():
            yield Fault(shown, f"{_KEY}.{name}.{key}", message), path


def _rooted(modules: Modules, folder: Path) -> dict[str, Module]:
    return {name: module.rooted(folder) for name, module in modules.items()}
