"""Health of the gateway and of everything behind it."""
