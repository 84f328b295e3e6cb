"""What can be told of a sentence and a question by words, vectors and place: a row of features.

A person can read each. `answer/evidence.py` weighs them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from answer.kinds import Kind, asked_for, offers
from answer.regression import Matrix
from retrieval import Hit
from retrieval.instructions import orders_of
from retrieval.ranking import Asked, stems_of
from retrieval.types import Span, quoted_text
from retrieval.words import stem, words

FEATURES = (
    "similarity",  # cosine of question and sentence
    "coverage",  # share of the question's words in the sentence, by their weight
    "place_coverage",  # the same, in the sentence, the title and the headings
    "before_coverage",  # the same, in the sentence and the one before it
    "passage_coverage",  # the same, in the passage, the title and the headings
    "pairs",  # share of the question's neighbouring words that stand side by side
    "behind",  # how far the passage's score is behind the best passage's
    "opens",  # it is the first sentence of its passage
    "fragment",  # it has fewer words than a sentence needs
    "news",  # log of the number of words that are not the question's
    *(f"{kind}_{has}" for kind in Kind for has in ("asked_and_there", "asked_and_missing")),
)
FRAGMENT = 5


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence of a passage that was found, the `number`th in it, counting from 0."""

    hit: Hit
    number: int

    @property
    def span(self) -> Span:
        """Its range of characters in the document's text."""
        return self.hit.passage.sentences[self.number]

    @property
    def text(self) -> str:
        """The sentence."""
        return self.hit.passage.quotable[self.number]

    @property
    def orders(self) -> bool:
        """Whether it gives orders to an assistant instead of informing a reader."""
        return orders_of(self.hit.passage)[self.number]

    @property
    def titled(self) -> str:
        """The sentence as it is embedded."""
        return quoted_text(self.hit.document.title, self.text)

    @property
    def in_context(self) -> str:
        """The sentence, led by where it stands and the sentence before it."""
        before = f" {Candidate(self.hit, self.number - 1).text}" if self.number else ""
        return f"{self.hit.place}:{before} {self.text}"


def candidates_of(hits: Sequence[Hit], *, orders: bool = False) -> list[Candidate]:
    """Return the sentences of passages; those that give orders to an assistant only if wanted."""
    every = (Candidate(hit, n) for hit in hits for n in range(len(hit.passage.sentences)))
    return [candidate for candidate in every if orders or not candidate.orders]


def echoes(sentence: str, question: str) -> bool:
    """Whether a sentence only asks the question, whole or in part, and so cannot answer it.

    Texts that are to be found for a question often begin with it: those that answer it, in a list
    of questions, and those that are planted.
    """
    said, asked = words(sentence), words(question)
    if sentence.rstrip().endswith("?"):
        return {stem(word) for word in said} <= {stem(word) for word in asked}
    return said == asked


def features(asked: Asked, candidates: Sequence[Candidate]) -> Matrix:
    """Return one row of FEATURES a candidate: shape (candidates, features)."""
    question = asked.query.text
    kinds = asked_for(question)
    best = max(candidate.hit.score for candidate in candidates)
    around: dict[int, _Around] = {}
    rows = []
    for candidate in candidates:
        hit = candidate.hit
        if id(hit) not in around:
            around[id(hit)] = _Around.of(asked, hit)
        rows.append(_row(asked, candidate, around[id(hit)], best - hit.score, kinds))
    return np.array(rows, np.float64)


@dataclass(frozen=True, slots=True)
class _Around:
    """What the sentences of a passage have in common."""

    stems: list[list[str]]
    place: set[str]
    coverage: float

    @classmethod
    def of(cls, asked: Asked, hit: Hit) -> "_Around":
        place = set(stems_of(hit.place))
        wide = place | set(stems_of(hit.passage.text))
        return cls([stems_of(text) for text in hit.passage.quotable], place, asked.covered(wide))


def _row(
    asked: Asked, candidate: Candidate, around: _Around, behind: float, kinds: frozenset[Kind]
) -> list[float]:
    here = around.stems[candidate.number]
    before = around.stems[candidate.number - 1] if candidate.number else []
    held = {kind: offers(kind, candidate.text, asked.query.text) for kind in kinds}
    return [
        candidate.hit.sentences[candidate.number],
        asked.covered(set(here)),
        asked.covered({*here, *around.place}),
        asked.covered({*here, *before}),
        around.coverage,
        asked.paired(here),
        behind,
        float(candidate.number == 0),
        float(len(here) < FRAGMENT),
        float(np.log1p(len(set(here) - set(asked.weights)))),
        *(float(held.get(kind) is has) for kind in Kind for has in (True, False)),
    ]
