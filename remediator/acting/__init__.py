"""Attempts: claimed, worked stage by stage, proved."""
