"""Engines of every stage: one description, one registry, one lifecycle, and wrappers around their calls."""
