"""Which sentences bear on a question, and how likely one of them answers it.

Every sentence of the passages found gets a row of features that a person can read. One
logistic regression ranks sentences; a second, on the best sentence and its lead over the
others, says how likely it is to hold the answer. Both are fitted by
`scripts/fit_evidence.py`, which also says on what; the weights lie in
`evidence_weights.json` beside this file.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from answer.types import Evidence
from retrieval import Embedder, Hit
from retrieval.snapshot import Snapshot
from retrieval.types import Span
from retrieval.words import content_words, stem, words

Matrix = NDArray[np.float64]
WEIGHTS = Path(__file__).with_name("evidence_weights.json")

FEATURES = (
    "similarity",  # cosine of question and sentence
    "coverage",  # share of the question's words in the sentence, by their weight
    "place_coverage",  # the same, in the sentence, the title and the headings
    "passage_coverage",  # the same, in the passage, the title and the headings
    "rare_word_missing",  # share of the weight that the heaviest absent word has
    "asks_number_has_number",
    "asks_number_lacks_number",
    "news",  # log of the number of words that are not the question's
)
DECISION_FEATURES = (
    *FEATURES,
    "score",  # of the ranking, in logits
    "lead",  # over the best sentence of another passage
    "second_lead",  # over the second best sentence of all
)

ASKS_NUMBER = re.compile(
    r"\b(?:when|how (?:many|much|long|old|far|often|big|large|tall|high|deep|fast|soon)"
    r"|what (?:year|date|day|time|percentage|number|amount|age|limit|price|fee|rate)"
    r"|which (?:year|date|day)|cost)\b",
    re.IGNORECASE,
)
DIGIT_OR_SPELT = re.compile(
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|once|twice"
    r"|daily|weekly|monthly|annual(?:ly)?|year(?:ly)?)\b",
    re.IGNORECASE,
)
WEIGHED = 24
"""Sentences a question is compared with closely."""
OUT_OF_FORCE = re.compile(
    r"superseded|obsolete|withdrawn|repealed|no longer in force|out of date|previous|former"
    r"|\bold\b",
    re.IGNORECASE,
)
SUPERSEDED_COST = 2.0
"""In logits: a text that is out of force must be seven times likelier to be shown first."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence of a passage that was found."""

    hit: Hit
    span: Span

    @property
    def text(self) -> str:
        """The sentence."""
        start = self.hit.passage.start
        return self.hit.passage.text[self.span[0] - start : self.span[1] - start]


class Regression:
    """A logistic regression: standardised features, weights, a constant."""

    def __init__(self, data: dict[str, list[float] | float]) -> None:
        self._mean = np.array(data["mean"])
        self._scale = np.array(data["scale"])
        self._weights = np.array(data["weights"])
        self._constant = float(np.array(data["constant"]))

    def logits(self, features: Matrix) -> Matrix:
        """Return one logit per row."""
        rows = (features - self._mean) / self._scale
        return np.asarray(rows @ self._weights + self._constant, np.float64)


def select(
    question: str, hits: Sequence[Hit], snapshot: Snapshot, embedder: Embedder, limit: int
) -> list[Evidence]:
    """Return the sentences that bear on a question, best first.

    The first one's `probability` is that it holds the answer; the others' are no greater.
    """
    candidates = sentences_of(question, hits, snapshot)
    if not candidates:
        return []
    rows = features(question, candidates, snapshot, embedder)
    ranking, decision = _regressions()
    scores = ranking.logits(rows) - _demotion(question, candidates)
    order = np.argsort(-scores, kind="stable")
    top = decision.logits(decision_features(rows, scores, order, candidates)[None, :])[0]
    found = [
        Evidence(
            hit=candidates[i].hit,
            start=candidates[i].span[0],
            stop=candidates[i].span[1],
            text=candidates[i].text,
            probability=_sigmoid(top + scores[i] - scores[order[0]]),
        )
        for i in order[:limit]
    ]
    return _without_repeats(found)


