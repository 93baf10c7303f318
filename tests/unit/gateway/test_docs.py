"""The OpenAPI page needs nothing from the internet."""

from __future__ import annotations

import re

import httpx
from fastapi import FastAPI

from services.gateway import docs


async def test_the_page_and_all_it_loads_come_from_here() -> None:
    app = FastAPI(docs_url=None)
    docs.install(app)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        page = await client.get("/docs")
        assert page.status_code == 200
        assert "default-src 'self'" in page.headers["content-security-policy"]
        loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert len(loaded) >= 3
        for address in loaded:
            assert address.startswith("/docs/assets/")
            assert (await client.get(address)).status_code == 200
