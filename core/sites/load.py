"""Read `sites.yml` with all the parts that the services hand in; tell every fault at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.faults import ConfigError, Fault
from core.sites.document import Document, Options, Part, Site
from core.sites.site_files import read_site_file, site_file_paths
from core.sites.tree import RawSite, SiteTree
from core.sites.validate import unknown_key, validate
from core.sites.yaml_file import read_yaml

CORE_KEYS = frozenset({"defaults", "sites", "site_files"})
CORE_SITE_KEYS = frozenset({"name", "apps"})


def load(path: Path, parts: Sequence[Part]) -> Document:
    """Return the document at `path`, valid in every part.

    Raises ConfigError with all the faults found.
    """
    return assembly(path, parts).document()


def assembly(path: Path, parts: Sequence[Part]) -> "Assembly":
    """Return the reading of the file at `path`, not yet put together. Raises ConfigError."""
    raw = read_yaml(path, path.name)
    if not isinstance(raw, Mapping):
        raise ConfigError.single(path.name, "", "must be a mapping with sites: (see sites.example.yml)")
    return Assembly(path, parts, {str(key): value for key, value in raw.items()})


class Assembly:
    """One reading of the file; collects faults until the end.

    `tree` and `sound_defaults` are what was read, once there is a document.
    """

    def __init__(self, path: Path, parts: Sequence[Part], raw: dict[str, Any]) -> None:
        self._path = path
        self._parts = tuple(parts)
        self._raw = raw
        self._faults: list[Fault] = []
        self._files: list[Path] = [path]

    def document(self) -> Document:
        self._refuse_unknown(self._raw, CORE_KEYS | _keys(part.top for part in self._parts), "")
        tops = self._tops()
        self.sound_defaults = defaults = self._defaults()
        self.tree = tree = self._tree()
        sites = tuple(site for raw in tree if (site := self._site(raw, defaults)) is not None)
        document = Document(
            self._path,
            sites,
            tuple(self._files),
            tops,
            self._parts,
            frozenset(raw.name for raw in tree),
            self._default_models(defaults),
        )
        if len(tops) == sum(part.top is not None for part in self._parts):
            for part in self._parts:
                if part.check is not None:
                    self._faults.extend(part.check(document))
        if self._faults:
            raise ConfigError(self._faults)
        assert len(document.sites) == len(tree.sites), "a site was dropped without a fault"
        return document

    def _tops(self) -> dict[type[Options], Options]:
        tops: dict[type[Options], Options] = {}
        for part in self._parts:
            if part.top is not None:
                options = self._validated(part.top, self._raw, "")
                if options is not None:
                    tops[part.top] = options
        return tops

    def _defaults(self) -> dict[str, Any]:
        """Return the defaults that are sound; what is not is told here, once, and not at each site."""
        raw = self._raw.get("defaults")
        if raw is None:
            return {}
        if not isinstance(raw, Mapping):
            self._faults.append(Fault(self._path.name, "defaults", "must be a mapping"))
            return {}
        known = _keys(part.defaults for part in self._parts)
        self._refuse_unknown(raw, known, "defaults")
        sound = {str(key): value for key, value in raw.items() if key in known}
        for part in self._parts:
            if part.defaults is not None and self._validated(part.defaults, sound, "defaults") is None:
                sound = {key: value for key, value in sound.items() if key not in _keys([part.defaults])}
        return sound

    def _default_models(self, sound: Mapping[str, Any]) -> dict[type[Options], Options]:
        """Return the sound defaults as models; what was not sound is left out, and told already."""
        models = (part.defaults for part in self._parts if part.defaults is not None)
        return {
            model: model.model_validate({key: sound[key] for key in _keys([model]) if key in sound})
            for model in models
        }

    def _tree(self) -> SiteTree:
        tree = SiteTree(frozenset().union(*(part.inherited for part in self._parts)))
        tree.add_list(self._raw.get("sites"), "sites", self._path.name)
        for path in self._site_files():
            self._files.append(path)
            found, faults = read_site_file(path, self._shown(path))
            self._faults.extend(faults)
            for place, raw in found:
                tree.add(raw, place, self._shown(path), free_name=True)
        self._faults.extend(tree.faults)
        if not tree.sites and not self._faults:
            self._faults.append(Fault(self._path.name, "sites", "name at least one site to watch"))
        return tree

    def _site_files(self) -> list[Path]:
        patterns = self._raw.get("site_files") or []
        if not isinstance(patterns, list) or not all(isinstance(item, str) and item for item in patterns):
            self._faults.append(
                Fault(self._path.name, "site_files", "must be a list of files, such as [targets/*.yml]")
            )
            return []
        paths = site_file_paths(patterns, self._path.parent)
        self._files.extend(dict.fromkeys(path.parent for path in paths))
        for number, pattern in enumerate(patterns):
            if not site_file_paths([pattern], self._path.parent):
                self._faults.append(
                    Fault(self._path.name, f"site_files[{number}]", f"no file matches {pattern!r}")
                )
        return paths

    def _site(self, raw: RawSite, defaults: Mapping[str, Any]) -> Site | None:
        known = self._site_keys()
        self._faults.extend(
            unknown_key(raw.file, raw.path, key, known | CORE_SITE_KEYS)
            for key in raw.own
            if key not in known
        )
        merged = raw.merged(defaults)
        parts: dict[type[Options], Options] = {}
        for part in self._parts:
            if part.site is None:
                continue
            mine = {key: value for key, value in merged.items() if key in _keys([part.site])}
            options, faults = validate(part.site, mine, raw.file, raw.path)
            self._faults.extend(_at_their_origin(faults, raw))
            if options is not None:
                parts[part.site] = options
        if len(parts) < sum(part.site is not None for part in self._parts):
            return None
        return Site(raw.name, raw.path, raw.file, raw.parent, raw.root, parts)

    def _validated(self, model: type[Options], raw: Mapping[str, Any], path: str) -> Options | None:
        mine = {key: value for key, value in raw.items() if key in _keys([model])}
        options, faults = validate(model, mine, self._path.name, path)
        self._faults.extend(faults)
        return options

    def _refuse_unknown(self, raw: Mapping[Any, Any], known: frozenset[str], path: str) -> None:
        self._faults.extend(unknown_key(self._path.name, path, key, known) for key in raw if key not in known)

    def _site_keys(self) -> frozenset[str]:
        return _keys(part.site for part in self._parts)

    def _shown(self, path: Path) -> str:
        folder = self._path.parent
        return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _keys(models: Any) -> frozenset[str]:
    return frozenset(
        option.alias or name
        for model in models
        if model is not None
        for name, option in model.model_fields.items()
    )


def _at_their_origin(faults: list[Fault], raw: RawSite) -> list[Fault]:
    """Drop a fault in an inherited key: the same model has found it at the site above, and told it."""
    kept = []
    for fault in faults:
        key = fault.path.removeprefix(raw.path).lstrip(".").split(".")[0].split("[")[0]
        if key in raw.own or key not in raw.above:
            kept.append(fault)
    return kept
