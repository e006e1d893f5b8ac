"""What can go wrong in the remediator, as one tree.

    RemediatorError            `permanent` says whether a retry can help
      StoreUnavailable         the database is locked, full, read-only or gone: 503, and again later
      StoreUnusable            the database is of a newer Sitemedic, or no database: an operator's
      LeaseLost                somebody else holds the server now: stop, touch nothing
      ExporterUnavailable      the exporter did not answer
      SiteUnknown              the exporter does not know the site
      AlertmanagerUnavailable  Alertmanager did not take our alerts
      StartError               the service cannot start: one clear message, exit 1
"""

from __future__ import annotations


class RemediatorError(Exception):
    """Anything of ours; `permanent` tells that a retry cannot help."""

    permanent = False


class StoreUnavailable(RemediatorError):
    """The database could not be read or written now."""


class StoreUnusable(RemediatorError):
    """The database can never be used by this program."""

    permanent = True


class LeaseLost(RemediatorError):
    """The server's lease has gone to another holder, or has run out."""

    permanent = True


class ExporterUnavailable(RemediatorError):
    """The exporter did not answer, or not in its own words."""


class SiteUnknown(RemediatorError):
    """The exporter does not probe this site."""

    permanent = True


class AlertmanagerUnavailable(RemediatorError):
    """Alertmanager did not take the alerts."""


class StartError(RemediatorError):
    """The service cannot start; the message says what to do."""

    permanent = True
