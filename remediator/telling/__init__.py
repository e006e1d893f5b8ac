"""What people are told: alerts for Alertmanager, made out of the database alone."""
