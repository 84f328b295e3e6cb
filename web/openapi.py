"""The machine-readable description of the HTTP interface, made from its schema."""

from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from web import schema

REF = "#/components/schemas/{model}"
MODELS: list[type[BaseModel]] = [
    schema.AskRequest,
    schema.AnswerReply,
    schema.SearchRequest,
    schema.SearchReply,
    schema.DocumentReply,
    schema.DocumentsReply,
    schema.Problem,
]


def describe() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    _, definitions = models_json_schema(
        [(model, "validation") for model in MODELS], ref_template=REF
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Footnote", "version": version("footnote")},
        "paths": _paths(),
        "components": {"schemas": definitions["$defs"]},
    }


def _paths() -> dict[str, Any]:
    one = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    answers = _post("Answer a question", "AskRequest", _json("AnswerReply"))
    answers["responses"]["200"]["content"]["text/event-stream"] = {
        "schema": {
            "type": "string",
            "description": "With `stream`: the events evidence, sentence …, answer; or problem.",
        }
    }
    return {
        "/v1/answers": {"post": answers},
        "/v1/search": {"post": _post("Find passages", "SearchRequest", _json("SearchReply"))},
        "/v1/documents": {"get": _get("List the documents", _json("DocumentsReply"))},
        "/v1/documents/{id}": {
            "parameters": [one],
            "get": _get("Describe a document", _json("DocumentReply")),
        },
        "/v1/documents/{id}/text": {
            "parameters": [one],
            "get": _get("The text that citations count characters of", _text()),
        },
        "/healthz": {"get": _get("Is the process alive?", {"application/json": {}})},
        "/readyz": {
            "get": _get("Can it answer? If not, what is missing", {"application/json": {}})
        },
    }


def _post(summary: str, request: str, content: dict[str, Any]) -> dict[str, Any]:
    return {
        **_get(summary, content),
        "requestBody": {"required": True, "content": _json(request)},
    }


def _get(summary: str, content: dict[str, Any]) -> dict[str, Any]:
    problem = {"application/problem+json": _json("Problem")["application/json"]}
    return {
        "summary": summary,
        "responses": {
            "200": {"description": "OK", "content": content},
            "default": {"description": "What went wrong", "content": problem},
        },
    }


def _json(model: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": REF.format(model=model)}}}


def _text() -> dict[str, Any]:
    return {"text/plain": {"schema": {"type": "string"}}}
