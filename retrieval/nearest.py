"""Finding the nearest rows: by looking at all of them, or at those of the likeliest lists.

An inverted file (Sivic and Zisserman 2003) puts each vector into the list of the nearest of some
centroids; a search reads the lists whose centroids are nearest to the query. The lists hold
vectors in 8 bits a dimension; what they find is compared again by the exact vectors.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieval.rows import BLOCK, Ids
from retrieval.types import Vectors

FAISS: Any = faiss  # its types do not know what it adds in Python

EXACT_UP_TO = 20_000
"""Rows that are all compared: 5 ms with 384 dimensions, and there is nothing to build."""
RECALL = 0.997
"""Of the ten nearest, what the sample must find; .99 is what is promised."""
DEPTH = 2
"""Candidates for each row that is wanted, to make up for what the 8 bits blur."""
SAMPLE = 256
"""Questions that the number of lists to read is chosen by."""
NOISE = 1.5
"""How far they are from a passage: at a cosine of .55. That of 6,740 questions of ours to what is
nearest to them is .56 on average, and as many lists are chosen for these."""
TRAINING = 40
"""Vectors a list that its centroid is made from; FAISS asks for at least 39."""
SEED = 1234

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
    for at in range(0, len(among), BLOCK):
        some = among[at : at + BLOCK]
        new, places = _top(query, vectors[some], limit)
        scores, positions = np.append(scores, new), np.append(positions, some[places])
    order = np.lexsort((positions, -scores))[:limit]
    return scores[order], positions[order]


@dataclass(frozen=True, slots=True)
class Tuning:
    """How many lists a search reads, and the recall at 10 that was measured at that."""

    probes: int
    recall: float


class InvertedFile:
    """Lists of the rows of one segment, which stay on disk as the data they are read from."""

    def __init__(self, data: NDArray[np.uint8], tuning: Tuning) -> None:
        self._data = data  # FAISS reads it and does not hold it
        reader = FAISS.ZeroCopyIOReader(faiss.swig_ptr(data), data.size)
        self._index: Any = faiss.read_index(reader)
        self._probes = tuning.probes

    def search(
        self, vectors: Vectors, query: Vectors, limit: int, subset: Subset | None = None
    ) -> Found:
        """Return the nearest rows of those in the likeliest lists, by their exact vectors.

        The fewer rows may be found, the further off they lie, so the more lists are read; all
        of them, if those read hold too few.
        """
        wanted = min(limit * DEPTH, self._index.ntotal)
        probes, bits = self._probes, None
        if subset is not None:
            bits = subset.bits
            probes = -(-probes * self._index.ntotal // len(subset))
            wanted = min(wanted, len(subset))
        found = self._candidates(query, wanted, probes, bits)
        if len(found) < wanted:
            found = self._candidates(query, wanted, self._index.nlist, bits)
        return exact(vectors, query, limit, np.sort(found))

    def _candidates(
        self, query: Vectors, wanted: int, probes: int, bits: NDArray[np.uint8] | None
    ) -> Ids:
        chosen = None if bits is None else FAISS.IDSelectorBitmap(bits)
        parameters = FAISS.SearchParametersIVF(sel=chosen, nprobe=min(probes, self._index.nlist))
        found: Ids = self._index.search(query, wanted, params=parameters)[1][0]
        return found[found >= 0]


Read = Callable[[], Iterator[Vectors]]
"""Reads vectors from the first to the last, a block at a time."""


def build(read: Read, count: int) -> tuple[NDArray[np.uint8], Tuning]:
    """Return an inverted file of `count` vectors, and how it is to be searched.

    The same vectors always give the same file.
    """
    dice = np.random.default_rng(SEED)
    lists = int(2 * count**0.5)
    sample = _at(read, np.sort(dice.choice(count, min(count, TRAINING * lists), replace=False)))
    index: Any = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(sample.shape[1]),
        sample.shape[1],
        lists,
        faiss.ScalarQuantizer.QT_8bit,
        faiss.METRIC_INNER_PRODUCT,
        False,  # codes of the vectors themselves, which are quicker to compare than differences
    )
    index.cp.seed, index.cp.niter = SEED, 10
    index.train(sample)
    for block in read():
        index.add(block)
    questions = questions_near(sample[dice.choice(len(sample), SAMPLE)], dice)
    return faiss.serialize_index(index), _tuned(index, read, questions)


def questions_near(vectors: Vectors, dice: np.random.Generator) -> Vectors:
    """Return vectors that stand to these as questions do to passages."""
    noise = dice.standard_normal(vectors.shape, np.float32)
    near = vectors + np.float32(NOISE / vectors.shape[1] ** 0.5) * noise
    moved: Vectors = near / np.linalg.norm(near, axis=1, keepdims=True)
    return moved


def _tuned(index: Any, read: Read, questions: Vectors) -> Tuning:
    """Return the fewest lists that find enough of the ten nearest of each question."""
    nearest = [set(row.tolist()) for row in _nearest(read, questions, 10)]
    probes = max(1, index.nlist // 50)
    while True:
        index.nprobe = probes
        _, found = index.search(questions, 10 * DEPTH)
        hits = [len(n.intersection(f.tolist())) for n, f in zip(nearest, found, strict=True)]
        recall = sum(hits) / sum(map(len, nearest))
        if recall >= RECALL or probes == index.nlist:
            return Tuning(probes, round(recall, 4))
        probes = min(-(-probes * 5 // 4), index.nlist)


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
