"""`./sitemedic stress`: put the demo application under load, and tell what Sitemedic makes of it."""
