"""Fakes, fault layers and throw-away servers for tests; public, so that services test against the same ones."""
