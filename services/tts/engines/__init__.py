"""Engines of speech synthesis: one file each, behind the protocol of `base`."""
