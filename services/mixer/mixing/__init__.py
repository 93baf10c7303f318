"""Mixes spoken clips over the ducked programme: streaming, in two passes, at a measured loudness."""
