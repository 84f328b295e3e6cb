"""What the library holds and what a search returns."""

import hashlib
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.labels import Relabel, folded

Vectors: TypeAlias = NDArray[np.float32]
"""Unit-length rows: float32, shape (texts, dimensions)."""

UPLOAD = "upload:"
"""What the source of a document begins with that was sent to us and is in no folder."""

Span: TypeAlias = tuple[int, int]
"""A half-open range of characters in a document's extracted text."""


def now() -> str:
    """Return the time as the library notes it: UTC, to the second, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


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

    @property
    def quotable(self) -> list[str]:
        """The sentences that can be quoted, in order."""
        return [self.text[a - self.start : b - self.start] for a, b in self.sentences]


class Dated(StrEnum):
    """What says which day a document is of."""

    DOCUMENT = "document"  # the document itself
    FILE = "file"  # when its file was last changed
    ADDED = "added"  # when it was read, for want of anything better


@dataclass(frozen=True, slots=True)
class Document:
    """One revision of a document: its id changes when its content does.

    `path` is what readers are shown; `source` is the absolute file it was read from.
    `page_starts` holds the character each page begins at, empty for formats without pages.
    `date` is a day in ISO 8601. `keywords` are the tags that the file states; `tags` are those
    that count, after what an operator added and took away, and `group` is the operator's too:
    these belong to the source, and are not stored with the revision.
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
    date: str = ""
    dated: Dated = Dated.ADDED
    keywords: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    group: str = ""

    @property
    def stated_date(self) -> str | None:
        """The day that it says itself to be of, in ISO 8601; None if it does not."""
        return self.date if self.dated is Dated.DOCUMENT else None

    def is_newer_than(self, other: "Document") -> bool:
        """Whether both say which day they are of, and this is of a later one, not to come."""
        today = datetime.now().date().isoformat()
        return (
            bool(other.stated_date) and str(other.stated_date) < (self.stated_date or "") <= today
        )

    def page_at(self, offset: int) -> int | None:
        """Return the page, from 1, that a character of the text stands on."""
        if not self.page_starts:
            return None
        return int(np.searchsorted(self.page_starts, offset, side="right"))


class Standing(StrEnum):
    """What answers make of a revision of a document."""

    CURRENT = "current"  # they come from it
    SUPERSEDED = "superseded"  # they come from a newer revision of the same file
    WITHDRAWN = "withdrawn"  # they come from none of its revisions
    ERASED = "erased"  # and its text is no longer stored


@dataclass(frozen=True, slots=True)
class PageNote:
    """What became of one page: its state, its printed number, and what was found on it."""

    state: str
    label: str
    tables: int
    characters: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading a file came to: the ledger of one revision.

    `unread` says what the file holds that is not in the text. `uncovered` counts the
    characters of the text, white space apart, that stand in no passage: 0 is the proof that
    nothing was lost on the way.
    """

    seconds: float = 0.0
    tables: int = 0
    pages: tuple[PageNote, ...] = ()
    warnings: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    uncovered: int = 0


@dataclass(frozen=True, slots=True)
class Revision:
    """A document on its way into the library, with its text and passages."""

    document: Document
    text: str
    passages: Sequence[Passage]
    reading: Reading = Reading()

    @property
    def keys(self) -> list[bytes]:
        """One key a passage: equal keys have equal vectors."""
        return [passage_key(self.document.title, p.heading, p.text) for p in self.passages]


class FileState(StrEnum):
    """What became of a file the last time it was met."""

    READ = "read"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"  # by an operator: not read again until restored
    GONE = "gone"  # no longer where it was
    WAITING = "waiting"  # uploaded, and not yet read


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file in the ledger.

    `stamp` is the size and times it had on disk, empty when they prove nothing. `document_id`
    is None for a file that failed, and for one that only holds others.
    """

    source: str
    path: str
    state: FileState
    reason: str = ""
    sha256: str = ""
    reader: str = ""
    stamp: str = ""
    document_id: str | None = None
    run: str = ""
    met_at: str = ""


class RunState(StrEnum):
    """How an ingest stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the ingest job: what it was to read, how far it is, how it ended."""

    id: str
    started_at: str
    state: RunState
    paths: tuple[str, ...] = ()
    progress: Mapping[str, Any] = field(default_factory=dict)
    ended_at: str | None = None
    generation: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """What the database says of one segment file: it holds passages `first` to `last`."""

    name: str
    sha256: str
    passages: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Source:
    """A file that answers come from, and the revision they come from, in short.

    `has_images` tells whether some of its pages are images that were not read.
    """

    source: str
    document_id: str
    path: str
    title: str
    sha256: str
    media_type: str
    reader: str
    partly_read: bool
    has_images: bool


