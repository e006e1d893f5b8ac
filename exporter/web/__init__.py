"""The exporter over HTTP: what each address answers, and who may ask."""

from exporter.web.handlers import Handlers

__all__ = ["Handlers"]
