"""`python -m exporter`: the exporter alone, with its own part of sites.yml only."""

from exporter.cli import exporter_command

exporter_command(prog_name="exporter")
