"""What every part of Sitemedic shares; imports nothing else of the project."""

VERSION = "0.1.0"
