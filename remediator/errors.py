"""What can go wrong in the remediator, as one tree.

RemediatorError         `permanent` says whether a retry can help
  StoreError            the database is locked, full, read-only or gone: 503, and again later
  StoreUnusableError    the database is a newer Sitemedic's, or no database at all: an operator's
  LeaseLostError        somebody else holds the server now: stop, touch nothing
  ExporterError         the exporter did not answer
  SiteUnknownError      the exporter does not know the site
  AlertmanagerError     Alertmanager did not take our alerts
  StartError            the service cannot start: one clear message, exit 1
"""

from __future__ import annotations


class RemediatorError(Exception):
    """Anything of ours; `permanent` tells that a retry cannot help."""

    permanent = False


class StoreError(RemediatorError):
    """The database could not be read or written now."""


class StoreUnusableError(RemediatorError):
    """The database can never be used by this program."""

    permanent = True


class LeaseLostError(RemediatorError):
    """The server's lease has gone to another holder, or has run out."""

    permanent = True


class ExporterError(RemediatorError):
    """The exporter did not answer, or not in its own words."""


class SiteUnknownError(RemediatorError):
    """The exporter does not probe this site."""

    permanent = True


class AlertmanagerError(RemediatorError):
    """Alertmanager did not take the alerts."""


class StartError(RemediatorError):
    """The service cannot start; the message says what to do."""

    permanent = True
