"""One generation of the library, and finding passages in it."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from retrieval.embedder import Embedder
from retrieval.errors import LibraryUnreadable
from retrieval.fusion import reciprocal_rank
from retrieval.query import Query, understand
from retrieval.rows import Ids
from retrieval.segments import Segments
from retrieval.store import Store
from retrieval.store.connection import RESTORE
from retrieval.types import Document, Filters, Hit, Vectors
from retrieval.vocabulary import LibraryVocabulary

CANDIDATES = 50
"""How many passages each ranking hands to the fusion."""


class Snapshot:
    """One generation of the library, the same from the first look to the last."""

    def __init__(
        self,
        segments: Path,
        store: Store,
        embedder: Embedder,
        generation: int,
        before: "Snapshot | None" = None,
    ) -> None:
        """Open a generation; what it has in common with the one `before` is not read again."""
        self.generation = generation
        self._store = store
        self._embedder = embedder
        opened = before._segments if before else None
        self._spans = store.passage_spans(generation)
        live = _expanded(self._spans.values())
        self._segments: Segments = _load(segments, store, generation, live, opened)
        self._vocabulary = LibraryVocabulary(store, embedder, generation)
        self._documents = {d.id: d for d in store.documents(generation)}
        self._passages = store.passage_count()

    def __len__(self) -> int:
        """How many documents there are to answer from."""
        return len(self._documents)

    def allowed(self, filters: Filters | None) -> list[Document]:
        """Return the documents that a search may look in, by path."""
        documents = self._documents.values()
        return [d for d in documents if filters.allow(d)] if filters else [*documents]

    def understand(self, question: str) -> Query:
        """Return what to search with: the question in the library's words."""
        return understand(question, self._vocabulary)

    def search(
        self, query: str | Query, *, limit: int = 8, filters: Filters | None = None
    ) -> list[Hit]:
        """Return the passages that bear most on a query, best first.

        The dense and the lexical ranking are fused by reciprocal rank; the lexical one stands
        alone where the embedder cannot read the question.
        """
        chosen = self._choose(filters)
        allowed = None
        if chosen is not None:
            allowed = _expanded(self._spans[name] for name in chosen if name in self._spans)
        asked = query if isinstance(query, Query) else self.understand(query)
        vector = self._embedder.embed([asked.embedded])
        dense = self._segments.search(vector, CANDIDATES, allowed)
        lexical = self._store.lexical(asked.lookups, chosen, self.generation, CANDIDATES)
        rankings = [[i for i, _ in dense], lexical]
        if lexical and not self._vocabulary.reads(asked.text):
            rankings = [lexical]
        fused = reciprocal_rank(rankings)
        best = list(fused)[:limit]
        similarity = dict(dense) | self._similarities(best, dict(dense), vector)
        passages = self._store.passages(best)
        try:
            return [
                Hit(
                    passage=passages[i],
                    document=self._documents[passages[i].document_id],
                    score=fused[i],
                    similarity=similarity[i],
                )
                for i in best
            ]
        except KeyError as problem:
            raise LibraryUnreadable(
                f"Passage {problem} has no text, document or vector. {RESTORE}"
            ) from problem

    def sentence_vectors(self, ids: Iterable[int]) -> dict[int, Vectors]:
        """Return, by row id, the vectors of the sentences a passage quotes, in order.

        Passages whose sentences were never embedded are left out.
        """
        return self._segments.sentence_vectors(ids)

    def weights(self, stems: Iterable[str]) -> dict[str, float]:
        """Return how telling each stem is: bm25's inverse document frequency, at least 0."""
        wanted = list(dict.fromkeys(stems))
        counts = self._store.passages_with(wanted)
        total = self._passages
        return {
            stem: math.log(1 + (total - n + 0.5) / (n + 0.5))
            for stem in wanted
            for n in [min(counts.get(stem, 0), total)]
        }

    def _choose(self, filters: Filters | None) -> list[str] | None:
        if not filters:
            return None
        return [d.id for d in self.allowed(filters)]

    def _similarities(
        self, ids: Sequence[int], known: dict[int, float], vector: Vectors
    ) -> dict[int, float]:
        """Return the cosine of the passages that only their words found."""
        missing = np.array([i for i in ids if i not in known], np.int64)
        found = self._segments.search(vector, max(1, len(missing)), missing)
        return dict(found)


def _expanded(spans: Iterable[tuple[int, int]]) -> Ids:
    """Return all the numbers from the first to the last of each span."""
    first, last = np.array(list(spans), np.int64).reshape(-1, 2).T
    lengths = last - first + 1
    begins = lengths.cumsum() - lengths
    return np.repeat(first - begins, lengths) + np.arange(lengths.sum(), dtype=np.int64)


def _load(
    folder: Path, store: Store, generation: int, live: Ids, opened: Segments | None
) -> Segments:
    """Load the segments of a generation; again, if they were merged meanwhile."""
    while True:
        records = store.segments(generation)
        try:
            return Segments(folder, records, live, opened)
        except LibraryUnreadable:
            if records == store.segments(generation):
                raise
