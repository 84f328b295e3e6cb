"""Immutable files of vectors, and searching several as one.

A segment is written once and never changed. It stays on disk, and what is looked at is read from
there; before that its SHA-256 is compared with the one in the database, since nothing else would
notice a flipped byte.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieval import nearest
from retrieval.arrays import ArraysChanged, Blocks, mapped, read_arrays, write_arrays
from retrieval.errors import LibraryUnreadable
from retrieval.nearest import Found, Index, Subset, Tuning
from retrieval.rows import Ids, Rows, Selection, from_codes
from retrieval.types import SegmentRecord, Vectors

REPAIR = "`footnote doctor --repair` makes it again from the text."
FEW_SEGMENTS = 8
LARGEST_SEGMENT = 1_000_000
"""Passages: the index of so many takes about 1.5 GB of memory with 384 dimensions."""
OPENED_AT_ONCE = 4
PROMISED = 0.99
"""Recall at 10 that an index must have: codes may blur the vectors of another model."""


def write_segment(folder: Path, parts: Sequence[Selection]) -> SegmentRecord:
    """Write rows to a new file, on disk when this returns. The ids go up, from part to part."""
    ids = np.concatenate([part.ids for part in parts])
    sentences = sum(len(part.sentences()) for part in parts)
    size = parts[0].rows.vectors.shape[1]
    arrays = {
        "ids": Blocks("I64", ids.shape, [ids]),
        "vectors": Blocks("F32", (len(ids), size), _all(parts, Selection.vectors)),
        "scales": Blocks("F32", (sentences,), _all(parts, Selection.scales)),
        "counts": Blocks("I32", ids.shape, [part.counts for part in parts]),
        "codes": Blocks("I8", (sentences, size), _all(parts, Selection.codes)),
    }
    notes: dict[str, str] = {}
    if len(ids) > nearest.EXACT_UP_TO:
        index, tuning = nearest.build(lambda: _all(parts, Selection.vectors), len(ids))
        if tuning.recall >= PROMISED:  # else every row is compared
            arrays["index"] = Blocks("U8", index.shape, [index])
            notes["tuning"] = json.dumps([tuning.probes, tuning.recall])
    name, sha256 = write_arrays(folder, f"{ids[0]:010d}", arrays, notes)
    return SegmentRecord(name, sha256, len(ids), int(ids[0]), int(ids[-1]))


class Segment:
    """The vectors of one file, by the row ids of their passages."""

    def __init__(self, folder: Path, record: SegmentRecord) -> None:
        self.record = record
        arrays, notes = _read(folder, record)
        index = arrays.pop("index", None)
        self.rows = Rows(**arrays)
        self.tuning = Tuning(*json.loads(notes["tuning"])) if index is not None else None
        self._index = Index(index, self.tuning) if self.tuning else None
        self._starts = self.rows.starts()

    def subset(self, ids: Ids) -> Subset:
        """Return which rows have these ids."""
        return Subset(self.rows.positions(ids), len(self.rows))

    def search(self, query: Vectors, limit: int, subset: Subset | None) -> Found:
        """Return the cosines and ids of the nearest rows, or of those of a subset."""
        vectors = self.rows.vectors
        size = len(self.rows) if subset is None else len(subset)
        if self._index is None or size <= nearest.EXACT_UP_TO:
            among = None if subset is None else subset.positions
            scores, positions = nearest.exact(vectors, query, limit, among)
        else:
            scores, positions = self._index.search(vectors, query, limit, subset)
        return scores, self.rows.ids[positions]

    def sentences(self, position: int) -> Vectors | None:
        """Return the vectors of a passage's sentences; None if they were never embedded."""
        if self.rows.counts[position] < 0:
            return None
        some = slice(self._starts[position], self._starts[position + 1])
        return from_codes(self.rows.codes[some], self.rows.scales[some])


