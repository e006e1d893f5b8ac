"""`./sitemedic check`: targets probed once, told to a person."""
