"""Benchmarks: what Sitemedic costs beside its peers, measured on one machine in one run."""
