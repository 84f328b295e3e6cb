"""Immutable FAISS files, and searching several as one.

A segment is written once and never changed. FAISS itself checks nothing when it loads (a
flipped byte goes unseen), so the SHA-256 in the database is compared first.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieval.errors import LibraryUnreadable
from retrieval.store import SegmentRecord
from retrieval.types import Vectors

Ids = NDArray[np.int64]


def write_segment(folder: Path, ids: Ids, vectors: Vectors) -> SegmentRecord:
    """Write vectors under their passages' row ids to a new file, on disk when this returns."""
    index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
    index.add_with_ids(vectors, ids)
    data = faiss.serialize_index(index).tobytes()
    digest = hashlib.sha256(data).hexdigest()
    name = f"{ids[0]:010d}-{digest[:16]}.faiss"
    write_durably(folder / name, data)
    return SegmentRecord(name, digest, len(ids))


def write_durably(path: Path, data: bytes) -> None:
    """Put a whole file in place at once, on disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Segments:
    """The vectors of one generation."""

    def __init__(self, folder: Path, records: Sequence[SegmentRecord]) -> None:
        self._indexes = [_load(folder, record) for record in records]
        self.passages = sum(record.passages for record in records)

    def search(self, query: Vectors, limit: int, allowed: Ids | None) -> list[tuple[int, float]]:
        """Return (row id, cosine) of the nearest passages, nearest first.

        `query` has shape (1, dimensions). `allowed` limits the search to those row ids,
        exactly; None does not.
        """
        if allowed is not None and not len(allowed):
            return []
        parameters = None
        if allowed is not None:
            parameters = faiss.SearchParameters(  # type: ignore[call-arg]  # faiss adds this in Python
                sel=faiss.IDSelectorBatch(allowed)
            )
        found: list[tuple[int, float]] = []
        for index in self._indexes:
            scores, ids = index.search(query, limit, params=parameters)
            found += [(int(i), float(s)) for i, s in zip(ids[0], scores[0], strict=True) if i >= 0]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:limit]


def _load(folder: Path, record: SegmentRecord) -> faiss.Index:
    try:
        data = (folder / record.name).read_bytes()
    except OSError as problem:
        raise LibraryUnreadable(
            f"The segment {record.name} cannot be read ({problem.strerror})."
            " Restore it from a backup, or move the library away and ingest again."
        ) from problem
    if hashlib.sha256(data).hexdigest() != record.sha256:
        raise LibraryUnreadable(
            f"The segment {record.name} is damaged: its SHA-256 is not the one it was published"
            " with. Restore it from a backup, or move the library away and ingest again."
        )
    return faiss.deserialize_index(np.frombuffer(data, dtype=np.uint8))
