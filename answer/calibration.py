"""Fitting the decision whether evidence answers to one library.

It is fitted on what was found for questions whose document is known (`answer/trials.py`). The
result lies in `calibration.json` in the library's folder, and counts for the embedder and the
scorer it was made with.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from answer.errors import CalibrationImpossible
from answer.evidence import EvidenceScorer, decision_features, decision_for
from answer.regression import Matrix, Regression, rounded
from answer.trials import Trial
from retrieval.files import write_durably

Way: TypeAlias = Callable[[Matrix, Any], Regression]
"""A way to fit a regression to rows and whether each is right."""
FILE = "calibration.json"
FOLDS = 5
LEAST_QUESTIONS = 30
"""With fewer, a fit says more about chance than about the library."""
LEAST_HELD_OUT = 10
STRENGTHS = (0.01, 0.1, 1.0)
"""How far the features may be weighed anew (the C of the regression)."""
LEAST_SPREAD = 1e-5
"""With less a feature is the same of all questions."""
BEYOND = (1, 99)
"""Percentiles of a feature that bound what it counts for."""


@dataclass(frozen=True, slots=True)
class Point:
    """What a threshold would do: the share of unanswerable questions that are answered, of
    answerable ones that are refused, and of those answered that are answered wrongly."""

    threshold: float
    false_answers: float
    false_refusals: float
    wrong: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """A decision fitted to a library, and how it does on questions it was not fitted on."""

    scorer: str
    embedder: str
    generation: int
    questions: int
    held_out: int
    cost: float
    threshold: float
    decision: dict[str, Any]
    before: dict[str, float]
    after: dict[str, float]
    curve: tuple[Point, ...]

    def save(self, home: Path) -> None:
        """Keep it with the library, on disk when this returns."""
        text = json.dumps(asdict(self), indent=1) + "\n"
        write_durably(home / FILE, text.encode("utf-8"))


def saved(home: Path, scorer: EvidenceScorer, embedder: str) -> tuple[Regression, float] | None:
    """Return the decision and threshold that a library was calibrated with, if they still count.

    Raises CalibrationImpossible if the file cannot be read.
    """
    path = home / FILE
    if not path.exists():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if (data["scorer"], data["embedder"]) != (scorer.name, embedder):
            return None
        features = decision_features(scorer)
        if data["decision"]["features"] != list(features):
            return None  # made by another release
        threshold = float(data["threshold"])
        decision = Regression(data["decision"], len(features))
        told = decision.logits(np.zeros((1, len(features))))
        if not (0 <= threshold <= 1 and np.isfinite(told).all()):
            raise ValueError("it has a number that cannot be")
        return decision, threshold
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise CalibrationImpossible(
            f"{path} cannot be read ({problem}). Delete it, or run `footnote calibrate` again."
        ) from problem


def calibrate(
    found: Sequence[Trial],
    scorer: EvidenceScorer,
    embedder: str,
    generation: int,
    cost: float,
) -> Calibration:
    """Fit the decision; `cost` is what a wrong answer costs, in what a right one earns.

    Of a few ways to fit, the one is taken that does best on questions it was not fitted on; to
    rescale what comes with the product is among them.
    Raises CalibrationImpossible.
    """
    rows = np.array([trial.row for trial in found])
    right = np.array([trial.right for trial in found])
    questions = sum(trial.answerable for trial in found)
    held_out = len(found) - questions
    if questions == len(found) and questions:
        raise CalibrationImpossible(
            "With the document that answers a question held out, there is nothing left to find:"
            " add documents."
        )
    if questions < LEAST_QUESTIONS or not right.any() or right.all():
        raise CalibrationImpossible(
            f"There are {questions} questions, {int(right.sum())} of them answered rightly."
            f" At least {LEAST_QUESTIONS} are needed, and some answered each way: add documents,"
            " or give a file of questions."
        )
    if held_out < LEAST_HELD_OUT:
        raise CalibrationImpossible(
            f"Of {questions} questions only {held_out} cannot be answered any more with their"
            f" document held out. At least {LEAST_HELD_OUT} are needed: add documents."
        )
    prior = decision_for(scorer)
    ways: list[Way] = [partial(fitted, strength) for strength in STRENGTHS]
    ways.append(partial(_rescaled, prior))
    folds = np.array([trial.number % FOLDS for trial in found])
    tried = [(_unseen(way, rows, right, folds), way) for way in ways]
    unseen, way = min(tried, key=lambda one: _log_loss(one[0], right))
    threshold = cost / (1 + cost)
    return Calibration(
        scorer=scorer.name,
        embedder=embedder,
        generation=generation,
        questions=questions,
        held_out=held_out,
        cost=cost,
        threshold=round(threshold, 4),
        decision={"features": list(decision_features(scorer)), **way(rows, right).data},
        before=_quality(prior.probabilities(rows), right, found),
        after=_quality(unseen, right, found),
        curve=tuple(
            _point(unseen, right, found, at)
            for at in sorted({round(threshold, 4), *(n / 20 for n in range(1, 20))})
        ),
    )


def point_at(calibration: Calibration) -> Point:
    """Return what the point of the curve nearest to the threshold would do."""
    return min(calibration.curve, key=lambda point: abs(point.threshold - calibration.threshold))


def fitted(
    strength: float, rows: Matrix, right: Any, importance: Sequence[float] | None = None
) -> Regression:
    """Fit a regression to rows and whether each is right; `strength` is its C, and `importance`
    how much each row counts. What few rows go beyond (BEYOND) counts no further."""
    from sklearn.linear_model import LogisticRegression

    least, most = np.percentile(rows, BEYOND, axis=0)
    rows = rows.clip(least, most)
    mean, scale = rows.mean(0), rows.std(0)
    scale[scale < LEAST_SPREAD] = 1.0
    model = LogisticRegression(C=strength, max_iter=1000)
    model.fit((rows - mean) / scale, right, sample_weight=importance)
    return Regression(
        {
            "least": rounded(least),
            "most": rounded(most),
            "mean": rounded(mean),
            "scale": rounded(scale),
            "weights": rounded(model.coef_[0]),
            "constant": round(float(model.intercept_[0]), 6),
        }
    )


def _rescaled(prior: Regression, rows: Matrix, right: Any) -> Regression:
    """Fit a factor and a constant to what there is (Platt 1999)."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1.0).fit(prior.logits(rows)[:, None], right)
    factor, constant = float(model.coef_[0][0]), float(model.intercept_[0])
    data = prior.data
    return Regression(
        {
            **data,
            "weights": [factor * weight for weight in data["weights"]],
            "constant": factor * data["constant"] + constant,
        }
    )


