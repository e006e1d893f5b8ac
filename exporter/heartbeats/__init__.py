"""Sites that call us: a cron job says that it ran, and silence is the alert."""