def sentences_of(question: str, hits: Sequence[Hit], snapshot: Snapshot) -> list[Candidate]:
    """Return the sentences of the passages found that are worth a closer look, at most WEIGHED.

    Embedding a sentence takes milliseconds, looking at its words microseconds: those go on
    whose passage is near to the question and which hold most of its words.
    """
    candidates = [Candidate(hit, span) for hit in hits for span in hit.passage.sentences]
    weights = snapshot.weights(_asked(question))
    promise = [c.hit.similarity + _covered(weights, _stems(c.text)) for c in candidates]
    best = np.argsort(-np.array(promise), kind="stable")[:WEIGHED]
    return [candidates[i] for i in sorted(best)]


def features(
    question: str, candidates: Sequence[Candidate], snapshot: Snapshot, embedder: Embedder
) -> Matrix:
    """Return one row of FEATURES per candidate: shape (candidates, features)."""
    asked = _asked(question)
    weights = snapshot.weights(asked)
    texts = (f"{c.hit.document.title}: {c.text}" for c in candidates)
    vectors = embedder.embed([question, *texts])
    similarity = vectors[1:] @ vectors[0]
    return np.array(
        [
            _row(question, candidate, float(cosine), weights)
            for candidate, cosine in zip(candidates, similarity, strict=True)
        ],
        np.float64,
    )


def _row(
    question: str, candidate: Candidate, cosine: float, weights: dict[str, float]
) -> list[float]:
    hit = candidate.hit
    here = _stems(candidate.text)
    around = _stems(" ".join((hit.document.title, *hit.passage.heading)))
    wide = around | _stems(hit.passage.text)
    return [
        cosine,
        _covered(weights, here),
        _covered(weights, here | around),
        _covered(weights, wide),
        _missing(weights, wide),
        *_answer_type(question, candidate.text),
        float(np.log1p(len(here - set(weights)))),
    ]


def decision_features(
    rows: Matrix, scores: Matrix, order: NDArray[np.intp], candidates: Sequence[Candidate]
) -> Matrix:
    """Return DECISION_FEATURES of the best sentence: shape (features,)."""
    best = order[0]
    mine = candidates[best].hit.passage
    others = [scores[i] for i in order if candidates[i].hit.passage is not mine]
    lead = scores[best] - others[0] if others else 5.0
    second = scores[best] - scores[order[1]] if len(order) > 1 else 5.0
    return np.array([*rows[best], scores[best], lead, second], np.float64)


def _demotion(question: str, candidates: Sequence[Candidate]) -> Matrix:
    """Return what to take from the scores of documents that say they are out of force.

    A question that names such a document's year, or asks for what used to be, means it.
    """
    asked = set(words(question))
    cost = []
    for candidate in candidates:
        document = candidate.hit.document
        name = f"{document.title} {document.path}"
        years = {word for word in words(name) if word.isdigit()}
        meant = OUT_OF_FORCE.search(question) or years & asked
        cost.append(SUPERSEDED_COST if OUT_OF_FORCE.search(name) and not meant else 0.0)
    return np.array(cost)


@cache
def _regressions() -> tuple[Regression, Regression]:
    data = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return Regression(data["ranking"]), Regression(data["decision"])


def _without_repeats(found: Sequence[Evidence]) -> list[Evidence]:
    """Leave out sentences that say the same, word for word, as a better one."""
    seen: dict[tuple[str, ...], Evidence] = {}
    for evidence in found:
        seen.setdefault(tuple(words(evidence.text)), evidence)
    kept = list(seen.values())
    return [replace(e, probability=min(e.probability, kept[0].probability)) for e in kept]


def _asked(question: str) -> list[str]:
    return list(dict.fromkeys(stem(word) for word in content_words(question)))


def _stems(text: str) -> set[str]:
    return {stem(word) for word in words(text)}


def _covered(weights: dict[str, float], there: set[str]) -> float:
    total = sum(weights.values())
    return sum(w for word, w in weights.items() if word in there) / total if total else 0.0


def _missing(weights: dict[str, float], there: set[str]) -> float:
    total = sum(weights.values())
    absent = [w for word, w in weights.items() if word not in there]
    return max(absent, default=0.0) / total if total else 0.0


def _answer_type(question: str, text: str) -> tuple[float, float]:
    asks = bool(ASKS_NUMBER.search(question))
    has = bool(DIGIT_OR_SPELT.search(text))
    return float(asks and has), float(asks and not has)


def _sigmoid(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))