@dataclass(frozen=True, slots=True)
class Generation:
    """What one publication made: when, why, and of what it is made."""

    number: int
    published_at: str
    cause: str
    restores: int | None
    documents: int


@dataclass(frozen=True, slots=True)
class Change:
    """What a publication changes: documents to answer from, by id, and no longer to.

    A live revision of the same source as one that is added is withdrawn by itself. `moved`
    holds (document id, new source, new path). `forgotten` are sources whose ledger entries go
    first, so that nothing they say stands in the way. `inherited` holds (old source, new source)
    where a file takes over the labels of another, and `relabelled` changes those of a source.
    With `anew` the same documents are published again, since what is stored of one was replaced.
    """

    added: Sequence[str] = ()
    withdrawn: Sequence[str] = ()
    moved: Sequence[tuple[str, str, str]] = ()
    files: Sequence[FileRecord] = ()
    forgotten: Sequence[str] = ()
    inherited: Sequence[tuple[str, str]] = ()
    relabelled: Sequence[tuple[str, Relabel]] = ()
    cause: str = "ingest"
    restores: int | None = None
    anew: bool = False

    def __bool__(self) -> bool:
        """Whether answers change at all."""
        changed = self.added or self.withdrawn or self.moved or self.relabelled or self.anew
        return bool(changed) or self.restores is not None


@dataclass(frozen=True, slots=True)
class Filters:
    """Which documents a search may look in: where all that is given holds.

    An empty filter lets all through. `folder` matches a leading part of the shown path, whole
    names only. `date_from` and `date_to` are days in ISO 8601, both included. Of several
    documents, types, tags or groups any one will do; capital letters in labels do not matter.
    `except_ids` leaves documents out.
    """

    document_ids: tuple[str, ...] = ()
    folder: str | None = None
    media_types: tuple[str, ...] = ()
    date_from: str | None = None
    date_to: str | None = None
    tags: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    except_ids: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is filtered at all."""
        return self != Filters()

    def allow(self, document: Document) -> bool:
        """Whether a search may look in this document."""
        return (
            (not self.document_ids or document.id in self.document_ids)
            and document.id not in self.except_ids
            and (not self.media_types or document.media_type in self.media_types)
            and (self.date_from is None or document.date >= self.date_from)
            and (self.date_to is None or "" < document.date <= self.date_to)
            and (not self.groups or _meet(self.groups, (document.group,)))
            and (not self.tags or _meet(self.tags, document.tags))
            and (self.folder is None or _within(document, self.folder))
        )


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a search found.

    `score` is comparable within one search only. `similarity` is the cosine between the question
    and the passage, `sentences` are those of each of its sentences. `also_in` are the other
    documents that say nearly the same. `first` and `last` number its place in the library: what
    follows it in its document begins one higher.
    """

    passage: Passage
    document: Document
    score: float
    similarity: float
    sentences: tuple[float, ...] = ()
    also_in: tuple[Document, ...] = ()
    first: int = 0
    last: int = 0

    @property
    def place(self) -> str:
        """The document's title and the headings the passage stands under."""
        return " › ".join((self.document.title, *self.passage.heading))


def _within(document: Document, folder: str) -> bool:
    """Whether a document is in a folder, named as its path is shown or as it is on disk."""
    wanted = posixpath.normpath(folder)
    if wanted in (".", "/", "//"):
        return True
    shown = f"{document.path}/".startswith(f"{wanted.removeprefix('/')}/")
    return shown or (wanted.startswith("/") and f"{document.source}/".startswith(f"{wanted}/"))


def _meet(wanted: Sequence[str], given: Sequence[str]) -> bool:
    return not {*map(folded, wanted)}.isdisjoint(map(folded, given))


def indexed_text(title: str, heading: Sequence[str], text: str) -> str:
    """Return what is embedded for a passage: where it stands, then what it says.

    The place is cut to its last and most telling 200 characters, so that a deep heading
    path cannot crowd the passage out of the embedder's window.
    """
    names = dict.fromkeys(re.sub(r"\s+", " ", part).strip() for part in (title, *heading))
    place = " › ".join(names)
    return f"{place[-200:]}\n{text}"


def passage_key(title: str, heading: Sequence[str], text: str) -> bytes:
    """Return the hash of what is embedded for a passage: equal keys have equal vectors."""
    return hashlib.blake2b(
        indexed_text(title, heading, text).encode("utf-8"), digest_size=16
    ).digest()


def quoted_texts(title: str, passage: Passage) -> list[str]:
    """Return what is embedded for each sentence of a passage."""
    return [quoted_text(title, sentence) for sentence in passage.quotable]


def quoted_text(title: str, sentence: str) -> str:
    """Return what is embedded for a sentence: whose it is, then what it says."""
    return f"{title}: {sentence}"
