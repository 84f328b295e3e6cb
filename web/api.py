"""The JSON interface, version 1, and the addresses that watch over it."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain

from flask import Blueprint, Response, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from answer import Answer, Event, Found, Said
from answer.types import Waiting
from web import metrics, openapi
from web.problems import InvalidRequest, describe, retry_s
from web.schema.asking import (
    AnswerReply,
    AskRequest,
    CitationReply,
    SearchReply,
    SearchRequest,
    SentenceReply,
)
from web.wiring import Services

bp = Blueprint("api", __name__)


def services() -> Services:
    """Return what the application was created with."""
    found: Services = current_app.extensions["footnote"]
    return found


@bp.post("/v1/answers")
def create_answer() -> ResponseReturnValue:
    """Answer one question from the library, citing the words it rests on."""
    asked = AskRequest.parse(body())
    if asked.stream:
        events = services().answerer.stream(asked.ask())
        first = next(events)  # what fails before anything is found is still a plain problem
        return _stream(chain([first], events), events.close)  # type: ignore[attr-defined]
    answer = services().answerer.answer(asked.ask())
    metrics.of_this_app().count(answer)
    return jsonify(AnswerReply.of(answer).model_dump())


@bp.post("/v1/search")
def search() -> ResponseReturnValue:
    """Find the passages that bear most on a query."""
    asked = SearchRequest.parse(body())
    library, filters = services().library, asked.filters.filters()
    snapshot = library.snapshot()
    ready = snapshot.ask(asked.query)
    hits = library.search(ready, limit=asked.limit, filters=filters)
    documents = len(snapshot.allowed(filters))
    return jsonify(SearchReply.of(ready.query, hits, documents=documents).model_dump())


@bp.get("/openapi.json")
def description() -> ResponseReturnValue:
    """Describe this interface to machines."""
    return jsonify(openapi.describe())


@bp.get("/healthz")
def health() -> ResponseReturnValue:
    """Say that the process is alive."""
    return jsonify(status="ok")


@bp.get("/readyz")
def readiness() -> ResponseReturnValue:
    """Say whether questions can be answered, and if not, what is missing."""
    missing = services().missing()
    return jsonify(ready=not missing, missing=missing), 503 if missing else 200


def body() -> object:
    """Return the request's JSON."""
    try:
        return request.get_json()
    except BadRequest as problem:
        raise BadRequest("The body is not valid JSON in UTF-8.") from problem
    except RecursionError as problem:
        raise InvalidRequest("The body is nested too deeply.") from problem


def _stream(events: Iterator[Event], close: object) -> Response:
    figures = metrics.of_this_app()

    def lines() -> Iterator[str]:
        try:
            for happened in events:
                if isinstance(happened, Answer):
                    figures.count(happened)
                yield _event_of(happened)
        except Exception as error:
            status, title, detail = describe(error)
            told: dict[str, object] = {"title": title, "status": status, "detail": detail}
            if (seconds := retry_s(error)) is not None:
                told["retry_after_s"] = seconds
            yield event("problem", told)
        finally:
            if callable(close):
                close()

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Response(lines(), mimetype="text/event-stream", headers=headers)


def _event_of(happened: Event) -> str:
    match happened:
        case Found(citations):
            return event("evidence", {"citations": _citations(citations)})
        case Said(sentence, citations):
            data = {"sentence": SentenceReply.of(sentence).model_dump()}
            return event("sentence", {**data, "citations": _citations(citations)})
        case Waiting():
            return event("waiting", asdict(happened))
        case Answer():
            return event("answer", AnswerReply.of(happened).model_dump())


def _citations(citations: tuple[object, ...]) -> list[dict[str, object]]:
    return [CitationReply.of(c).model_dump() for c in citations]  # type: ignore[arg-type]


def event(name: str, data: dict[str, object]) -> str:
    """Return a server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
