"""The service that brings a site back, proves it, and tells a human when it cannot."""
