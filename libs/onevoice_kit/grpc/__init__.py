"""Calls between services: server, client, deadlines, errors, long calls."""

from __future__ import annotations

import os

# gRPC's core writes its own unstructured lines to stderr, a line for every connection that ends. It reads this once,
# when it is imported, so it stands here.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
