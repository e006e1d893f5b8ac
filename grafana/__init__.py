"""Grafana: what it is provisioned with, and the modules that make its dashboards."""
