"""Writes the OpenAPI document: `python -m services.gateway.openapi`, or `make openapi`."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import SecretStr

from services.gateway.app import create_app
from services.gateway.settings import GatewaySettings

PATH = Path(__file__).with_name("openapi.json")


def document() -> str:
    """The document as it is checked in. No setting of a deployment appears in it."""
    settings = GatewaySettings(database_url=SecretStr("postgresql://unused@localhost/unused"))
    return json.dumps(create_app(settings).openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(document(), encoding="utf-8")
