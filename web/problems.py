"""Every way a request can fail, as RFC 9457 problems."""

import json
import logging
import math
from collections.abc import Mapping
from http import HTTPStatus

from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, SecurityError

from answer.errors import (
    CalibrationImpossible,
    JudgeUnavailable,
    ModelBusy,
    ModelFailed,
    ModelUnavailable,
    QuestionTooLong,
    ReceiptNotFound,
    ReceiptsUnavailable,
)
from retrieval.errors import (
    DocumentNotFound,
    EmbedderMismatch,
    EmbedderUnavailable,
    GenerationNotFound,
    LabelRefused,
    LibraryBusy,
    LibraryMissing,
    LibraryUnreadable,
    LibraryUnwritable,
)
from web.ingestions import IngestionGoesOn, IngestionNotFound

RETRY_S = 10

log = logging.getLogger("footnote")


class InvalidRequest(Exception):
    """The request's body or parameters are not what the interface takes: which, and what is."""


class Gone(Exception):
    """A document was withdrawn or erased, and is not shown any more."""


class Forbidden(Exception):
    """This request may not change anything: why, and what would let it."""


class Unauthorised(Exception):
    """The request lacks the token that changing documents takes."""


class TooManyFollowers(Exception):
    """Each stream of events holds a thread, and enough of them are held."""


PROBLEMS: dict[type[Exception], tuple[HTTPStatus, str]] = {
    InvalidRequest: (HTTPStatus.UNPROCESSABLE_ENTITY, "The request is not valid"),
    DocumentNotFound: (HTTPStatus.NOT_FOUND, "There is no such document"),
    QuestionTooLong: (HTTPStatus.UNPROCESSABLE_ENTITY, "The question is too long"),
    ModelBusy: (HTTPStatus.TOO_MANY_REQUESTS, "The model is busy"),
    ModelFailed: (HTTPStatus.SERVICE_UNAVAILABLE, "The model failed"),
    ModelUnavailable: (HTTPStatus.SERVICE_UNAVAILABLE, "The model cannot be used"),
    JudgeUnavailable: (HTTPStatus.SERVICE_UNAVAILABLE, "The judge of evidence cannot be used"),
    CalibrationImpossible: (HTTPStatus.SERVICE_UNAVAILABLE, "The calibration cannot be used"),
    ReceiptNotFound: (HTTPStatus.NOT_FOUND, "There is no such receipt"),
    ReceiptsUnavailable: (HTTPStatus.SERVICE_UNAVAILABLE, "The receipts cannot be used"),
    EmbedderUnavailable: (HTTPStatus.SERVICE_UNAVAILABLE, "The embedder cannot be used"),
    EmbedderMismatch: (HTTPStatus.SERVICE_UNAVAILABLE, "The library needs another embedder"),
    LibraryUnreadable: (HTTPStatus.SERVICE_UNAVAILABLE, "The library is damaged"),
    LibraryMissing: (HTTPStatus.SERVICE_UNAVAILABLE, "There is no library"),
    LibraryUnwritable: (HTTPStatus.SERVICE_UNAVAILABLE, "The library cannot be written to"),
    GenerationNotFound: (HTTPStatus.NOT_FOUND, "There is no such generation"),
    LabelRefused: (HTTPStatus.UNPROCESSABLE_ENTITY, "That cannot be a label"),
    LibraryBusy: (HTTPStatus.CONFLICT, "The library is being written to"),
    IngestionNotFound: (HTTPStatus.NOT_FOUND, "There is no such ingestion"),
    IngestionGoesOn: (HTTPStatus.CONFLICT, "An ingestion goes on"),
    Gone: (HTTPStatus.GONE, "The document was withdrawn"),
    Forbidden: (HTTPStatus.FORBIDDEN, "This may not be changed from here"),
    Unauthorised: (HTTPStatus.UNAUTHORIZED, "The administrator's token is needed"),
    TooManyFollowers: (HTTPStatus.SERVICE_UNAVAILABLE, "Too many are following ingestions"),
}


def register(app: Flask) -> None:
    """Have every failure of a request answered with a problem."""
    for kind in PROBLEMS:
        app.register_error_handler(kind, _known)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def problem(
    status: int, title: str, detail: str, more: Mapping[str, str] | None = None
) -> Response:
    """Return a problem as a response: a page for whoever opened a page, else JSON.

    `more` are members that only this kind of problem has.
    """
    # Under a host name that is refused no page can be made: it could not link to itself.
    strange = isinstance(request.routing_exception, SecurityError)
    page = request.blueprint == "pages" or request.accept_mimetypes.best == "text/html"
    if page and not strange:
        return Response(render_template("problem.html", title=title, detail=detail), status)
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        **(more or {}),
    }
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


def retry_s(error: Exception) -> int | None:
    """Return in how many seconds to try again what failed; None if that would not help."""
    if isinstance(error, ModelBusy):
        return math.ceil(error.retry_s)
    return RETRY_S if isinstance(error, (IngestionGoesOn, TooManyFollowers, ModelFailed)) else None


def _known(error: Exception) -> Response:
    more = {"ingestion": error.run.id} if isinstance(error, IngestionGoesOn) else {}
    answer = problem(*describe(error), more)
    if isinstance(error, Unauthorised):
        answer.headers["WWW-Authenticate"] = 'Bearer realm="footnote"'
    if (seconds := retry_s(error)) is not None:
        answer.headers["Retry-After"] = str(seconds)
    return answer


def _unexpected(error: Exception) -> Response:
    return problem(*describe(error))


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    if isinstance(error, RequestEntityTooLarge):
        limit = (request.max_content_length or 0) // 1024
        size = f"{limit} KiB" if limit < 10 * 1024 else f"{limit // 1024} MiB"
        detail = f"A request may have {size}."
    elif isinstance(error, SecurityError):
        detail = "The service is not known by this host name. Name it in FOOTNOTE_HOSTS."
    else:
        detail = error.description or ""
    answer = problem(status, HTTPStatus(status).phrase, detail)
    for name, value in error.get_headers():
        if name.lower() in ("allow", "retry-after"):
            answer.headers[name] = value
    return answer
