"""How documents, passages and ledger entries stand in the database, and their digests."""

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, astuple
from typing import TypeVar

from retrieval.errors import LibraryUnreadable
from retrieval.labels import Labels
from retrieval.store.connection import RESTORE
from retrieval.types import (
    Dated,
    Document,
    FileRecord,
    FileState,
    PageNote,
    Passage,
    Reading,
    Revision,
    SegmentRecord,
)

COLUMNS = (
    "id, source, path, title, sha256, media_type, size_bytes, characters, page_starts, reader,"
    " added_at, date, dated, keywords"
)
LABELS = 'tags, untagged, "group"'
DOCUMENT = f"{COLUMNS}, {LABELS}"
"""What is selected where a document is joined with the labels of its file."""
PASSAGE = "passage.id, document_id, page, heading, start, stop, passage.text, sentences, key"
READING = "seconds, tables, pages, warnings, unread, uncovered"
FILE = "source, path, state, reason, sha256, reader, stamp, document_id, run, met_at"

Row = tuple[object, ...]
Thing = TypeVar("Thing")


def stored(convert: Callable[[Sequence[object]], Thing]) -> Callable[[Sequence[object]], Thing]:
    """Let a row that makes no sense be told of as what it is: damage."""

    @functools.wraps(convert)
    def converted(row: Sequence[object]) -> Thing:
        try:
            return convert(row)
        except (ValueError, TypeError) as problem:
            raise LibraryUnreadable(
                f"A row of the library's database is damaged: {problem}. {RESTORE}"
            ) from problem

    return converted


def document_row(document: Document) -> Row:
    """Return a document as it is stored: its labels are not, they are its file's."""
    fields = {
        **asdict(document),
        "page_starts": json.dumps(document.page_starts),
        "keywords": json.dumps(document.keywords, ensure_ascii=False),
    }
    return tuple(fields[name] for name in COLUMNS.split(", "))


@stored
def document_of(row: Sequence[object]) -> Document:
    """Return the document that was stored, with the labels of its file."""
    fields = dict(zip(COLUMNS.split(", "), row, strict=False))
    labels = Labels() if row[-1] is None else labels_of(row[-3:])
    keywords = tuple(json.loads(str(fields["keywords"])))
    fields |= {
        "page_starts": tuple(json.loads(str(fields["page_starts"]))),
        "dated": Dated(str(fields["dated"])),
        "keywords": keywords,
        "tags": labels.tags_with(keywords),
        "group": labels.group,
    }
    return Document(**fields)  # type: ignore[arg-type]  # the columns are called as the fields


def label_row(source: str, labels: Labels) -> Row:
    """Return the labels of a file as they are stored, sealed."""
    lists = (json.dumps(names, ensure_ascii=False) for names in (labels.tags, labels.untagged))
    fields = (source, *lists, labels.group)
    return (*fields, seal(fields))


@stored
def labels_of(row: Sequence[object]) -> Labels:
    """Return the labels that were stored."""
    tags, untagged, group = row
    return Labels(tuple(json.loads(str(tags))), tuple(json.loads(str(untagged))), str(group))


def passage_row(number: int, passage: Passage, key: bytes) -> Row:
    """Return a passage as it is stored under its row id."""
    return (
        number,
        passage.document_id,
        passage.page,
        json.dumps(passage.heading, ensure_ascii=False),
        passage.start,
        passage.stop,
        passage.text,
        json.dumps(passage.sentences, separators=(",", ":")),
        key,
    )


@stored
def passage_of(row: Sequence[object]) -> Passage:
    """Return the passage that was stored."""
    _, document_id, page, heading, start, stop, text, sentences, _ = row
    return Passage(
        document_id=str(document_id),
        page=None if page is None else int(str(page)),
        heading=tuple(json.loads(str(heading))),
        start=int(str(start)),
        stop=int(str(stop)),
        text=str(text),
        sentences=tuple((int(a), int(b)) for a, b in json.loads(str(sentences))),
    )


def reading_row(reading: Reading) -> Row:
    """Return a reading as it is stored."""
    pages = json.dumps([astuple(page) for page in reading.pages], ensure_ascii=False)
    return (
        reading.seconds,
        reading.tables,
        pages,
        json.dumps(reading.warnings, ensure_ascii=False),
        json.dumps(reading.unread, ensure_ascii=False),
        reading.uncovered,
    )


@stored
def reading_of(row: Sequence[object]) -> Reading:
    """Return the reading that was stored."""
    seconds, tables, pages, warnings, unread, uncovered = row
    return Reading(
        seconds=float(str(seconds)),
        tables=int(str(tables)),
        pages=tuple(PageNote(*page) for page in json.loads(str(pages))),
        warnings=tuple(json.loads(str(warnings))),
        unread=tuple(json.loads(str(unread))),
        uncovered=int(str(uncovered)),
    )


def file_row(record: FileRecord) -> Row:
    """Return a ledger entry as it is stored, sealed."""
    fields = tuple(getattr(record, name.strip()) for name in FILE.split(","))
    return (*fields, seal(fields))


@stored
def file_of(row: Sequence[object]) -> FileRecord:
    """Return the ledger entry that was stored."""
    source, path, state, *rest = row
    return FileRecord(str(source), str(path), FileState(str(state)), *rest)  # type: ignore[arg-type]  # named in this order


@stored
def segment_of(row: Sequence[object]) -> SegmentRecord:
    """Return what was stored of a segment."""
    name, sha256, passages, first, last = row
    return SegmentRecord(
        str(name), str(sha256), int(str(passages)), int(str(first)), int(str(last))
    )


def digest(revision: Revision) -> bytes:
    """Return the digest of all that is stored of a document.

    Its content comes first; then what it states of itself, which older libraries lacked; then,
    by itself since it changes when the file is moved, its place.
    """
    document = revision.document
    content, row = hashlib.blake2b(digest_size=32), document_row(document)
    _feed(content, (*row[3:11], document.id, revision.text))
    for passage, key in zip(revision.passages, revision.keys, strict=True):
        _feed(content, passage_row(0, passage, key))
    _feed(content, reading_row(revision.reading))
    return content.digest() + seal(row[11:]) + place_digest(document.source, document.path)


def place_digest(source: str, path: str) -> bytes:
    """Return the last part of a document's digest: of where its file is."""
    return seal((source, path))


def seal(fields: Iterable[object]) -> bytes:
    """Return the hash of a row."""
    sealed = hashlib.blake2b(digest_size=16)
    _feed(sealed, fields)
    return sealed.digest()


def _feed(digest: "hashlib.blake2b", fields: Iterable[object]) -> None:
    for field in fields:
        # Text and bytes are told apart: one flipped bit can make SQLite take one for the other.
        kind = b"b" if isinstance(field, bytes) else b"t"
        data = field if isinstance(field, bytes) else str(field).encode("utf-8")
        digest.update(b"%d%c" % (len(data), kind) + data)
