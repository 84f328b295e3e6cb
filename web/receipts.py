"""Receipts over HTTP: an answer again by its id, and whether it still holds."""

from uuid import UUID

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from answer.errors import ReceiptsUnavailable
from answer.receipts import Receipt
from web.api import services
from web.problems import InvalidRequest
from web.schema.receipts import StoredAnswerReply

bp = Blueprint("receipts", __name__)


@bp.get("/v1/answers/<answer_id>")
def receipt(answer_id: str) -> ResponseReturnValue:
    """Return an answer as it was given, how it was made, and what became of its sources."""
    receipts = services().receipts
    stored = receipts.find(id_of(answer_id))
    try:
        found = Receipt.read(stored.content)
    except ValueError as problem:
        raise ReceiptsUnavailable(
            f"The receipt of answer {stored.id} is damaged and cannot be read."
        ) from problem
    reply = StoredAnswerReply.whole(found, stored.sha256, receipts.verify(stored))
    return jsonify(reply.model_dump()), {"Cache-Control": "no-store"}


def id_of(text: str) -> str:
    """Return the id of an answer as it is stored; InvalidRequest if the text is none."""
    try:
        return str(UUID(text))
    except ValueError as problem:
        raise InvalidRequest(
            f"“{text}” is no id of an answer: those look like 3f2b8c1e-5d7a-4e0b-9c41-7a6d2f0e8b35."
        ) from problem