def _unseen(way: Way, rows: Matrix, right: Any, folds: Any) -> Matrix:
    """Return the probability of each row by a fit that saw neither it nor the other trial of its
    question: both are in one fold."""
    probability = np.full(len(rows), right.mean())
    for number in range(FOLDS):
        inside = folds != number
        if right[inside].any() and not right[inside].all():
            fit = way(rows[inside], right[inside])
            probability[~inside] = fit.probabilities(rows[~inside])
    return probability


def _log_loss(probability: Matrix, right: Any) -> float:
    clipped = probability.clip(1e-6, 1 - 1e-6)
    return float(-np.mean(np.where(right, np.log(clipped), np.log(1 - clipped))))


def _quality(probability: Matrix, right: Any, found: Sequence[Trial]) -> dict[str, float]:
    """Return how well probabilities tell: log loss, Brier score, calibration error, and the area
    under the curve of answerable against held-out questions."""
    from sklearn.metrics import roc_auc_score

    bins = np.minimum((probability * 10).astype(int), 9)
    error = sum(
        abs(probability[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean()
        for b in set(bins.tolist())
    )
    answerable = [trial.answerable for trial in found]
    return {
        "log_loss": round(_log_loss(probability, right), 4),
        "brier": round(float(np.mean((probability - right) ** 2)), 4),
        "calibration_error": round(float(error), 4),
        "auc": round(float(roc_auc_score(answerable, probability)), 4),
    }


def _point(probability: Matrix, right: Any, found: Sequence[Trial], threshold: float) -> Point:
    answerable = np.array([trial.answerable for trial in found])
    said = probability >= threshold
    return Point(
        threshold=threshold,
        false_answers=_share(said[~answerable]),
        false_refusals=_share(~said[answerable]),
        wrong=_share(~right[said & answerable]),
    )


def _share(flags: Any) -> float:
    return round(float(np.mean(flags)), 3) if len(flags) else 0.0
