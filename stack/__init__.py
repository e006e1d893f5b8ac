"""Sitemedic as one system on one machine: the command line, rendering, starting and the demo's story."""
