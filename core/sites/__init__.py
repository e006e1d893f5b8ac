"""`sites.yml`: assembled out of the parts that the services hand in.

A service describes what it reads as a `Part` (pydantic models for its keys at the top, of a site and
under `defaults:`); `load` reads the file with all parts at once, so that an unknown key is a fault
and every fault is told together.
"""

from core.sites.document import Document, Options, Part, Place, Site
from core.sites.effective import Setting, effective
from core.sites.load import load
from core.sites.schema import json_schema

__all__ = ["Document", "Options", "Part", "Place", "Setting", "Site", "effective", "json_schema", "load"]
