"""Everything a library holds, in a form that two of them can be compared by."""

import hashlib
from dataclasses import astuple, replace
from typing import Any

import numpy as np

from retrieval.library import Library
from retrieval.segments import Segment
from retrieval.snapshot import Snapshot
from retrieval.types import Document, FileRecord, Vectors

QUESTIONS = ("how much is the dog fee", "who repairs the lift", "apples")

Contents = dict[str, Any]


def contents(library: Library) -> Contents:
    """Return what readers of each generation get, and what the ledger says.

    Times are left out, and row ids, which say nothing by themselves.
    """
    numbers = [g.number for g in library.generations(-1)]
    vectors = _vectors(library)
    return {
        "generations": {n: _generation(library, n, vectors) for n in numbers},
        "ledger": {record.source: _entry(record) for record in library.ledger.files()},
        "labels": {source: astuple(labels) for source, labels in library.labels().items()},
    }


def faults(library: Library) -> list[str]:
    """Return what is damaged: all that is stored, published or not."""
    return [f"{d.part} {d.name}: {d.problem}" for d in library.doctor().examine()]


def leftovers(library: Library) -> list[str]:
    """Return what is there and of no use: staged documents, and files nothing refers to."""
    store = library._store
    found = [f"document {name}" for name in store.leftovers()]
    wanted = {record.name for record in store.all_segments()}
    wanted |= store.contents().keys() | {record.sha256 for record in library.ledger.files()}
    wanted |= {f"library.sqlite3{end}" for end in ("", "-wal", "-shm")} | {"write.lock"}
    files = [path for path in library.home.rglob("*") if path.is_file()]
    return found + [str(p.relative_to(library.home)) for p in files if p.name not in wanted]


def _generation(library: Library, number: int, vectors: dict[int, bytes]) -> Contents:
    store = library._store
    snapshot = Snapshot(library._segments, store, library._embedder, number)
    row = next(g for g in store.generations(-1) if g.number == number)
    documents = [d for d in store.documents(number) if store.has_text(d.id)]
    return {
        "cause": (row.cause, row.restores),
        "count": row.documents,
        "documents": {d.source: _document(library, d, vectors) for d in documents},
        "hits": {question: _hits(snapshot, question) for question in QUESTIONS},
    }


def _document(library: Library, document: Document, vectors: dict[int, bytes]) -> Contents:
    store = library._store
    revision = store.revision(document.id)
    ids = sorted(store.passage_ids([document.id]).tolist())
    return {
        "row": astuple(replace(document, added_at="", date="")),
        "text": revision.text,
        "passages": [astuple(passage) for passage in revision.passages],
        "vectors": [vectors[number] for number in ids],
        "reading": astuple(revision.reading)[1:],
    }


def _hits(snapshot: Snapshot, question: str) -> set[tuple[str, int, str]]:
    """Return what is found; the order hangs on documents that are staged, too."""
    return {
        (hit.document.id, hit.passage.start, f"{hit.similarity:.6f}")
        for hit in snapshot.search(question, limit=50)
    }


def _vectors(library: Library) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for record in library._store.all_segments():
        segment = Segment(library._segments, record)
        for position, number in enumerate(segment.rows.ids.tolist()):
            sentences = segment.sentences(position)
            assert sentences is not None
            found[number] = _hash(segment.rows.vectors[position]) + _hash(sentences.round(4))
    return found


def _hash(vector: Vectors) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(vector).tobytes(), digest_size=8).digest()


def _entry(record: FileRecord) -> tuple[str, ...]:
    return (
        record.path,
        record.state,
        record.reason,
        record.sha256,
        record.reader,
        str(record.document_id),
    )
