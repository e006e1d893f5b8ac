"""The other services, as this one asks them: exporter, Alertmanager, Linode."""
