"""A site as the exporter watches it: everything settled, nothing left to look up."""

from dataclasses import dataclass

from core.secrets import Secret
from exporter.module import Module


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What the file says of a job that tells that it runs; times in seconds."""

    name: str
    """As the site's URL has it."""
    every: float
    """How often the job says that it succeeded."""
    grace: float
    """How much later it may be heard, and how long one run may take."""
    token: Secret | None = None
    """The token of its address; None: it is derived."""


@dataclass(frozen=True, slots=True)
class WatchedSite:
    """One site of the file with its defaults, its module and its labels worked out; times in seconds."""

    name: str
    instance: str
    """The URL without userinfo and query."""
    url: str
    module: Module
    """The module, narrowed by the site's `expect`."""
    interval: float
    timeout: float
    after: float
    """How long it must fail before it alerts."""
    within: float | None
    """Above this a successful probe counts as slow; None: never."""
    objective: float
    """The share of its probes that shall succeed."""
    info: tuple[tuple[str, str], ...]
    """Labels of `sitemedic_site_info`, in order."""
    resolver: str | None = None
    """The name server to ask, as host:port; None: the system's."""
    retries: int = 0
    """How many more probes are made soon after the first that failed."""
    heartbeat: Heartbeat | None = None
    """For a site that is heard, not probed."""

    def label(self, name: str) -> str:
        """Return one of the site's labels, or nothing where it has no such label."""
        return next((value for key, value in self.info if key == name), "")

    def probed_like(self, other: "WatchedSite") -> bool:
        """Say whether a result of `other` is also one of this site."""
        return (self.url, self.module, self.resolver) == (other.url, other.module, other.resolver)
