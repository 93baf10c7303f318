"""The OpenAPI document: valid, and complete enough to write a client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import validate
from pydantic import SecretStr

from services.gateway import openapi
from services.gateway.app import create_app
from services.gateway.docs import TAGS
from services.gateway.errors import MEDIA_TYPE
from services.gateway.settings import GatewaySettings

OPEN = {"get_health", "get_liveness", "get_readiness"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    settings = GatewaySettings(database_url=SecretStr("postgresql://nobody@nowhere/nothing"))
    found: dict[str, Any] = create_app(settings).openapi()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def test_the_document_is_valid(document):
    validate(document)


def test_every_operation_has_one_known_tag_a_summary_a_description_and_a_good_id(document):
    known = {tag["name"] for tag in TAGS}
    for where, operation in operations(document):
        assert len(operation["tags"]) == 1, where
        assert operation["tags"][0] in known, where
        assert operation["summary"], where
        assert operation["description"], where
        assert operation["operationId"].isidentifier(), where


def test_operation_ids_are_unique(document):
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(ids) == len(set(ids))


def test_every_operation_documents_its_problems_with_examples(document):
    for where, operation in operations(document):
        problems = [
            response["content"][MEDIA_TYPE]
            for response in operation["responses"].values()
            if MEDIA_TYPE in response.get("content", {})
        ]
        assert problems, where
        for problem in problems:
            assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}, where
            for reason, example in problem["examples"].items():
                assert example["value"]["reason"] == reason, where


def test_every_operation_but_health_wants_a_key(document):
    for where, operation in operations(document):
        assert bool(operation.get("security")) == (operation["operationId"] not in OPEN), where
    assert document["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"


def test_creating_calls_take_an_idempotency_key(document):
    creating = {
        "create_upload",
        "create_video",
        "create_job",
        "dub_video",
        "create_dubbing_job",
        "regenerate_job",
        "resume_job",
    }
    taking = {
        operation["operationId"]
        for _, operation in operations(document)
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", []))
    }
    assert taking == creating


def test_every_body_has_an_example_or_describes_its_fields(document):
    schemas = document["components"]["schemas"]
    for where, operation in operations(document):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            reference = content["schema"].get("$ref") or next(
                (one["$ref"] for one in content["schema"].get("anyOf", []) if "$ref" in one), None
            )
            schema = schemas[reference.rpartition("/")[2]] if reference else content["schema"]
            assert schema.get("examples") or schema["properties"], where


def test_there_is_no_trace_of_the_frameworks_own_errors(document):
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert not [path for path in document["paths"] if path.startswith("/storage")]


def test_the_document_that_is_checked_in_is_the_one_of_the_code():
    assert openapi.PATH.read_text(encoding="utf-8") == openapi.document(), (
        "services/gateway/openapi.json differs from the code: run `make openapi` and commit the difference"
    )
