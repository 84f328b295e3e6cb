"""The machine-readable description of the HTTP interface, made from its schema."""

from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from web.schema import asking, base, documents, receipts, runs
from web.uploads import FIELD, GROUP, TAG

REF = "#/components/schemas/{model}"
MODELS: list[type[BaseModel]] = [
    asking.AskRequest,
    asking.AnswerReply,
    receipts.StoredAnswerReply,
    asking.SearchRequest,
    asking.SearchReply,
    documents.DocumentReply,
    documents.DocumentDetailReply,
    documents.DocumentsReply,
    documents.ChangeReply,
    documents.LabelsRequest,
    documents.LabelsReply,
    runs.UploadReply,
    runs.IngestionRequest,
    runs.IngestionReply,
    runs.IngestionsReply,
    base.Problem,
]
WRITES: list[dict[str, list[str]]] = [{}, {"token": []}]
"""Changing documents takes the token where the operator has set one."""


def describe() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    _, definitions = models_json_schema(
        [(model, "validation") for model in MODELS], ref_template=REF
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Footnote", "version": version("footnote")},
        "paths": _paths(),
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _paths() -> dict[str, Any]:
    one = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    answers = _post("Answer a question", "AskRequest", _json("AnswerReply"))
    answers["responses"]["200"]["content"]["text/event-stream"] = {
        "schema": {
            "type": "string",
            "description": "With `stream`: the events evidence, waiting … (for the model),"
            " sentence …, answer; or problem.",
        }
    }
    return {
        "/v1/answers": {"post": answers},
        "/v1/answers/{id}": {
            "parameters": [one],
            "get": _get("The receipt of an answer", _json("StoredAnswerReply")),
        },
        "/v1/search": {"post": _post("Find passages", "SearchRequest", _json("SearchReply"))},
        "/v1/documents": {
            "get": {
                **_get("List the documents", _json("DocumentsReply")),
                "parameters": [_choice("state", "current", "all"), *_filters()],
            },
            "post": _upload(),
        },
        "/v1/documents/{id}": {
            "parameters": [one],
            "get": _get("Describe a document", _json("DocumentDetailReply")),
            "patch": {
                **_write("Change a document's tags and group", _json("DocumentDetailReply")),
                "requestBody": {"required": True, "content": _json("LabelsRequest")},
            },
            "delete": {
                **_write("Withdraw a document, or erase it for good", _json("ChangeReply")),
                "parameters": [_choice("erase", "false", "true")],
            },
        },
        "/v1/documents/{id}/restore": {
            "parameters": [one],
            "post": _write("Answer from a withdrawn document again", _json("ChangeReply")),
        },
        "/v1/documents/{id}/text": {
            "parameters": [one],
            "get": _get("The text that citations count characters of", _text()),
        },
        "/v1/labels": {"get": _get("List what documents can be filtered by", _json("LabelsReply"))},
        "/v1/ingestions": {
            "get": _get("List the newest runs", _json("IngestionsReply")),
            "post": _begin(),
        },
        "/v1/ingestions/{id}": {
            "parameters": [one],
            "get": _follow(),
            "delete": _write("Cancel a run", _json("IngestionReply")),
        },
        "/healthz": {"get": _get("Is the process alive?", {"application/json": {}})},
        "/readyz": {"get": _readiness()},
        "/metrics": {"get": _get("Figures, as Prometheus reads them", _text())},
    }


def _readiness() -> dict[str, Any]:
    found: dict[str, Any] = {"application/json": {}}
    described = _get("Can it answer? If not, what is missing", found)
    described["responses"]["503"] = {"description": "Not yet", "content": found}
    return described


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


def _write(summary: str, content: dict[str, Any], status: str = "200") -> dict[str, Any]:
    described = _get(summary, content)
    responses = described["responses"]
    done = responses.pop("200")
    if status == "202":
        location = {"description": "Where to see how it goes", "schema": {"type": "string"}}
        done |= {"description": "Accepted", "headers": {"Location": location}}
    return {**described, "responses": {status: done, **responses}, "security": WRITES}


def _upload() -> dict[str, Any]:
    file = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
    tags = {"type": "array", "items": {"type": "string"}}
    fields = {FIELD: file, TAG: tags, GROUP: {"type": "string"}}
    form = {"type": "object", "required": [FIELD], "properties": fields}
    content = {"multipart/form-data": {"schema": form}}
    return {
        **_write("Add files, and have them read", _json("UploadReply"), "202"),
        "requestBody": {"required": True, "content": content},
    }


def _begin() -> dict[str, Any]:
    return {
        **_write("Read the operator's folders again", _json("IngestionReply"), "202"),
        "requestBody": {"required": False, "content": _json("IngestionRequest")},
    }


def _follow() -> dict[str, Any]:
    described = _get("Say how a run goes", _json("IngestionReply"))
    described["responses"]["200"]["content"]["text/event-stream"] = {
        "schema": {
            "type": "string",
            "description": "If accepted, or with `stream`: the events progress …, ended.",
        }
    }
    return {**described, "parameters": [_choice("stream", "false", "true")]}


def _filters() -> list[dict[str, Any]]:
    """Return the filters as parameters of an address; those with several values are repeated."""
    fields = asking.FilterFields.model_json_schema()["properties"]
    return [{"name": name, "in": "query", "schema": field} for name, field in fields.items()]


def _choice(name: str, default: str, other: str) -> dict[str, Any]:
    schema = {"type": "string", "enum": [default, other], "default": default}
    return {"name": name, "in": "query", "schema": schema}


def _json(model: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": REF.format(model=model)}}}


def _text() -> dict[str, Any]:
    return {"text/plain": {"schema": {"type": "string"}}}
