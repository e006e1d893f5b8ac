"""`./sitemedic config schema`."""

import json

import click

from core.sites import json_schema
from stack.parts import PARTS


def schema_text() -> str:
    """Return the JSON Schema of sites.yml as it is published in docs/sites.schema.json."""
    return json.dumps(json_schema(PARTS), indent=2, ensure_ascii=False) + "\n"


@click.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of sites.yml, for editors."""
    click.echo(schema_text(), nl=False)
