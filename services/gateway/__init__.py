"""The gateway: the REST API in front of everything."""
