"""Dubbing jobs: submit, follow, cancel, download."""
