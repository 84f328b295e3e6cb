"""Every way a request can fail, as RFC 9457 problems."""

import json
import logging
from http import HTTPStatus

from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, SecurityError

from answer.errors import ModelBusy, ModelFailed, ModelUnavailable, QuestionTooLong
from retrieval.errors import (
    DocumentNotFound,
    EmbedderMismatch,
    EmbedderUnavailable,
    GenerationNotFound,
    LibraryBusy,
    LibraryMissing,
    LibraryUnreadable,
    LibraryUnwritable,
)

log = logging.getLogger("footnote")


class InvalidRequest(Exception):
    """The request's body or parameters are not what the interface takes: which, and what is."""


PROBLEMS: dict[type[Exception], tuple[HTTPStatus, str]] = {
    InvalidRequest: (HTTPStatus.UNPROCESSABLE_ENTITY, "The request is not valid"),
    DocumentNotFound: (HTTPStatus.NOT_FOUND, "There is no such document"),
    QuestionTooLong: (HTTPStatus.UNPROCESSABLE_ENTITY, "The question is too long"),
    ModelBusy: (HTTPStatus.SERVICE_UNAVAILABLE, "The model is busy"),
    ModelFailed: (HTTPStatus.SERVICE_UNAVAILABLE, "The model failed"),
    ModelUnavailable: (HTTPStatus.SERVICE_UNAVAILABLE, "The model cannot be used"),
    EmbedderUnavailable: (HTTPStatus.SERVICE_UNAVAILABLE, "The embedder cannot be used"),
    EmbedderMismatch: (HTTPStatus.SERVICE_UNAVAILABLE, "The library needs another embedder"),
    LibraryUnreadable: (HTTPStatus.SERVICE_UNAVAILABLE, "The library is damaged"),
    LibraryMissing: (HTTPStatus.SERVICE_UNAVAILABLE, "There is no library"),
    LibraryUnwritable: (HTTPStatus.SERVICE_UNAVAILABLE, "The library cannot be written to"),
    GenerationNotFound: (HTTPStatus.NOT_FOUND, "There is no such generation"),
    LibraryBusy: (HTTPStatus.CONFLICT, "The library is being written to"),
}


def register(app: Flask) -> None:
    """Have every failure of a request answered with a problem."""
    for kind in PROBLEMS:
        app.register_error_handler(kind, _known)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def problem(status: int, title: str, detail: str) -> Response:
    """Return a problem as a response: a page for whoever opened a page, else JSON."""
    # Under a host name that is refused no page can be made: it could not link to itself.
    strange = isinstance(request.routing_exception, SecurityError)
    page = request.blueprint == "pages" or request.accept_mimetypes.best == "text/html"
    if page and not strange:
        return Response(render_template("problem.html", title=title, detail=detail), status)
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Response(
        json.dumps(body, ensure_ascii=False) + "\n", status, mimetype="application/problem+json"
    )


def describe(error: Exception) -> tuple[HTTPStatus, str, str]:
    """Return the status, title and detail of an error that a request raised."""
    for kind in type(error).__mro__:
        if kind in PROBLEMS:
            status, title = PROBLEMS[kind]
            return status, title, str(error)
    log.exception("request failed", exc_info=error)
    detail = "An error that was not foreseen; the log has the details."
    return HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong", detail


def _known(error: Exception) -> Response:
    return problem(*describe(error))


def _unexpected(error: Exception) -> Response:
    return problem(*describe(error))


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    if isinstance(error, RequestEntityTooLarge):
        limit = request.max_content_length or 0
        detail = f"A request may have {limit // 1024} KiB."
    elif isinstance(error, SecurityError):
        detail = "The service is not known by this host name. Name it in FOOTNOTE_HOSTS."
    else:
        detail = error.description or ""
    answer = problem(status, HTTPStatus(status).phrase, detail)
    for name, value in error.get_headers():
        if name.lower() in ("allow", "retry-after"):
            answer.headers[name] = value
    return answer
