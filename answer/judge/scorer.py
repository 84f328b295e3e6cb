"""Scoring evidence with the judge."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from answer.evidence import Close, FeatureScorer, Scores
from answer.features import Candidate
from answer.judge.judge import NOTHING, Judge, Readable, Told
from answer.regression import Matrix, Regression, digest_of
from retrieval import Hit

SENTENCES = 12
"""Sentences whose passages are read, of those whose features promise most."""
PASSAGES = 3
"""Passages that are read at most, 35 ms each. Reading six found nothing more on the public kit."""
SURE = -1.6
"""Least log probability of words that are pointed out: one in five."""


class JudgeScorer:
    """Reads the passages whose sentences promise most, and weighs what the judge says of them."""

    tells = (
        "answers",  # log odds of the sentence against "nothing in this passage answers"
        "answerable",  # the same of all sentences of the passage together
        "pointed",  # log probability of the likeliest words of the sentence to be the answer
    )

    def __init__(
        self, judge: Judge, features: FeatureScorer, reading: Regression | None = None
    ) -> None:
        """`features` say what is worth reading; `reading` is over their logit and what the judge
        tells."""
        self.judge = judge
        self._features = features
        self._reading = reading or Regression(judge.fitted["reading"], 1 + len(self.tells))
        self._usual = np.zeros(len(self.tells))
        if judge.fitted:
            self._usual = np.array(judge.fitted["decision"]["mean"][-len(self.tells) :])
        weighed = {**judge.fitted, "ranking": features.ranking}
        self.name = f"{judge.name}.{digest_of(weighed)}" if judge.fitted else judge.name

    def decision(self) -> dict[str, Any]:
        """Return the decision that was fitted for it."""
        found: dict[str, Any] = self.judge.fitted["decision"]
        return found

    def warm_up(self) -> None:
        """Load the judge."""
        self.judge.read("warm up", [Readable("", ("warm up",))])

    def score(self, question: str, candidates: Sequence[Candidate], rows: Matrix) -> Scores:
        """Return one logit a candidate; those that are not read come after those that are."""
        return self.closely(question, candidates, rows).scores(self._reading)

    def closely(self, question: str, candidates: Sequence[Candidate], rows: Matrix) -> Close:
        """Read the passages whose sentences promise most.

        Of a question in a script that the judge does not read it tells what it tells on average.
        """
        rough, best = self._features.best(rows, SENTENCES)
        if not self.judge.can_read(question):
            return Close(rough, best, np.tile(self._usual, (len(best), 1)), [None] * len(best))
        told = self._told(question, _first([candidates[i].hit for i in best]))
        read = np.array([i for i, c in enumerate(candidates) if id(c.hit) in told], np.intp)
        says, spans = [], []
        for candidate in (candidates[i] for i in read):
            judged = told[id(candidate.hit)]
            says.append(_row(judged, candidate.number))
            sure = judged.pointed[candidate.number] >= SURE
            spans.append(judged.spans[candidate.number] if sure else None)
        return Close(rough, read, np.array(says, np.float64), spans)

    def _told(self, question: str, hits: Sequence[Hit]) -> dict[int, Told]:
        passages = [Readable(hit.place, hit.passage.quotable) for hit in hits]
        found = self.judge.read(question, passages)
        return {id(hit): judged for hit, judged in zip(hits, found, strict=True)}


def _first(hits: Sequence[Hit]) -> list[Hit]:
    """Return the first passages, each once."""
    return list({id(hit): hit for hit in hits}.values())[:PASSAGES]


def _row(judged: Told, number: int) -> list[float]:
    # Far down it makes no difference how far.
    said = (judged.answers[number], judged.answerable, judged.pointed[number])
    return [max(float(value), NOTHING) for value in said]
