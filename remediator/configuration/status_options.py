"""The public status page in `sites.yml`."""

from __future__ import annotations

from pydantic import Field

from core.sites import Options


class StatusPageOptions(Options):
    """A page at /status that anybody may read: the state of the sites named here, and nothing else."""

    title: str = Field("Status", min_length=1, max_length=100, description="The heading of the page.")
    sites: tuple[str, ...] = Field(
        min_length=1, max_length=500, description="Which sites it shows, in order."
    )