class Segments:
    """The vectors of one generation."""

    def __init__(
        self,
        folder: Path,
        records: Sequence[SegmentRecord],
        live: Ids | None = None,
        opened: "Segments | None" = None,
    ) -> None:
        """Open what is not among those `opened`. `live` are the ids to find; None is all."""
        known = {segment.record: segment for segment in opened._segments} if opened else {}
        new = [record for record in records if record not in known]
        with ThreadPoolExecutor(OPENED_AT_ONCE) as pool:
            known |= zip(new, pool.map(lambda record: Segment(folder, record), new), strict=True)
        self._segments: list[Segment] = [known[record] for record in records]
        self._live = [
            _unless_all(s, None if live is None else s.subset(live)) for s in self._segments
        ]
        self.passages = sum(record.passages for record in records)

    @property
    def recall(self) -> float | None:
        """The least recall at 10 that was measured for an index; None if there is none."""
        found = [segment.tuning.recall for segment in self._segments if segment.tuning]
        return min(found, default=None)

    def search(self, query: Vectors, limit: int, allowed: Ids | None) -> list[tuple[int, float]]:
        """Return (row id, cosine) of the nearest passages, nearest first.

        `query` has shape (1, dimensions). `allowed` limits the search to those row ids; None
        to those that are live.
        """
        found: list[tuple[int, float]] = []
        for segment, live in zip(self._segments, self._live, strict=True):
            subset = live if allowed is None else segment.subset(allowed)
            if subset is None or len(subset):
                scores, ids = segment.search(query, limit, subset)
                found += zip(ids.tolist(), scores.tolist(), strict=True)
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:limit]

    def sentence_vectors(self, ids: Iterable[int]) -> dict[int, Vectors]:
        """Return, by the row id of a passage, the vectors of the sentences it quotes, in order.

        Shape (sentences, dimensions). Passages whose sentences were never embedded are left out.
        """
        wanted = np.array(list(ids), np.int64)
        return {
            int(segment.rows.ids[position]): vectors
            for segment in self._segments
            for position in segment.rows.positions(wanted).tolist()
            if (vectors := segment.sentences(position)) is not None
        }


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
    segments = [Segment(folder, record) for record in records]
    parts = [Selection(segment.rows, segment.rows.positions(kept)) for segment in segments]
    parts = [part for part in parts if len(part)]
    return write_segment(folder, parts) if parts else None


def _all(
    parts: Sequence[Selection], blocks: Callable[[Selection], Iterator[NDArray[Any]]]
) -> Iterator[NDArray[Any]]:
    return chain.from_iterable(map(blocks, parts))


def _unless_all(segment: Segment, subset: Subset | None) -> Subset | None:
    return None if subset is None or len(subset) == len(segment.rows) else subset


def _read(folder: Path, record: SegmentRecord) -> tuple[dict[str, Any], dict[str, str]]:
    path = folder / record.name
    try:
        if path.suffix == ".faiss":
            return _read_old(path, record.sha256), {}
        return read_arrays(path, record.sha256)
    except OSError as problem:
        raise LibraryUnreadable(
            f"The segment {record.name} cannot be read ({problem.strerror}). {REPAIR}"
        ) from problem
    except ArraysChanged as problem:
        raise LibraryUnreadable(
            f"The segment {record.name} is damaged: its SHA-256 is not the one it was published"
            f" with. {REPAIR}"
        ) from problem


def _read_old(path: Path, sha256: str) -> dict[str, Any]:
    """Return the rows of a FAISS file, as segments were before they held sentences."""
    index: Any = faiss.deserialize_index(np.frombuffer(mapped(path, sha256), np.uint8))
    flat: Any = faiss.downcast_index(index.index)
    vectors = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).reshape(flat.ntotal, flat.d)
    rows = Rows.without_sentences(faiss.vector_to_array(index.id_map), vectors.copy())
    return {name: getattr(rows, name) for name in Rows.__slots__}
