"""What the two services' web servers share: a web-config.yml in force, TLS, users, tokens."""
