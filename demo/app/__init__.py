"""The demo application: a small shop on a database, whose pages can be asked to load its container."""
