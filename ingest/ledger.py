"""What became of each file: the report of a run, and the proof that nothing was lost."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from textwrap import shorten

from ingest.types import Extract
from retrieval import Passage, Reading
from retrieval.instructions import orders_in, orders_of
from retrieval.types import PageNote

NOTHING_READ = Reading()
LONGEST_SHOWN = 80
"""Characters of a sentence that a warning shows."""


class Outcome(StrEnum):
    """What became of one file."""

    ADDED = "added"
    CHANGED = "changed"
    MOVED = "moved"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    GONE = "gone"  # no longer where it was
    WITHDRAWN = "withdrawn"  # by an operator, so not looked at


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file, and why.

    `unread` says what the file holds that was not read. `characters` and `uncovered` count
    those of its text, and those that stand in no passage.
    """

    path: str
    outcome: Outcome
    reason: str = ""
    document_id: str | None = None
    reader: str = ""
    reading: Reading = NOTHING_READ
    characters: int = 0
    passages: int = 0

    @property
    def whole(self) -> bool:
        """Whether everything in it was read."""
        return self.outcome is not Outcome.FAILED and not self.reading.unread


@dataclass(slots=True)
class Report:
    """What an ingest did, file by file."""

    files: list[FileReport] = field(default_factory=list)
    generation: int = 0
    seconds: float = 0.0
    dry: bool = False

    def count(self, outcome: Outcome) -> int:
        """Return how many files ended so."""
        return sum(file.outcome is outcome for file in self.files)

    @property
    def partly_read(self) -> int:
        """How many files were read, but not wholly."""
        return sum(not f.whole and f.outcome is not Outcome.FAILED for f in self.files)

    @property
    def complete(self) -> bool:
        """Whether everything was read."""
        return all(file.whole for file in self.files)


def reading_of(extract: Extract, passages: Sequence[Passage], seconds: float) -> Reading:
    """Return what reading a file came to, with the proof that its passages cover its text."""
    lost = uncovered(extract.text, passages)
    missing = (f"{lost} characters of its text are in no passage: please report this.",)
    return Reading(
        seconds=round(seconds, 3),
        tables=extract.tables,
        pages=tuple(_pages(extract)),
        warnings=(*orders_warning(extract, passages), *extract.warnings),
        unread=extract.unread + (missing if lost else ()),
        uncovered=lost,
    )


def orders_warning(extract: Extract, passages: Sequence[Passage]) -> tuple[str, ...]:
    """Return what to say about sentences and headings that give orders to an AI assistant."""
    names = dict.fromkeys([extract.title, *(b.title for b in extract.blocks if b.title)])
    found: list[tuple[int | None, str]] = [
        (None, order) for name in names for order in orders_in(name)
    ]
    for passage in passages:
        orders = zip(passage.quotable, orders_of(passage), strict=True)
        found += [(passage.page, sentence) for sentence, is_order in orders if is_order]
    if not found:
        return ()
    page, first = found[0]
    where = f" on page {page}" if page else ""
    shown = shorten(first, LONGEST_SHOWN, placeholder="…")
    count = "1 sentence" if len(found) == 1 else f"{len(found)} sentences"
    said = "gives" if len(found) == 1 else "give"
    return (
        f"{count} in it {said} orders to an AI assistant{where}: “{shown}”"
        " No answer is made of that.",
    )


def uncovered(text: str, passages: Sequence[Passage]) -> int:
    """Return how many characters, white space apart, stand in no passage."""
    lost, at = 0, 0
    for passage in sorted(passages, key=lambda passage: passage.start):
        lost += _solid(text[at : passage.start])
        at = max(at, passage.stop)
        if passage.text != text[passage.start : passage.stop]:
            lost += _solid(text[passage.start : passage.stop])
    return lost + _solid(text[at:])


def _solid(text: str) -> int:
    return len(re.sub(r"\s+", "", text))


def _pages(extract: Extract) -> list[PageNote]:
    edges = [*extract.page_starts[1:], len(extract.text)][: len(extract.pages)]
    return [
        PageNote(page.state, page.label, page.tables, len(extract.text[start:stop].strip()))
        for page, start, stop in zip(extract.pages, extract.page_starts, edges, strict=True)
    ]
