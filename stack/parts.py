"""Everything that may stand in a sites.yml: each service's part of it."""

from core.servers.schema import PART as SERVERS
from core.sites import Part
from exporter.schema import PART as EXPORTER
from remediator.configuration.schema import PART as REMEDIATOR
from stack.alerting import PART as ALERTING

PARTS: tuple[Part, ...] = (EXPORTER, ALERTING, SERVERS, REMEDIATOR)
