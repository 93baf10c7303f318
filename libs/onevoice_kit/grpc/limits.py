"""Sizes both ends of a connection agree on."""

from __future__ import annotations

MAX_MESSAGE_BYTES = 4 << 20
"""Messages carry references and text, never media."""
MAX_METADATA_BYTES = 32 << 10
"""Room for the details of an error."""
