"""Which sentences bear on a question, and how likely one of them answers it.

Every sentence of the passages found gets a row of features that a person can read. An
`EvidenceScorer` ranks the sentences: by default a weighted sum of the features, or a
cross-encoder, where one is set up. A logistic regression on the best sentence and its lead over
the others says how likely it is to hold the answer. The weights lie in `evidence_weights.json`
beside this file; `scripts/fit_evidence.py` fits them and says on what, and `footnote calibrate`
fits the regression to a library.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from answer.features import FEATURES, Candidate, candidates_of, echoes, features
from answer.matching import MATCHES, matches
from answer.regression import Matrix, Regression, digest_of, sigmoid
from answer.types import Evidence
from answer.values import dates_alike, denies, said_in
from retrieval import Embedder, Hit
from retrieval.instructions import asks_about_orders
from retrieval.ranking import Asked
from retrieval.types import Span
from retrieval.words import stem, words

WEIGHTS = Path(__file__).with_name("evidence_weights.json")

DECISION_FEATURES = (
    *FEATURES,
    "rare_word_missing",  # from the passage; share of the weight that the heaviest absent word has
    "number_missing",  # a number of the question stands neither in the passage nor in its place
    "denial_differs",  # one of question and sentence denies, the other does not
    "passage_similarity",  # cosine of question and passage
    "score",  # of the ranking, in logits
    "lead",  # over the best sentence of another passage
    "second_lead",  # over the second best sentence of all
)
"""What a decision weighs, beside what the scorer tells."""
READ = 8
"""Sentences that are read word by word, of those whose features promise most: 5 ms each."""
OUT_OF_FORCE = re.compile(
    r"\b(?:superseded|obsolete|withdrawn|repealed|replaced by|no longer in force|out of date"
    r"|(?:old|former|previous)(?=\s*(?:$|[])/.]|(?:polic|version|edition|rule|regulation|guid"
    r"|procedure|handbook|leaflet|scheme|form|terms|contract|tariff|price|fee|charge|rate)\w*)))\b",
    re.IGNORECASE,
)
"""What a name says of a document; "Old Town Hall" is only called so."""
USED_TO = re.compile(
    rf"{OUT_OF_FORCE.pattern}|\b(?:old|previous(?:ly)?|former(?:ly)?|used to)\b", re.IGNORECASE
)
"""A question that asks for it."""
SUPERSEDED_COST = 2.0
"""In logits: a text that is out of force must be seven times likelier to be shown first."""
NO_OTHER = 5.0
"""The lead, in logits, of a sentence that has no rival."""


class EvidenceScorer(Protocol):
    """Says how well sentences answer a question."""

    @property
    def name(self) -> str:
        """What it is, to tell what a calibration was made for."""

    @property
    def tells(self) -> tuple[str, ...]:
        """Names of what it tells of a sentence beside its score."""

    def decision(self) -> dict[str, Any]:
        """Return the regression over `decision_features` that comes with it."""

    def warm_up(self) -> None:
        """Load what the first question would wait for."""

    def score(self, question: str, candidates: Sequence[Candidate], rows: Matrix) -> "Scores":
        """Score candidates; `rows` has their FEATURES, shape (candidates, features)."""


@dataclass(frozen=True, slots=True)
class Scores:
    """One logit a candidate, shape (candidates,), and of those that were read closely what the
    scorer `tells`, shape (candidates, tells), and the characters of the sentence that answer; of
    the others these are the least and None."""

    logits: Matrix
    told: Matrix
    spans: Sequence[Span | None]


@dataclass(frozen=True, slots=True)
class Close:
    """What a scorer read closely: the logit of every candidate by features alone, the numbers of
    those it read, a row for each of what it tells, and the characters that answer, if known."""

    rough: Matrix
    read: NDArray[np.intp]
    told: Matrix
    spans: Sequence[Span | None]

    @property
    def rows(self) -> Matrix:
        """The logit by features and what is told, of those that were read."""
        return np.column_stack([self.rough[self.read], self.told])

    def scores(self, reading: "Regression") -> Scores:
        """Return scores by a regression over `rows`; what was not read follows what was."""
        return self.scored(reading.logits(self.rows))

    def scored(self, logits: Matrix) -> Scores:
        """Return scores that give those that were read these logits."""
        size = len(self.rough)
        rest = np.delete(np.arange(size), self.read)
        every = np.empty(size)
        every[self.read] = logits
        if len(rest):
            behind = np.minimum(self.rough[rest] - self.rough[self.read].min(), 0.0)
            every[rest] = logits.min() + behind
        # What was not read is taken to be no better than the least of what was.
        told = np.tile(self.told.min(axis=0), (size, 1))
        told[self.read] = self.told
        spans: list[Span | None] = [None] * size
        for i, span in zip(self.read, self.spans, strict=True):
            spans[i] = span
        return Scores(every, told, spans)


class FeatureScorer:
    """Weighs a sentence's features, and for the best how its words meet those of the question."""

    tells = MATCHES

    def __init__(
        self,
        embedder: Embedder,
        ranking: Regression | None = None,
        reading: Regression | None = None,
    ) -> None:
        """`ranking` is over FEATURES, `reading` over its logit and MATCHES."""
        self._embedder = embedder
        self._ranking = ranking or Regression(_bundled()["ranking"], len(FEATURES))
        self._reading = reading or Regression(_bundled()["reading"], 1 + len(MATCHES))
        self.name = f"features.{digest_of(_bundled())}"

    @property
    def ranking(self) -> dict[str, Any]:
        """The weights of FEATURES."""
        return self._ranking.data

    def score(self, question: str, candidates: Sequence[Candidate], rows: Matrix) -> Scores:
        """Return one logit a candidate."""
        return self.closely(question, candidates, rows).scores(self._reading)

    def closely(self, question: str, candidates: Sequence[Candidate], rows: Matrix) -> Close:
        """Compare the words of the sentences that promise most with those of the question."""
        rough, best = self.best(rows, READ)
        met = matches(question, [candidates[i].titled for i in best], self._embedder)
        return Close(rough, best, met, [None] * len(best))

    def decision(self) -> dict[str, Any]:
        """Return the decision that was fitted for it."""
        found: dict[str, Any] = _bundled()["decision"]
        return found

    def warm_up(self) -> None:
        """Load the embedder."""
        self._embedder.in_context(["warm up"])

    def best(self, rows: Matrix, count: int) -> tuple[Matrix, NDArray[np.intp]]:
        """Return the logit of each row by features alone, and the numbers of the best."""
        rough = self._ranking.logits(rows)
        return rough, np.argsort(-rough, kind="stable")[:count]


