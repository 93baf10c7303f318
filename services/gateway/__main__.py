"""Runs the gateway: `python -m services.gateway`."""

from __future__ import annotations

from onevoice_kit import telemetry
from services.gateway.app import create_app, run
from services.gateway.settings import GatewaySettings


def main() -> None:
    """Serves until SIGTERM or SIGINT."""
    settings = GatewaySettings()
    telemetry.setup(settings, "gateway")
    run(create_app(settings), settings)


if __name__ == "__main__":
    main()
