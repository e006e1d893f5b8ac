"""Alertmanager's notifications, read and stored."""
