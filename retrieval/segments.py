"""Immutable FAISS files, and searching several as one.

A segment is written once and never changed. FAISS itself checks nothing when it loads (a
flipped byte goes unseen), so the SHA-256 in the database is compared first.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieval.errors import LibraryUnreadable
from retrieval.files import write_durably
from retrieval.types import SegmentRecord, Vectors

Ids = NDArray[np.int64]

REPAIR = "`footnote doctor --repair` makes it again from the text."
FEW_SEGMENTS = 8
LARGEST_SEGMENT = 1_000_000
"""Passages: a merge holds so many vectors in memory, 1.5 GB with 384 dimensions."""


def write_segment(folder: Path, ids: Ids, vectors: Vectors) -> SegmentRecord:
    """Write vectors under their passages' row ids to a new file, on disk when this returns.

    The ids go up.
    """
    index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
    index.add_with_ids(vectors, ids)
    data = faiss.serialize_index(index).tobytes()
    digest = hashlib.sha256(data).hexdigest()
    name = f"{ids[0]:010d}-{digest[:16]}.faiss"
    write_durably(folder / name, data)
    return SegmentRecord(name, digest, len(ids), int(ids[0]), int(ids[-1]))


class Segment:
    """The vectors of one file, by the row ids of their passages."""

    def __init__(self, folder: Path, record: SegmentRecord) -> None:
        self.index: Any = _load(folder, record)  # faiss adds most of it in Python
        self.ids: Ids = faiss.vector_to_array(self.index.id_map)

    def rows(self, ids: Ids) -> tuple[Ids, Vectors]:
        """Return which of these ids it holds, in order, and their vectors."""
        kept = np.flatnonzero(np.isin(self.ids, ids))
        flat: Any = faiss.downcast_index(self.index.index)
        stored = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d)
        vectors = stored.reshape(flat.ntotal, flat.d)[kept]
        return self.ids[kept], np.ascontiguousarray(vectors, np.float32)


class Segments:
    """The vectors of one generation."""

    def __init__(self, folder: Path, records: Sequence[SegmentRecord]) -> None:
        self._segments = [Segment(folder, record) for record in records]
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
        for segment in self._segments:
            scores, ids = segment.index.search(query, limit, params=parameters)
            found += [(int(i), float(s)) for i, s in zip(ids[0], scores[0], strict=True) if i >= 0]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:limit]


def to_merge(records: Sequence[SegmentRecord]) -> Sequence[SegmentRecord]:
    """Return the newest segments that are better off as one; none while there are few.

    Going back from the newest, a segment joins while it is smaller than four times what has
    joined, so that each vector is rewritten only a logarithmic number of times (the rule of
    log-structured merge trees, O'Neil et al. 1996).
    """
    if len(records) <= FEW_SEGMENTS:
        return ()
    total, first = 0, len(records)
    for number in range(len(records) - 1, -1, -1):
        size = records[number].passages
        if (total and size > 4 * total) or total + size > LARGEST_SEGMENT:
            break
        total, first = total + size, number
    return records[first:] if len(records) - first > 1 else ()


def merged(folder: Path, records: Sequence[SegmentRecord], kept: Ids) -> SegmentRecord | None:
    """Write the vectors of several segments as one file; only those of the ids in `kept`.

    None if nothing is left of them. The old files stay.
    """
    parts = [Segment(folder, record).rows(kept) for record in records]
    ids = np.concatenate([ids for ids, _ in parts])
    if not len(ids):
        return None
    return write_segment(folder, ids, np.concatenate([vectors for _, vectors in parts]))


def _load(folder: Path, record: SegmentRecord) -> Any:
    try:
        data = (folder / record.name).read_bytes()
    except OSError as problem:
        raise LibraryUnreadable(
            f"The segment {record.name} cannot be read ({problem.strerror}). {REPAIR}"
        ) from problem
    if hashlib.sha256(data).hexdigest() != record.sha256:
        raise LibraryUnreadable(
            f"The segment {record.name} is damaged: its SHA-256 is not the one it was published"
            f" with. {REPAIR}"
        )
    return faiss.deserialize_index(np.frombuffer(data, dtype=np.uint8))
