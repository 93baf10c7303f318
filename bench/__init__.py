"""Ratios measured on this machine; `python -m bench` prints them as one table."""
