"""Engines of speech recognition: one file each, behind the protocols of `base`."""
