"""Clients of the other services; the only place here that knows protobuf."""
