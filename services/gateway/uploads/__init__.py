"""Signed uploads, verified when they are complete."""
