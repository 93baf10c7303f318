"""The OpenAPI page, with its scripts served from here: it works without the internet and sends no data to others."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from services.gateway.middleware import DOCS_PATH

_ASSETS = f"{DOCS_PATH}/assets"
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)


def install(app: FastAPI) -> None:
    """Adds the page. Swagger UI comes with the package `fastapi-offline`, of which only the files are used."""
    app.mount(_ASSETS, StaticFiles(directory=_swagger_folder()), name="docs-assets")

    @app.get(DOCS_PATH, include_in_schema=False)
    async def page() -> HTMLResponse:
        response = get_swagger_ui_html(
            openapi_url=app.openapi_url or "/openapi.json",
            title=f"{app.title} API",
            swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{_ASSETS}/favicon.png",
            swagger_ui_parameters={
                "persistAuthorization": True,
                "displayRequestDuration": True,
                "docExpansion": "list",
            },
        )
        response.headers["Content-Security-Policy"] = _POLICY
        return response


def _swagger_folder() -> Path:
    spec = find_spec("fastapi_offline")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("The OpenAPI page needs the package fastapi-offline (extra `gateway`).")
    return Path(spec.origin).parent / "static"
