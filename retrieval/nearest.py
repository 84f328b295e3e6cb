"""Finding the nearest rows, in one of three ways by how many there are.

Few are all compared. More are compared by codes of 8 bits a dimension, which are a quarter of the
size, and the best of them once more by their exact vectors. Many are put into lists, each around a
centroid, and only the lists nearest to the question are read (an inverted file, Sivic and Zisserman
2003). How many lists that takes is measured when they are made.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieval.rows import BLOCK, Ids
from retrieval.types import Vectors

FAISS: Any = faiss  # its types do not know what it adds in Python

EXACT_UP_TO = 20_000
"""Rows that are all compared: 5 ms with 384 dimensions, and there is nothing to build."""
CODES_UP_TO = 200_000
"""Rows whose codes are all compared: 6 ms. At the recall that is wanted, two fifths of the lists of
so many must be read, which would save little."""
LEAST_RUN = 256
"""Rows that stand together, on average, for which comparing them where they are is faster."""
RECALL = 0.997
"""Of the ten nearest, what the sample must find; .99 is what is promised."""
NOISE = 3.0
"""How far the questions of the sample are from a row: at a cosine of .32. That is further off than
real questions are (.56 on average), but these are not spread evenly: with noise at .55 real ones
found .966 where the sample found .997; at .32, more than .99."""
SAMPLE = 256
"""Questions that the number of lists is chosen by."""
DENSE = 0.9
"""The share of rows from which on a subset is much like the whole; of any other all lists are read,
since what it leaves out may be just what lies around the question."""
DEPTH = 2
"""Candidates for each row that is wanted, to make up for what the 8 bits blur."""
TRAINING = 40
"""Vectors a list that its centroid is made from; FAISS asks for at least 39."""
SEED = 1234

ALL = 2**31 - 1
"""More lists than there are."""

Found = tuple[NDArray[np.float32], Ids]
"""Cosines and positions, nearest first."""


class Subset:
    """Some of the rows of a segment, by position, upwards."""

    def __init__(self, positions: Ids, of: int) -> None:
        self.positions = positions
        self._of = of
        self._bits: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.positions)

    @property
    def bits(self) -> NDArray[np.uint8]:
        """One bit for each row of the segment."""
        if self._bits is None:
            mask = np.zeros(self._of, bool)
            mask[self.positions] = True
            self._bits = np.packbits(mask, bitorder="little")
        return self._bits


def exact(vectors: Vectors, query: Vectors, limit: int, among: Ids | None = None) -> Found:
    """Return the nearest rows, having compared all of them, or those at the positions `among`.

    Each row is compared by itself: its cosine does not hang on what stands beside it.
    """
    if among is None:
        return _top(query, vectors, limit)
    scores, positions = np.empty(0, np.float32), np.empty(0, np.int64)
    cuts = [0, *(np.flatnonzero(np.diff(among) != 1) + 1).tolist(), len(among)]
    together = len(cuts) < 2 + len(among) // LEAST_RUN
    if not together:
        cuts = [*range(0, len(among), BLOCK), len(among)]
    for start, stop in pairwise(cuts):
        some = among[start:stop]
        # Rows that stand together need not be copied.
        rows = vectors[some[0] : some[-1] + 1] if together else vectors[some]
        new, places = _top(query, rows, limit)
        scores, positions = np.append(scores, new), np.append(positions, some[places])
    order = np.lexsort((positions, -scores))[:limit]
    return scores[order], positions[order]


@dataclass(frozen=True, slots=True)
class Tuning:
    """How many lists a search reads, and the recall at 10 that was measured with so many."""

    probes: int
    recall: float


class Index:
    """The codes of the rows of one segment, in lists or not; they stay on disk."""

    def __init__(self, data: NDArray[np.uint8], tuning: Tuning) -> None:
        self._data = data  # FAISS reads it and does not hold it
        reader = FAISS.ZeroCopyIOReader(faiss.swig_ptr(data), data.size)
        self._index: Any = faiss.read_index(reader)
        self._tuning = tuning

    def search(
        self, vectors: Vectors, query: Vectors, limit: int, subset: Subset | None = None
    ) -> Found:
        """Return the nearest rows of those whose codes are near, by their exact vectors.

        The fewer rows may be found, the further off they lie, so the more lists are read.
        """
        wanted = min(limit * DEPTH, self._index.ntotal if subset is None else len(subset))
        share = 1 if subset is None else len(subset) / self._index.ntotal
        probes = math.ceil(self._tuning.probes / share) if share >= DENSE else ALL
        found = self._candidates(query, wanted, probes, subset)
        if len(found) < wanted:
            found = self._candidates(query, wanted, ALL, subset)
        return exact(vectors, query, limit, np.sort(found))

    def _candidates(self, query: Vectors, wanted: int, probes: int, subset: Subset | None) -> Ids:
        parameters = _parameters(self._index, probes, subset)
        found: Ids = self._index.search(query, wanted, params=parameters)[1][0]
        return found[found >= 0]


Read = Callable[[], Iterator[Vectors]]
"""Reads vectors from the first to the last, a block at a time."""


def build(read: Read, count: int) -> tuple[NDArray[np.uint8], Tuning]:
    """Return an index of `count` vectors, and how it is to be searched.

    The same vectors always give the same index.
    """
    dice = np.random.default_rng(SEED)
    lists = int(2 * count**0.5)
    sample = _at(read, np.sort(dice.choice(count, min(count, TRAINING * lists), replace=False)))
    index = _empty(sample.shape[1], lists if count > CODES_UP_TO else 0)
    index.train(sample)
    for block in read():
        index.add(block)
    questions = questions_near(sample[dice.choice(len(sample), SAMPLE)], dice, NOISE)
    return faiss.serialize_index(index), _tuned(index, read, questions)


def _empty(dimensions: int, lists: int) -> Any:
    kind, metric = faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    if not lists:
        return faiss.IndexScalarQuantizer(dimensions, kind, metric)
    flat = faiss.IndexFlatIP(dimensions)
    # Codes of the vectors themselves are quicker to compare than those of differences.
    index: Any = faiss.IndexIVFScalarQuantizer(flat, dimensions, lists, kind, metric, False)
    index.cp.seed, index.cp.niter = SEED, 10
    return index


def _parameters(index: Any, probes: int, subset: Subset | None = None) -> Any:
    chosen = None if subset is None else FAISS.IDSelectorBitmap(subset.bits)
    if lists := getattr(index, "nlist", 0):
        return FAISS.SearchParametersIVF(sel=chosen, nprobe=min(probes, lists))
    return FAISS.SearchParameters(sel=chosen)


def questions_near(vectors: Vectors, dice: np.random.Generator, noise: float) -> Vectors:
    """Return unit rows off these by random vectors of the length `noise`."""
    random = dice.standard_normal(vectors.shape, np.float32)
    near = vectors + np.float32(noise / vectors.shape[1] ** 0.5) * random
    moved: Vectors = near / np.linalg.norm(near, axis=1, keepdims=True)
    return moved


def _tuned(index: Any, read: Read, questions: Vectors) -> Tuning:
    """Return the fewest lists that hold enough of the ten nearest of each question."""
    nearest = _nearest(read, questions, 10)
    probes = _lists_needed(index, read, questions, nearest) if hasattr(index, "nlist") else 1
    _, found = index.search(questions, 10 * DEPTH, params=_parameters(index, probes))
    recall = np.mean([np.isin(n, f).mean() for n, f in zip(nearest, found, strict=True)])
    return Tuning(probes, round(float(recall), 4))


def _lists_needed(index: Any, read: Read, questions: Vectors, nearest: Ids) -> int:
    """Return up to which list, in the order in which a search reads them, it finds enough."""
    rows, again = np.unique(nearest, return_inverse=True)
    homes = index.quantizer.search(_at(read, rows), 1)[1][again].reshape(nearest.shape)
    places = np.argsort(index.quantizer.search(questions, index.nlist)[1], axis=1)
    return 1 + int(np.quantile(np.take_along_axis(places, homes, 1), RECALL, method="higher"))


def _nearest(read: Read, questions: Vectors, limit: int) -> Ids:
    """Return the positions of the nearest rows of each question, one row a question."""
    scores = np.empty((len(questions), 0), np.float32)
    positions = np.empty((len(questions), 0), np.int64)
    start = 0
    for block in read():
        new, places = faiss.knn(questions, block, limit, metric=faiss.METRIC_INNER_PRODUCT)
        scores, positions = np.hstack([scores, new]), np.hstack([positions, places + start])
        best = np.argsort(-scores, axis=1, kind="stable")[:, :limit]
        scores = np.take_along_axis(scores, best, 1)
        positions = np.take_along_axis(positions, best, 1)
        start += len(block)
    return positions


def _at(read: Read, positions: Ids) -> Vectors:
    found: list[Vectors] = []
    start = 0
    for block in read():
        first, last = np.searchsorted(positions, [start, start + len(block)])
        found.append(block[positions[first:last] - start])
        start += len(block)
    return np.concatenate(found)


def _top(query: Vectors, vectors: Vectors, limit: int) -> Found:
    if not len(vectors):
        return np.empty(0, np.float32), np.empty(0, np.int64)
    scores, positions = faiss.knn(
        query, vectors, min(limit, len(vectors)), metric=faiss.METRIC_INNER_PRODUCT
    )
    return scores[0], positions[0]