class Judgement:
    """Picks the evidence for a question, and decides how likely it answers.

    `decision` is a regression over `decision_features` that was fitted for this scorer; None is the
    one that comes with it.
    """

    def __init__(self, scorer: EvidenceScorer, decision: Regression | None = None) -> None:
        self.scorer = scorer
        self.calibrated = decision is not None
        self._decision = decision or decision_for(scorer)

    def select(self, asked: Asked, hits: Sequence[Hit], limit: int) -> list[Evidence]:
        """Return the sentences that bear on a question, best first.

        The first one's `probability` is that it holds the answer; the others' are no greater.
        """
        judged = self.judge(asked, hits)
        if judged is None:
            return []
        top = self._decision.logits(judged.decision[None, :])[0]
        best = judged.scores[judged.order[0]]
        found = [
            Evidence(
                hit=candidate.hit,
                start=candidate.span[0],
                stop=candidate.span[1],
                text=candidate.text,
                probability=float(sigmoid(top + judged.scores[i] - best)),
                answer=_within(candidate.span, judged.spans[i]),
                orders=candidate.orders,
            )
            for i in judged.order
            for candidate in [judged.candidates[i]]
        ]
        return _without_repeats(found)[:limit]

    def judge(self, asked: Asked, hits: Sequence[Hit]) -> "Judged | None":
        """Return how the sentences of passages compare; None if there is none."""
        question = asked.query.text
        every = candidates_of(hits, orders=asks_about_orders(question))
        candidates = [one for one in every if not echoes(one.text, question)]
        if not candidates:
            return None
        rows = features(asked, candidates)
        found = self.scorer.score(question, candidates, rows)
        scores = found.logits - _demotion(question, candidates)
        order = [int(i) for i in np.argsort(-scores, kind="stable")]
        decision = _decision_row(asked, rows, scores, found.told, order, candidates)
        return Judged(candidates, rows, scores, order, decision, found.spans)


