"""Does what a receipt says still hold?"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from answer.receipts.record import Receipt
from answer.receipts.store import Stored
from answer.types import Citation
from retrieval import Library, RetrievalError, Standing

TEXTS = 16
"""Texts of documents that are held while receipts are checked."""


class State(StrEnum):
    """How a receipt stands."""

    AS_IT_WAS = "as_it_was"  # its words stand in documents that answers come from
    CHANGED = "changed"  # they stood there; the source has changed, was withdrawn or erased
    BROKEN = "broken"  # it is not what was written, or not what the document says


@dataclass(frozen=True, slots=True)
class Check:
    """What became of one receipt; `notes` say what is not as it was."""

    id: str
    answered_at: str
    state: State
    notes: tuple[str, ...] = ()


class Checker:
    """Compares receipts with what the library holds now."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._text = lru_cache(TEXTS)(library.text)

    def check(self, stored: Stored) -> Check:
        """Return what became of a receipt."""
        found = list(self._notes(stored))
        states = [state for state, _ in found]
        state = next((s for s in (State.BROKEN, State.CHANGED) if s in states), State.AS_IT_WAS)
        notes = dict.fromkeys(note for _, note in found)
        return Check(stored.id, stored.answered_at, state, tuple(notes))

    def _notes(self, stored: Stored) -> Iterator[tuple[State, str]]:
        if not stored.intact:
            yield State.BROKEN, "the receipt is not what was written"
        try:
            receipt = Receipt.read(stored.content)
        except ValueError:
            yield State.BROKEN, "the receipt cannot be read"
            return
        if (receipt.answer.id, receipt.answered_at) != (stored.id, stored.answered_at):
            yield State.BROKEN, "the receipt is of another answer, or of another time"
        yield from self._sources(receipt)

    def _sources(self, receipt: Receipt) -> Iterator[tuple[State, str]]:
        answer = receipt.answer
        cited = (*answer.citations, *answer.nearest)
        if set(receipt.erased) - {citation.document_id for citation in cited}:
            yield State.CHANGED, "a document the model had read was erased, and what was withheld"
        for citation in cited:
            for state, note in self._source(citation, citation.document_id in receipt.erased):
                yield state, f"{citation.path}: {note}"

    def _source(self, citation: Citation, erased: bool) -> Iterator[tuple[State, str]]:
        """Say what is not as it was with a citation."""
        if erased:
            yield State.CHANGED, "the document was erased, and its words are not kept here either"
            return
        document = self._library.stored(citation.document_id)
        if document is None:
            yield State.BROKEN, "the library does not know this revision of the source"
            return
        if document.sha256 != citation.sha256:
            yield State.BROKEN, "the document has another SHA-256"
        match self._library.standing(document.id):
            case Standing.ERASED:
                note = (
                    "the document was erased, and its words stand here: `footnote receipts prune`"
                )
                yield State.BROKEN, note
                return
            case Standing.SUPERSEDED:
                newer = self._library.current(document.source)
                named = f", {newer.id}" if newer else ""
                yield State.CHANGED, f"the source has a newer revision{named}"
            case Standing.WITHDRAWN:
                yield State.CHANGED, "the source was withdrawn"
        span = slice(citation.start, citation.stop)
        try:
            said = self._text(document.id)[span]
        except RetrievalError as problem:
            yield State.BROKEN, f"the document's text cannot be read: {problem}"
            return
        if said != citation.quote:
            place = f"{citation.start}-{citation.stop}"
            yield State.BROKEN, f"the quote is not what the document says at {place}"
