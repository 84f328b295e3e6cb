"""What a receipt says, and what of it goes when a document is erased."""

import hashlib
from collections.abc import Collection
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from answer.types import Answer, Citation, Sentence, text_of
from retrieval import Filters

if TYPE_CHECKING:
    from pydantic import TypeAdapter

OF_AN_ANSWER = frozenset(
    """id question status generation timings probability reason model usage unanswered read
    text sentences citations nearest""".split()
)
"""What stays of an answer that a document was erased from; of the last four, what is not its."""
OF_A_CITATION = frozenset("number document_id path sha256 page start stop warning".split())
"""What stays of a citation of an erased document: where the words stood, and none of them."""


@cache
def _release() -> str:
    # Looked up once: it is read from files, and every answer names it.
    return version("footnote")


@dataclass(frozen=True, slots=True)
class Method:
    """What decided an answer beside the documents and the model.

    `prompt` is a hash of what is the same in every prompt. `judge` and `embedder` name what they
    are with their hash or revision; `calibrated` is whether the decision to answer was fitted to
    the library. The model saw `sentences` pieces of evidence at most, and wrote `max_tokens`.
    """

    prompt: str
    threshold: float
    passages: int
    judge: str
    calibrated: bool
    embedder: str
    sentences: int
    max_tokens: int
    footnote: str = field(default_factory=_release)


@dataclass(frozen=True, slots=True)
class Receipt:
    """An answer as the reader got it, when, how it was made, and where it was looked for.

    `erased` are the documents whose words were taken out of it since.
    """

    answer: Answer
    answered_at: str
    method: Method
    filters: Filters
    erased: tuple[str, ...] = ()

    @classmethod
    def read(cls, content: str) -> "Receipt":
        """Return the receipt that was written; ValueError if it is none."""
        return _adapter().validate_json(content)

    def written(self) -> str:
        """Return it as it is stored: JSON."""
        return _adapter().dump_json(self).decode()

    @property
    def documents(self) -> set[str]:
        """The documents whose words it may hold: what was withheld may be of any that was read."""
        quoted = (*self.answer.citations, *self.answer.nearest)
        return {*(c.document_id for c in quoted), *self.answer.read} - set(self.erased)

    def without_question(self) -> "Receipt":
        """Leave out what the reader asked, and what repeats it."""
        return replace(
            self,
            answer=replace(self.answer, question="", searched_for=None, unanswered=(), hint=None),
        )

    def without(self, document_id: str) -> "Receipt":
        """Take the words of a document out, and what was written from them."""
        answer = self.answer
        gone = {c.number for c in answer.citations if c.document_id == document_id}
        sentences = tuple(_without(sentence, gone) for sentence in answer.sentences)
        left = replace(
            answer,
            **_blank(Answer, OF_AN_ANSWER),
            text=text_of(sentence for sentence in sentences if sentence.text),
            sentences=sentences,
            citations=_citations(answer.citations, document_id),
            nearest=_citations(answer.nearest, document_id),
        )
        return replace(self, answer=left, erased=(*self.erased, document_id))


def sha256(content: str) -> str:
    """Return the hash that a receipt is stored with."""
    return hashlib.sha256(content.encode()).hexdigest()


def _without(sentence: Sentence, gone: Collection[int]) -> Sentence:
    return replace(sentence, text="") if set(gone) & set(sentence.citations) else sentence


def _citations(citations: tuple[Citation, ...], document_id: str) -> tuple[Citation, ...]:
    blank = {**_blank(Citation, OF_A_CITATION), "title": "", "heading": None, "quote": ""}
    return tuple(replace(c, **blank) if c.document_id == document_id else c for c in citations)


def _blank(kind: type[Answer] | type[Citation], kept: Collection[str]) -> dict[str, Any]:
    """Return the fields that do not stay, as they are when there is nothing to say.

    A field that is new to answers is among them until it is said above that it may stay.
    """
    return {
        f.name: f.default if f.default_factory is MISSING else f.default_factory()
        for f in fields(kind)
        if f.name not in kept and (f.default, f.default_factory) != (MISSING, MISSING)
    }


@cache
def _adapter() -> "TypeAdapter[Receipt]":
    # The model's process imports this package, too, and has no use for what this loads.
    from pydantic import TypeAdapter

    return TypeAdapter(Receipt)
