"""Free ports for one run."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from contextlib import ExitStack

from onevoice_kit.errors import Conflict, InvalidInput


def free_ports(count: int) -> Sequence[int]:
    """Different ports of 127.0.0.1 that are free now. All are held while choosing, so that none comes twice."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def check_port(host: str, port: int) -> int:
    """The port, or a free one for 0; `Conflict` (reason `port_in_use`) where another process listens on it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # What a server does too: a port whose last owner has just closed is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            raise Conflict(f"This user may not listen on port {port}.", reason="port_forbidden") from None
        except socket.gaierror:
            raise InvalidInput(f"{host} is not an address of this machine.", reason="host_unknown") from None
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise InvalidInput(f"{host} is not an address of this machine.", reason="host_unknown") from None
            raise Conflict(
                f"Port {port} on {host} is in use; choose another one with --port.", reason="port_in_use"
            ) from None
        return int(probe.getsockname()[1])
