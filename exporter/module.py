"""A module: a prober with its options, under blackbox_exporter's key names."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ConfigDict, Field, create_model, field_validator

from core.durations import Duration
from core.faults import quoted
from core.sites import Options
from exporter.matching.patterns import Pattern
from exporter.probers import PROBERS
from exporter.probers.http_options import HTTPOptions, StatusMatch
from exporter.probers.paths import rooted, unreadable_files

M = TypeVar("M", bound=Options)


class _ModuleBase(Options):
    """The keys that every module has; each prober adds one of its own name."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    prober: str
    """The protocol: http, tcp, dns, icmp, grpc, unix or heartbeat."""
    timeout: Duration | None = None
    """How long one probe may take; a site's own timeout goes before it."""

    @field_validator("prober")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in PROBERS:
            raise ValueError(f"must be one of {', '.join(PROBERS)} (got {quoted(name)})")
        return name

    @property
    def options(self) -> Options:
        """Return the options of this module's prober."""
        options = getattr(self, self.prober)
        assert isinstance(options, Options)
        return options

    def complaints(self) -> list[tuple[str, str]]:
        """Say what in this module loads but cannot be used yet, as (key, message); empty: all of it can."""
        found = PROBERS[self.prober].complaints(self.options)
        return [(f"{self.prober}.{key}", message) for key, message in found]

    def unreadable_files(self) -> list[tuple[str, Path, str]]:
        """Say which files that this module names cannot be read, as (key, path, message); reads the disk."""
        found = unreadable_files(self.options)
        return [(f"{self.prober}.{key}", path, message) for key, path, message in found]

    def rooted(self, folder: Path) -> "Module":
        """Return the module with its relative paths starting from `folder`."""
        return rooted(self, folder)

    def expecting(
        self, statuses: tuple[StatusMatch, ...] | None = None, body: Pattern | None = None
    ) -> "Module":
        """Return the module as a site's `expect:` narrows it.

        `statuses` take the place of valid_status_codes; `body` is wanted beside the module's own
        patterns. Raises ValueError when the module does not speak HTTP.
        """
        if statuses is None and body is None:
            return self
        if self.prober != "http":
            raise ValueError(f"status and body can be expected of http only (the prober is {self.prober})")
        http = self.options
        assert isinstance(http, HTTPOptions)
        changes: dict[str, Any] = {}
        if statuses is not None:
            changes["valid_status_codes"] = statuses
        if body is not None:
            changes["fail_if_body_not_matches_regexp"] = (*http.fail_if_body_not_matches_regexp, body)
        return self.model_copy(update={"http": http.model_copy(update=changes)})


def _fields() -> dict[str, Any]:
    return {name: (prober.options, Field(default_factory=prober.options)) for name, prober in PROBERS.items()}


if TYPE_CHECKING:
    Module = _ModuleBase
else:
    Module = create_model("Module", __base__=_ModuleBase, __doc__=_ModuleBase.__doc__, **_fields())

BUILT_IN: Mapping[str, Module] = MappingProxyType(
    {
        "http_2xx": Module(prober="http"),
        "tcp_connect": Module(prober="tcp"),
        "dns": Module(prober="dns"),
        "icmp": Module(prober="icmp"),
        "grpc": Module(prober="grpc"),
        "unix": Module(prober="unix"),
        "heartbeat": Module(prober="heartbeat"),
    }
)
"""The modules that exist without any file."""