@dataclass(frozen=True, slots=True)
class Judged:
    """Sentences compared: their FEATURES, scores, the order from the best on, the
    `decision_features` of the best, and the characters of each that answer, where known."""

    candidates: Sequence[Candidate]
    rows: Matrix
    scores: Matrix
    order: Sequence[int]
    decision: Matrix
    spans: Sequence[Span | None]


def _decision_row(
    asked: Asked,
    rows: Matrix,
    scores: Matrix,
    told: Matrix,
    order: Sequence[int],
    candidates: Sequence[Candidate],
) -> Matrix:
    best = candidates[order[0]]
    others = [scores[i] for i in order if candidates[i].hit is not best.hit]
    score = scores[order[0]]
    wide = set(words(dates_alike(f"{best.hit.place} {best.hit.passage.text}")))
    stems = {stem(word) for word in wide}
    absent = [weight for word, weight in asked.weights.items() if word not in stems]
    numbers = {word for word in words(dates_alike(asked.query.text)) if word.isdigit()}
    return np.array(
        [
            *rows[order[0]],
            max(absent, default=0.0) / asked.total if asked.total else 0.0,
            float(not numbers <= wide),
            float(denies(asked.query.text) != denies(best.text)),
            best.hit.similarity,
            score,
            score - others[0] if others else NO_OTHER,
            score - scores[order[1]] if len(order) > 1 else NO_OTHER,
            *told[order[0]],
        ],
        np.float64,
    )


def _demotion(question: str, candidates: Sequence[Candidate]) -> Matrix:
    """Return what to take from the scores of documents that say they are out of force.

    A question that names such a document's year, or asks for what used to be, means it.
    """
    asked = set(words(question))
    cost = []
    for candidate in candidates:
        document = candidate.hit.document
        name = re.sub("[_-]", " ", f"{document.title}/{document.path}")
        years = {word for word in words(name) if word.isdigit()}
        meant = USED_TO.search(question) or years & asked
        cost.append(SUPERSEDED_COST if OUT_OF_FORCE.search(name) and not meant else 0.0)
    return np.array(cost)


def _without_repeats(found: Sequence[Evidence]) -> list[Evidence]:
    """Leave out sentences that say the same, word for word, as a better one. If that says which day
    it is of, the newest document stands for all that say so."""
    seen: dict[str, Evidence] = {}
    for evidence in found:
        first = seen.setdefault(said_in(evidence.text), evidence)
        if evidence.hit.document.is_newer_than(first.hit.document):
            seen[said_in(evidence.text)] = replace(evidence, probability=first.probability)
    kept = list(seen.values())
    return [replace(e, probability=min(e.probability, kept[0].probability)) for e in kept]


def decision_features(scorer: EvidenceScorer) -> tuple[str, ...]:
    """Return the names of what a decision weighs for a scorer."""
    return (*DECISION_FEATURES, *scorer.tells)


def decision_for(scorer: EvidenceScorer) -> Regression:
    """Return the decision that comes with a scorer."""
    return Regression(scorer.decision(), len(decision_features(scorer)))


def fitted_for() -> str:
    """Return the name of the embedder whose cosines the bundled weights were fitted to."""
    return str(_bundled()["embedder"])


def _within(sentence: Span, span: Span | None) -> Span | None:
    """Return characters of a sentence as characters of its document."""
    return (sentence[0] + span[0], sentence[0] + span[1]) if span and span[0] < span[1] else None


@cache
def _bundled() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return data
