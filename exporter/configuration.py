"""The configuration as the exporter runs it, out of a sites.yml or a blackbox.yml."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.durations import format_duration
from core.faults import ConfigError, Fault
from core.sites import Document, Part, Site, load
from exporter.allowed import AllowedTargets
from exporter.containers.plan import WatchedServer, watched_servers
from exporter.containers.plan import faults_of as faults_of_containers
from exporter.heartbeats.options import (
    faults_of_heartbeats,
    heartbeat_of,
    token_path,
    unreadable_tokens,
)
from exporter.module import BUILT_IN, Module
from exporter.modules import UnreadableError, is_modules_file, modules_file, named, unreadable, with_inline
from exporter.probers import PROBERS
from exporter.probers.heartbeat import HEARTBEAT
from exporter.site_options import SYSTEM, SiteOptions, TopOptions, prober_of
from exporter.target import TargetError, instance
from exporter.watched import WatchedSite

BY_PROBER = {prober.name: prober.module for prober in PROBERS.values()}
"""The module of a target that names none."""

LONGEST_DEFAULT_TIMEOUT = 5.0
SHARE_OF_INTERVAL = 0.8


@dataclass(frozen=True)
class Configuration:
    """All that a running exporter takes from its files."""

    sites: tuple[WatchedSite, ...]
    modules: Mapping[str, Module]
    canaries: tuple[str, ...]
    allowed: AllowedTargets | None = field(repr=False)
    """What /probe serves; None: anything (a blackbox.yml)."""
    files: tuple[Path, ...]
    """All that was read, to be watched."""
    containers: tuple[WatchedServer, ...] = ()


def read(path: Path, parts: Sequence[Part]) -> Configuration:
    """Return the configuration at `path`. Raises ConfigError with every fault."""
    if is_modules_file(path):
        alone = modules_file(path, path.name)
        if missing := list(unreadable(alone, path.name)):
            raise UnreadableError(missing)
        return Configuration((), alone, (), None, (path,))
    document = load(path, parts)
    refuse_unreadable_files(document)
    modules = _modules(document)
    top = document.top(TopOptions)
    narrowed = _Narrowed(modules)
    sites = tuple(_watched(site, document, narrowed) for site in document.sites)
    allowed = AllowedTargets((*(site.url for site in sites), *top.canaries), top.probe_targets)
    extra = [_modules_path(document)] if top.modules_file else []
    extra += [token for site in document.sites if (token := token_path(site, document))]
    files = (*document.files, *extra)
    return Configuration(sites, modules, top.canaries, allowed, files, watched_servers(document))


def refuse_unreadable_files(document: Document) -> None:
    """Raise UnreadableError where modules or heartbeats name files that cannot be read.

    Not part of the document's own check: the remediator reads the same sites.yml, and need not see them.
    """
    modules, top = _modules(document), document.top(TopOptions)
    inline = {name: module for name, module in modules.items() if name in top.modules}
    others = {name: module for name, module in modules.items() if name not in top.modules}
    missing = [*unreadable(inline, document.path.name), *unreadable(others, top.modules_file or "")]
    missing += unreadable_tokens(document)
    if missing:
        raise UnreadableError(missing)


def faults_of(document: Document) -> Iterator[Fault]:
    """Tell what does not fit together in a document that is valid piece by piece."""
    try:
        modules = _modules(document)
    except ConfigError as error:
        yield from error.faults
        return
    narrowed = _Narrowed(modules)
    for site in document.sites:
        yield from _faults_of_site(site, document, narrowed)
    yield from faults_of_heartbeats(document)
    yield from _faults_of_canaries(document, modules)
    yield from faults_of_containers(document)


def _modules_path(document: Document) -> Path:
    return document.folder / (document.top(TopOptions).modules_file or "")


def _modules(document: Document) -> Mapping[str, Module]:
    """Return the modules a document may name. Raises ConfigError."""
    top = document.top(TopOptions)
    base: Mapping[str, Module] = BUILT_IN
    if top.modules_file:
        base = modules_file(_modules_path(document), top.modules_file)
        twice = [name for name in top.modules if name in base and name not in BUILT_IN]
        if twice:
            message = f"is also in {top.modules_file}: keep one of them"
            raise ConfigError(document.fault(None, f"modules.{name}", message) for name in twice)
    return with_inline(base, top.modules, document.folder)


def default_timeout(interval: float) -> float:
    """Return how long a probe may take where nothing says it, in seconds."""
    return min(LONGEST_DEFAULT_TIMEOUT, SHARE_OF_INTERVAL * interval)


class _Narrowed:
    """Modules as sites' `expect:` narrow them; sites that expect the same share one."""

    def __init__(self, modules: Mapping[str, Module]) -> None:
        self._modules = modules
        self._made: dict[object, Module] = {}

    def plain(self, options: SiteOptions) -> Module:
        """Return the module that a site names, or its URL asks for. Raises ValueError."""
        return named(self._modules, _module_name(options))

    def module(self, options: SiteOptions) -> Module:
        """Return the site's module, narrowed. Raises ValueError when it cannot be."""
        expect = options.expect
        key = (_module_name(options), expect.status, expect.body)
        if key not in self._made:
            self._made[key] = self.plain(options).expecting(expect.status, expect.body)
        return self._made[key]


