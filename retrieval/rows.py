"""The vectors of passages and of their sentences, in memory or on disk."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.types import Vectors

Ids: TypeAlias = NDArray[np.int64]
Codes: TypeAlias = NDArray[np.int8]
Counts: TypeAlias = NDArray[np.int32]

UNKNOWN = -1
"""The count of sentences of a passage whose sentences have no vectors yet."""
BLOCK = 8192
"""Rows that are in memory at once when many are read from disk: 13 MB with 384 dimensions."""


def to_codes(vectors: Vectors) -> tuple[Codes, Vectors]:
    """Return rows as whole numbers from -127 to 127, and the scale of each row.

    A quarter of the size, and a cosine with another vector differs by less than .005.
    """
    scales = np.abs(vectors).max(axis=1, initial=0) / np.float32(127)
    codes = np.rint(vectors / np.where(scales, scales, 1)[:, None])
    return codes.astype(np.int8), scales.astype(np.float32)


def from_codes(codes: Codes, scales: Vectors) -> Vectors:
    """Return the rows that `to_codes` was given, as nearly as it kept them."""
    return codes.astype(np.float32) * scales[:, None]


@dataclass(frozen=True, slots=True)
class Rows:
    """Passages by row id, upwards: their vectors, and those of the sentences they quote.

    `counts` says how many sentences each passage has, UNKNOWN if they have no vectors; `codes`
    and `scales` have a row for each, in order.
    """

    ids: Ids
    vectors: Vectors
    counts: Counts
    codes: Codes
    scales: Vectors

    @classmethod
    def of(cls, ids: Ids, vectors: Vectors, counts: Sequence[int], sentences: Vectors) -> "Rows":
        """Return rows made of vectors; `sentences` holds those of all passages, in order."""
        return cls(ids, vectors, np.array(counts, np.int32), *to_codes(sentences))

    @classmethod
    def without_sentences(cls, ids: Ids, vectors: Vectors) -> "Rows":
        """Return rows of passages only, as they were stored once."""
        counts = np.full(len(ids), UNKNOWN, np.int32)
        codes = np.empty((0, vectors.shape[1]), np.int8)
        return cls(ids, vectors, counts, codes, np.empty(0, np.float32))

    def __len__(self) -> int:
        """How many passages there are."""
        return len(self.ids)

    def starts(self) -> Ids:
        """Return where the sentences of each passage begin, and at last where they end."""
        return np.concatenate([[0], np.cumsum(np.maximum(self.counts, 0), dtype=np.int64)])

    def positions(self, ids: Ids) -> Ids:
        """Return where those of these ids stand that are there, upwards; none is given twice."""
        wanted = np.sort(ids)
        at = np.searchsorted(self.ids, wanted)
        at, wanted = at[at < len(self)], wanted[at < len(self)]
        found: Ids = at[self.ids[at] == wanted]
        return found


@dataclass(frozen=True, slots=True)
class Selection:
    """Those of some rows that go into a new segment, read a block at a time."""

    rows: Rows
    kept: Ids

    @classmethod
    def all_of(cls, rows: Rows) -> "Selection":
        """Return all rows."""
        return cls(rows, np.arange(len(rows)))

    def __len__(self) -> int:
        """How many passages there are."""
        return len(self.kept)

    @property
    def ids(self) -> Ids:
        """Their row ids."""
        return self.rows.ids[self.kept]

    @property
    def counts(self) -> Counts:
        """How many sentences each has."""
        return self.rows.counts[self.kept]

    def vectors(self) -> Iterator[Vectors]:
        """Return the vectors of passages."""
        for some in _blocks(self.kept):
            yield self.rows.vectors[some]

    def sentences(self) -> Ids:
        """Return which of the rows' sentences they have."""
        chosen = np.zeros(len(self.rows), bool)
        chosen[self.kept] = True
        return np.flatnonzero(np.repeat(chosen, np.maximum(self.rows.counts, 0)))

    def codes(self) -> Iterator[Codes]:
        """Return the vectors of sentences."""
        for some in _blocks(self.sentences()):
            yield self.rows.codes[some]

    def scales(self) -> Iterator[Vectors]:
        """Return the scales of sentences."""
        yield self.rows.scales[self.sentences()]


def _blocks(positions: Ids) -> Iterator[Ids]:
    for at in range(0, len(positions), BLOCK):
        yield positions[at : at + BLOCK]
