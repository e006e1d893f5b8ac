"""The JSON Schema of `sites.yml`, so that editors complete it and mark mistakes."""

from collections.abc import Sequence
from typing import Any

from core.sites.document import Options, Part


def json_schema(parts: Sequence[Part]) -> dict[str, Any]:
    """Return the schema of the whole file, put together from the models of all parts."""
    definitions: dict[str, Any] = {}
    site = _object("A site that is probed.", [part.site for part in parts], definitions, ["name"])
    site["properties"] = {
        "name": {
            "type": "string",
            "minLength": 1,
            "description": "The site's name; an app's is parent/child.",
        },
        **site["properties"],
        "apps": {
            "type": "array",
            "items": {"$ref": "#/$defs/Site"},
            "description": "Internal apps below this site; they share its mail.",
        },
    }
    defaults = _object(
        "What every site takes that does not set it.", [part.defaults for part in parts], definitions
    )
    top = _object("The sites that Sitemedic watches.", [part.top for part in parts], definitions)
    top["properties"] = {
        "defaults": defaults,
        **top["properties"],
        "sites": {"type": "array", "items": {"$ref": "#/$defs/Site"}},
        "site_files": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Target lists as in Prometheus's file_sd; patterns relative to this file.",
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sites.yml",
        **top,
        "$defs": {**dict(sorted(definitions.items())), "Site": site},
    }


def _object(
    description: str,
    models: Sequence[type[Options] | None],
    definitions: dict[str, Any],
    required: Sequence[str] = (),
) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    needed = list(required)
    for model in models:
        if model is None:
            continue
        schema = model.model_json_schema(ref_template="#/$defs/{model}", by_alias=True)
        definitions.update(schema.get("$defs", {}))
        properties.update(schema.get("properties", {}))
        needed.extend(schema.get("required", []))
    result: dict[str, Any] = {
        "type": "object",
        "description": description,
        "additionalProperties": False,
        "properties": properties,
    }
    return {**result, "required": needed} if needed else result
