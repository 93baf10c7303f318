"""Engines of translation: one file each, behind the protocol of `base`."""
