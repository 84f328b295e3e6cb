"""Which of the passages that were found come first.

Two rankings propose passages: the nearest vectors, and bm25 over the words. A passage that either
proposes gets a row of features that a person can read, from the passage, its sentences and where
it stands, and a weighted sum of them is its score. The weights lie in `ranking_weights.json`
beside this file; `scripts/fit_evidence.py` fits them, and says on what.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.query import Query
from retrieval.types import Passage, Vectors
from retrieval.words import content_words, stem, words

Matrix = NDArray[np.float64]
WEIGHTS = Path(__file__).with_name("ranking_weights.json")

FEATURES = (
    "similarity",  # cosine of question and passage
    "sentence_similarity",  # the greatest cosine of question and sentence
    "coverage",  # share of the question's words in the passage, its title or headings, by weight
    "sentence_coverage",  # the greatest share that one sentence holds, with title and headings
    "sentence_both",  # the greatest sum, for one sentence, of its cosine and the share it holds
    "pairs",  # share of the question's neighbouring words that stand side by side
)
HIGHEST_BM25 = 2.2
"""What bm25 gives a word at most, in units of its weight: k1 + 1, as FTS5 sets it."""


@dataclass(frozen=True)
class Asked:
    """A question ready to be compared: its vector, shape (dimensions,), and the weight of each
    of its stems."""

    query: Query
    vector: Vectors
    weights: Mapping[str, float]

    @cached_property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """The stems that stand side by side in the question."""
        return frozenset(pairs_of(stems_of(self.query.text)))

    @cached_property
    def total(self) -> float:
        """The weight of all of its stems."""
        return sum(self.weights.values())

    def covered(self, there: set[str]) -> float:
        """Return the share of its stems that are there, by weight, from 0 to 1."""
        found = sum(weight for word, weight in self.weights.items() if word in there)
        return found / self.total if self.total else 0.0

    def paired(self, found: Sequence[str]) -> float:
        """Return the share of its pairs of stems that stand side by side."""
        return len(self.pairs & set(pairs_of(found))) / len(self.pairs) if self.pairs else 0.0


@dataclass(frozen=True, slots=True)
class Proposed:
    """A passage that may be shown.

    `sentences` are the cosines of the question and each sentence; `stems` are those of each
    sentence, and `place` those of the title and the headings.
    """

    passage: Passage
    similarity: float
    sentences: tuple[float, ...]
    stems: tuple[tuple[str, ...], ...]
    place: frozenset[str]

    @classmethod
    def of(
        cls, passage: Passage, title: str, similarity: float, sentences: Sequence[float]
    ) -> "Proposed":
        """Return a passage as it is compared with questions."""
        return cls(
            passage,
            similarity,
            tuple(sentences),
            tuple(tuple(stems_of(sentence)) for sentence in passage.quotable),
            frozenset(stems_of(" ".join((title, *passage.heading)))),
        )

    @property
    def running(self) -> list[str]:
        """The stems of all sentences in order."""
        return [word for some in self.stems for word in some]


def stems_of(text: str) -> list[str]:
    """Return the stems of a text's words, in order."""
    return [stem(word) for word in words(text)]


def asked_stems(question: str) -> list[str]:
    """Return the stems of a question's telling words, each once."""
    return list(dict.fromkeys(stem(word) for word in content_words(question)))


def pairs_of(found: Sequence[str]) -> list[tuple[str, str]]:
    """Return the neighbours in a sequence."""
    return list(pairwise(found))


def features(asked: Asked, proposed: Sequence[Proposed]) -> Matrix:
    """Return one row of FEATURES a passage: shape (passages, features)."""
    return np.array([_row(asked, one) for one in proposed], np.float64).reshape(-1, len(FEATURES))


def scores(asked: Asked, proposed: Sequence[Proposed]) -> list[float]:
    """Return how well each passage bears on a question; comparable within one question."""
    return [float(score) for score in features(asked, proposed) @ _weights()]


def promise(similarity: float, bm25: float, asked: Asked) -> float:
    """Return what a passage promises before it is read: its cosine and its bm25 out of the
    greatest there could be."""
    highest = HIGHEST_BM25 * asked.total
    return similarity + (bm25 / highest if highest else 0.0)


def _row(asked: Asked, one: Proposed) -> list[float]:
    held = [asked.covered({*some, *one.place}) for some in one.stems] or [0.0]
    both = [cosine + share for cosine, share in zip(one.sentences, held, strict=False)]
    running = one.running
    return [
        one.similarity,
        max(one.sentences, default=one.similarity),
        asked.covered({*running, *one.place}),
        max(held),
        max(both, default=one.similarity),
        asked.paired(running),
    ]


@cache
def _weights() -> Matrix:
    data = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return np.array([data["weights"][name] for name in FEATURES], np.float64)
