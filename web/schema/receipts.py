"""Receipts of answers, and what became of the words they rest on."""

from dataclasses import asdict
from typing import Any, Self

from pydantic import (
    BaseModel,
    Field,
)

from answer.receipts import Check, Receipt, State
from web.schema.asking import AnswerReply


class CheckReply(BaseModel):
    """What became of a receipt.

    `as_it_was`: its quotes stand word for word in documents that answers come from. `changed`:
    they did; the source has a newer revision, was withdrawn or erased since. `broken`: the receipt
    is not what was written, or a quote not what the document says. `notes` say which and why.
    """

    id: str
    answered_at: str
    state: State
    notes: list[str]

    @classmethod
    def of(cls, check: Check) -> Self:
        """Return what became of a receipt in its public shape."""
        return cls(
            id=check.id, answered_at=check.answered_at, state=check.state, notes=list(check.notes)
        )


class MethodReply(BaseModel):
    """What decided an answer beside the documents and the model.

    `prompt` is a hash of what is the same in every prompt, `calibrated` whether the decision to
    answer was fitted to the library. The model saw `sentences` pieces of evidence at most.
    """

    prompt: str
    threshold: float
    passages: int
    judge: str
    calibrated: bool
    embedder: str
    sentences: int
    max_tokens: int
    footnote: str = Field(description="The version of Footnote.")


class ReceiptReply(CheckReply):
    """What is known of an answer beside what the reader got, and what became of it.

    `sha256` is that of the stored receipt. `erased` are the documents whose words were taken out.
    """

    sha256: str
    method: MethodReply
    filters: dict[str, Any]
    erased: list[str]


class StoredAnswerReply(AnswerReply):
    """An answer as it was given; `question` is empty where questions are not kept."""

    receipt: ReceiptReply

    @classmethod
    def whole(cls, receipt: Receipt, sha256: str, check: Check) -> Self:
        """Return a receipt in its public shape."""
        filters = {n: v for n, v in asdict(receipt.filters).items() if v}
        more = ReceiptReply(
            **CheckReply.of(check).model_dump(),
            sha256=sha256,
            method=MethodReply(**asdict(receipt.method)),
            filters=filters,
            erased=list(receipt.erased),
        )
        return cls(**AnswerReply.of(receipt.answer).model_dump(), receipt=more)
