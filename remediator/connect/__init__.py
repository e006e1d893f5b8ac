"""Ways to run commands on a server: over SSH, or on this machine."""
