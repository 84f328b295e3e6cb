"""One generation of the library, and finding passages in it."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

import numpy as np

from retrieval.embedder import Embedder
from retrieval.errors import LibraryBusy, LibraryUnreadable
from retrieval.folding import folded, with_neighbours
from retrieval.query import Query, is_month, understand
from retrieval.ranking import Asked, Proposed, asked_stems, promise, scores
from retrieval.rows import Ids
from retrieval.segments import Segments
from retrieval.store import Store
from retrieval.store.connection import RESTORE
from retrieval.types import Document, Filters, Hit, Passage, Vectors
from retrieval.vocabulary import LibraryVocabulary
from retrieval.words import SPACELESS, content_words, stem

CANDIDATES = 100
"""Passages that each ranking proposes."""
WEIGHED = 40
"""Passages that are read and weighed, of those that promise most."""
POSTINGS = 12_000
"""Passages that bm25 is reckoned for: about 10 ms. In a library of 20,000 passages 3,000 cost one
right passage among the first five in 250 questions, and 1,500 two."""
FILTERS_KEPT = 16


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
        self._passages = store.passage_count()
        if sum(last - first + 1 for first, last in self._spans.values()) > self._passages:
            raise LibraryUnreadable(f"Passages are missing, or have numbers of none. {RESTORE}")
        live = _expanded(self._spans.values())
        self._segments: Segments = _load(segments, store, generation, live, opened)
        self._vocabulary = LibraryVocabulary(store, embedder, generation)
        self._documents = {d.id: d for d in store.documents(generation)}
        self._live = live
        self._allowed: dict[Filters, Ids] = {}

    def __len__(self) -> int:
        """How many documents there are to answer from."""
        return len(self._documents)

    def allowed(self, filters: Filters | None) -> list[Document]:
        """Return the documents that a search may look in, by path."""
        documents = self._documents.values()
        return [d for d in documents if filters.allow(d)] if filters else [*documents]

    @property
    def recall(self) -> float | None:
        """The least recall at 10 that was measured for an index; None if all is compared."""
        return self._segments.recall

    def understand(self, question: str) -> Query:
        """Return what to search with: the question in the library's words."""
        return understand(question, self._vocabulary)

    def ask(self, question: str) -> Asked:
        """Return a question ready to be compared with passages.

        Where the embedder cannot read it, its words alone decide.
        """
        query = self.understand(question)
        vector = self._embedder.embed([query.embedded])[0]
        if not self._vocabulary.reads(query.text):
            vector = np.zeros_like(vector)
        return Asked(query, vector, self.weights(asked_stems(query.text)))

    def search(
        self, question: str | Asked, *, limit: int = 8, filters: Filters | None = None
    ) -> list[Hit]:
        """Return the passages that bear most on a question, best first.

        What says nearly the same as a better one is folded into it.
        """
        asked = question if isinstance(question, Asked) else self.ask(question)
        proposed = self.proposed(asked, filters, max(WEIGHED, limit))
        scored = dict(zip(proposed, scores(asked, [*proposed.values()]), strict=True))
        best = sorted(scored, key=lambda i: (-scored[i], i))
        return folded([self._hit(i, proposed[i], scored[i]) for i in best], limit)

    def hits(self, scored: Mapping[int, float], asked: Asked) -> list[Hit]:
        """Return passages as hits, by row id, with scores that were given them elsewhere."""
        similar = self._similarities([*scored], asked.vector)
        proposed = zip(scored, self._read(asked, [*scored], similar), strict=True)
        return [self._hit(i, one, scored[i]) for i, one in proposed]

    def proposed(
        self, asked: Asked, filters: Filters | None = None, count: int = WEIGHED
    ) -> dict[int, Proposed]:
        """Return the passages that promise most, read, by row id."""
        similar, promises = self._promises(asked, filters)
        chosen = sorted(promises, key=lambda i: (-promises[i], i))[:count]
        return dict(zip(chosen, self._read(asked, chosen, similar), strict=True))

    def with_neighbours(self, hits: Sequence[Hit], limit: int) -> list[Hit]:
        """Return the best `limit` hits, where those that follow each other in a section are one."""
        return with_neighbours(hits, limit, self._store.stretch)

    def promises(self, asked: Asked, filters: Filters | None = None) -> dict[int, float]:
        """Return what each passage that either ranking proposes promises, by row id."""
        return self._promises(asked, filters)[1]

    def _promises(
        self, asked: Asked, filters: Filters | None
    ) -> tuple[dict[int, float], dict[int, float]]:
        """Return the cosine of each passage that is proposed, and what it promises."""
        nearest, wordy = self.nearest(asked, filters), self.wordy(asked, filters)
        # A passage that bm25 did not propose has less than the last that it did: say half of it.
        rest = min(wordy.values(), default=0.0) / 2
        missing = [i for i in wordy if i not in nearest]
        similar = nearest | self._similarities(missing, asked.vector)
        return similar, {i: promise(similar[i], wordy.get(i, rest), asked) for i in similar}

    def nearest(self, asked: Asked, filters: Filters | None = None) -> dict[int, float]:
        """Return the cosines of the passages that are nearest to a question, by row id."""
        if not asked.vector.any():
            return {}
        return dict(self._segments.search(asked.vector[None], CANDIDATES, self._among(filters)))

    def wordy(self, asked: Asked, filters: Filters | None = None) -> dict[int, float]:
        """Return the bm25 of the passages that hold most of a question's words, by row id."""
        # What an ingest has staged since this generation stands in the index of words, too.
        allowed = self._among(filters) if filters else self._live
        span = 1.0
        if filters and allowed is not None and len(allowed):
            span = min(1.0, (int(allowed[-1]) - int(allowed[0]) + 1) / max(1, self._passages))
        phrases = self._affordable(asked.query.lookups, span, meant=bool(asked.vector.any()))
        return dict(self._store.lexical(phrases, allowed, CANDIDATES))

    def every_passage(self, at_once: int = 500) -> Iterator[tuple[list[int], list[Passage]]]:
        """Yield all passages with their row ids, some at a time."""
        ids = self._live.tolist()
        for at in range(0, len(ids), at_once):
            some = ids[at : at + at_once]
            found = self._store.passages(some)
            yield some, [found[number] for number in some]

    def any_passage(self, dice: Random) -> tuple[Document, Passage] | None:
        """Return a passage of a document, each document as likely as any; None if there is none."""
        if not self._spans:
            return None
        name = dice.choice(list(self._spans))
        number = dice.randint(*self._spans[name])
        return self._documents[name], self._store.passages([number])[number]

    def _read(
        self, asked: Asked, ids: Sequence[int], similar: Mapping[int, float]
    ) -> list[Proposed]:
        """Return passages as they are compared with a question; `similar` has their cosines."""
        passages = self._store.passages(ids)
        vectors = self.sentence_vectors(ids)
        try:
            return [
                Proposed.of(
                    passages[i],
                    self._documents[passages[i].document_id].title,
                    similar[i],
                    _cosines(vectors.get(i), asked.vector, len(passages[i].sentences), similar[i]),
                )
                for i in ids
            ]
        except KeyError as problem:
            if self._store.generation() != self.generation:
                raise LibraryBusy(
                    "The documents changed while this was looked for. Ask again."
                ) from problem
            raise LibraryUnreadable(
                f"Passage {problem} has no text, document or vector. {RESTORE}"
            ) from problem

    def _hit(self, number: int, proposed: Proposed, score: float) -> Hit:
        return Hit(
            passage=proposed.passage,
            document=self._documents[proposed.passage.document_id],
            score=score,
            similarity=proposed.similarity,
            sentences=proposed.sentences,
            first=number,
            last=number,
        )

    def sentence_vectors(self, ids: Iterable[int]) -> dict[int, Vectors]:
        """Return, by row id, the vectors of the sentences a passage quotes, in order.

        Passages whose sentences were never embedded are left out.
        """
        return self._segments.sentence_vectors(ids)

    def weights(self, stems: Iterable[str]) -> dict[str, float]:
        """Return how telling each stem is: bm25's inverse document frequency, at least 0."""
        total = self._passages
        return {
            stem: math.log(1 + (total - n + 0.5) / (n + 0.5))
            for stem, count in self._vocabulary.counts(stems).items()
            for n in [min(count, total)]
        }

    def unknown(self, text: str) -> list[str]:
        """Return the telling words of a text that no passage has in any form, each once.

        Single letters are what is left of contractions, numbers and months are written in many
        ways, and scripts without spaces have no words.
        """
        found = dict.fromkeys(content_words(text))
        telling = [w for w in found if len(w) > 1 and w.isalpha() and not SPACELESS.search(w)]
        there = self._vocabulary.standing(telling)
        return [word for word in telling if word not in there and not is_month(word)]

    def _affordable(self, phrases: Sequence[str], span: float, *, meant: bool) -> list[str]:
        """Return what to look up: all, or the rarest that a large library has not too often; none
        if even the rarest is everywhere and there is a vector for what is `meant`.

        Each passage that holds one is scored, so a word that a tenth of a million passages hold
        would take a second, and tell little. It still counts when passages are weighed. Only the
        share `span` of the library is looked through.
        """
        counts = self._vocabulary.counts(stem(phrase) for phrase in phrases if " " not in phrase)
        often = {phrase: counts.get(stem(phrase), 0) for phrase in phrases}
        kept: list[str] = []
        total = 0.0
        for phrase in sorted(phrases, key=lambda phrase: often[phrase]):
            total += often[phrase] * span
            if total > POSTINGS and (kept or meant):
                break
            kept.append(phrase)
        return kept

    def _among(self, filters: Filters | None) -> Ids | None:
        """Return the row ids of the passages that filters let through; None if there are none."""
        if not filters:
            return None
        among = self._allowed.get(filters)
        if among is None:
            spans = (self._spans.get(document.id) for document in self.allowed(filters))
            among = _expanded(sorted(span for span in spans if span))
            if len(self._allowed) >= FILTERS_KEPT:
                self._allowed = {}
            self._allowed[filters] = among
        return among

    def _similarities(self, ids: Sequence[int], vector: Vectors) -> dict[int, float]:
        """Return the cosines of passages."""
        if not len(ids):
            return {}
        allowed = np.array(sorted(ids), np.int64)
        return dict(self._segments.search(vector[None], len(ids), allowed))


def _cosines(
    vectors: Vectors | None, question: Vectors, count: int, instead: float
) -> Sequence[float]:
    """Return the cosine of each sentence; that of the passage if they were never embedded."""
    if vectors is None or len(vectors) != count:
        return [instead] * count
    return [float(cosine) for cosine in vectors @ question]


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
