"""What the library holds and what a search returns."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]
"""Unit-length rows: float32, shape (texts, dimensions)."""

Span: TypeAlias = tuple[int, int]
"""A half-open range of characters in a document's extracted text."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document that can be found and cited.

    `start` and `stop` count characters of the document's extracted text, half-open like a
    slice. `page` is the page `start` falls on, counting from 1. `heading` is the path of
    headings above it, outermost first. `sentences` are the ranges, in the same characters,
    that can be quoted; headings are not among them.
    """

    document_id: str
    page: int | None
    heading: tuple[str, ...]
    start: int
    stop: int
    text: str
    sentences: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """One revision of a document: its id changes when its content does.

    `path` is what readers are shown; `source` is the absolute file it was read from.
    `page_starts` holds the character each page begins at, empty for formats without pages.
    """

    id: str
    source: str
    path: str
    title: str
    sha256: str
    media_type: str
    size_bytes: int
    characters: int
    page_starts: tuple[int, ...]
    reader: str
    added_at: str

    def page_at(self, offset: int) -> int | None:
        """Return the page, from 1, that a character of the text stands on."""
        if not self.page_starts:
            return None
        return int(np.searchsorted(self.page_starts, offset, side="right"))


@dataclass(frozen=True, slots=True)
class Revision:
    """A document on its way into the library, with its text and passages."""

    document: Document
    text: str
    passages: Sequence[Passage]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which documents a search may look in; an empty filter lets all through.

    `folder` matches a leading part of the shown path, whole names only.
    """

    document_ids: tuple[str, ...] = ()
    folder: str | None = None
    media_types: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is filtered at all."""
        return bool(self.document_ids or self.folder or self.media_types)

    def allow(self, document: Document) -> bool:
        """Whether a search may look in this document."""
        return (
            (not self.document_ids or document.id in self.document_ids)
            and (not self.media_types or document.media_type in self.media_types)
            and (self.folder is None or _within(document.path, self.folder))
        )


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a search found.

    `score` is the fused rank score, comparable within one search only. `similarity` is the
    cosine between the question and the passage.
    """

    passage: Passage
    document: Document
    score: float
    similarity: float


def _within(path: str, folder: str) -> bool:
    return PurePosixPath(path).is_relative_to(PurePosixPath(folder))


def indexed_text(title: str, heading: Sequence[str], text: str) -> str:
    """Return what is embedded for a passage: where it stands, then what it says.

    The place is cut to its last and most telling 200 characters, so that a deep heading
    path cannot crowd the passage out of the embedder's window.
    """
    names = dict.fromkeys(re.sub(r"\s+", " ", part).strip() for part in (title, *heading))
    place = " › ".join(names)
    return f"{place[-200:]}\n{text}"