def _module_name(options: SiteOptions) -> str:
    return options.module or BY_PROBER[prober_of(options.url)]


def _faults_of_site(site: Site, document: Document, narrowed: _Narrowed) -> Iterator[Fault]:
    options = site.part(SiteOptions)
    if options.timeout is not None and options.timeout >= options.interval:
        got = f"got {format_duration(options.timeout)}, interval {format_duration(options.interval)}"
        yield document.fault(site, "timeout", f"must be below interval ({got})")
    key = "url" if options.module is None else "module"
    try:
        module = narrowed.plain(options)
        key = "expect"
        narrowed.module(options)
    except ValueError as error:
        yield document.fault(site, key, str(error))
        return
    for place, message in module.complaints():
        yield document.fault(site, "module", f"{_module_name(options)} cannot be used: {place}: {message}")
    misfit = _misfit(options, module)
    if misfit:
        yield document.fault(site, *misfit)


def _faults_of_canaries(document: Document, modules: Mapping[str, Module]) -> Iterator[Fault]:
    """Tell where a file redefines a module that canaries are probed with, and they cannot be."""
    for prober in sorted({prober_of(canary) for canary in document.top(TopOptions).canaries}):
        name = BY_PROBER[prober]
        module = modules[name]
        message = "; ".join(f"{key}: {message}" for key, message in module.complaints())
        if not message and module.prober != prober:
            message = f"it probes {module.prober}"
        if prober == HEARTBEAT.name:
            message = "a job that calls here tells nothing of the way out"
        if message:
            yield document.fault(None, "canaries", f"are probed with {name}, which cannot be used: {message}")


def _misfit(options: SiteOptions, module: Module) -> tuple[str, str] | None:
    """Say, as (key, message), how a URL and its module do not go together."""
    if module.prober not in BY_PROBER:
        return None
    url = options.url
    if "://" in url and (wanted := prober_of(url)) != module.prober:
        message = f"probes {module.prober}, but the url is {instance(url)} ({BY_PROBER[wanted]} would fit)"
        return "module", f"{_module_name(options)} {message}"
    try:
        PROBERS[module.prober].place(url)
    except TargetError as error:
        return "url", str(error)
    return None


def _watched(site: Site, document: Document, narrowed: _Narrowed) -> WatchedSite:
    options = site.part(SiteOptions)
    module = narrowed.module(options)
    timeout = options.timeout
    if timeout is None:
        timeout = default_timeout(options.interval)
        if module.timeout:
            timeout = min(module.timeout, SHARE_OF_INTERVAL * options.interval)
    info = {name: value for name, value in document.info(site).items() if value}
    return WatchedSite(
        name=site.name,
        instance=instance(options.url),
        url=options.url,
        module=module,
        interval=options.interval,
        timeout=timeout,
        after=options.alert.after,
        within=options.expect.within,
        objective=options.alert.objective,
        info=tuple(info.items()),
        resolver=None if options.resolver == SYSTEM else options.resolver,
        retries=options.retries,
        heartbeat=heartbeat_of(site, document),
    )
