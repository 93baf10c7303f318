"""The OpenAPI document's texts and its page, whose scripts are served from here: no data is sent to others."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from services.gateway.errors import Problem
from services.gateway.middleware import DOCS_PATH

_ASSETS = f"{DOCS_PATH}/assets"
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)


TAGS = [
    {"name": "videos", "description": "Add videos: announce, upload straight to the storage, complete."},
    {"name": "jobs", "description": "Dub videos into other languages, follow the work, get the results."},
    {"name": "dubbing-jobs", "description": "The one-call form: a file and a language in, a job out."},
    {"name": "uploads", "description": "Files other than videos: voice and background tracks, subtitles, pictures."},
    {"name": "catalogue", "description": "Languages, voices and engines of this deployment."},
    {"name": "billing", "description": "What a job costs. One credit is one second of dubbed output in one language."},
    {"name": "users", "description": "The account behind the API key, and its credits."},
    {"name": "monitoring", "description": "Health of the deployment."},
]

DESCRIPTION = """
A video in one language goes in; the same video comes out speaking other languages, with captions, a manifest and a
measured quality report.

Send an API key as bearer token. Errors are RFC 9457 problems: `reason` is stable, `detail` is for people. Creating
calls take an `Idempotency-Key`. Lists have opaque cursors. Another user's things are not found.

    curl -H "Authorization: Bearer $ONEVOICE_API_KEY" -H "Content-Type: application/json" \\
         -d '{"target_languages": ["es"]}' $ONEVOICE_URL/api/videos/$VIDEO_ID/dub
"""


def install(app: FastAPI) -> None:
    """Adds the schema of problems and the page: Swagger UI, of which `fastapi-offline` brings the files."""
    _document_problems(app)
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


def _document_problems(app: FastAPI) -> None:
    """Adds the schema of problems, which the `responses` of every operation refer to."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if "Problem" not in schemas:
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(problem.pop("$defs", {}))
            schemas["Problem"] = problem
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
