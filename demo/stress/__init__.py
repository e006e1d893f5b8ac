"""Stress profiles: what visitors ask of the demo application, and the process that sends them there."""
