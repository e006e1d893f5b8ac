"""The exporter's part of sites.yml: its keys, what must fit together, and the labels of a site."""

from collections.abc import Mapping

from core.sites import Document, Part, Site
from exporter.configuration import faults_of
from exporter.site_options import SiteDefaults, SiteOptions, TopOptions

__all__ = ["PART"]


def _info(site: Site, _document: Document) -> Mapping[str, str]:
    options = site.part(SiteOptions)
    labels = {
        "group": options.group,
        "part_of": site.root,
        "severity": options.alert.severity,
        "parent": site.parent or "",
    }
    return {**options.labels, **labels}


PART = Part(
    owner="exporter",
    top=TopOptions,
    site=SiteOptions,
    defaults=SiteDefaults,
    inherited=frozenset({"group", "interval", "timeout", "retries", "resolver", "alert", "labels"}),
    check=faults_of,
    info=_info,
)
