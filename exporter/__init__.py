"""The exporter: probes every site on its own schedule and publishes what it sees."""
