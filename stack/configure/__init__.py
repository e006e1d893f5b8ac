"""Making sites.yml and .env, and looking at them: init, import, config check, config show."""
