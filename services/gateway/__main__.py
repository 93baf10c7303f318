"""Runs the gateway: `python -m services.gateway`."""

from __future__ import annotations

import signal
import socket

import uvicorn

from onevoice_kit import telemetry
from services.gateway.app import create_app
from services.gateway.services import Services
from services.gateway.settings import GatewaySettings


class Server(uvicorn.Server):
    """Ends the event streams first when it shuts down: they would hold it up until the grace is over."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes no new requests, lets the running ones end, then closes everything."""
        app = self.config.app
        services: Services | None = getattr(getattr(app, "state", None), "services", None)
        if services is not None:
            services.events.close()
        await super().shutdown(sockets)


def main() -> None:
    """Serves until SIGTERM or SIGINT."""
    settings = GatewaySettings()
    telemetry.setup(settings, "gateway")
    config = uvicorn.Config(
        create_app(settings),
        host=settings.http_host,
        port=settings.http_port,
        log_config=None,
        access_log=False,  # the middleware writes one with ids and times
        server_header=False,
        timeout_graceful_shutdown=settings.http_shutdown_grace_s,
        timeout_keep_alive=30,
    )
    for stop in (signal.SIGTERM, signal.SIGINT):
        # After a shutdown in good order uvicorn raises the signal again; the exit code is to be 0.
        signal.signal(stop, lambda *_: None)
    Server(config).run()


if __name__ == "__main__":
    main()
