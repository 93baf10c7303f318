"""Runs dubbing jobs: takes messages, drives the stage services, owns the dubbing policy."""
