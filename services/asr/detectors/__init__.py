"""Detectors of speech, behind the protocol of `base`."""
