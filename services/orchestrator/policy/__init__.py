"""Dubbing policy: pure functions from facts to decisions."""
