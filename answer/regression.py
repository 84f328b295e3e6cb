"""Logistic regressions: what weighs the features of evidence, and makes probabilities of them."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


class Regression:
    """A logistic regression: standardised features, weights, a constant; and, where given, the
    least and the most that a feature counts for: a straight line says nothing of what lies beyond
    what it was fitted to.

    Raises ValueError if there is not one of each for each of `features`, where that is given.
    """

    def __init__(self, data: dict[str, Any], features: int | None = None) -> None:
        self.data = data
        self._mean, self._scale, self._weights = (
            np.array(data[name], np.float64) for name in ("mean", "scale", "weights")
        )
        size = len(data["weights"]) if features is None else features
        self._least = np.array(data.get("least", np.full(size, -np.inf)), np.float64)
        self._most = np.array(data.get("most", np.full(size, np.inf)), np.float64)
        given = (self._mean, self._scale, self._weights, self._least, self._most)
        if {each.shape for each in given} != {(size,)}:
            raise ValueError(f"it was not fitted to {size} features")
        self._constant = float(data["constant"])

    def logits(self, features: Matrix) -> Matrix:
        """Return one logit a row."""
        rows = (features.clip(self._least, self._most) - self._mean) / self._scale
        return np.asarray(rows @ self._weights + self._constant, np.float64)

    def probabilities(self, features: Matrix) -> Matrix:
        """Return one probability a row."""
        return sigmoid(self.logits(features))


def rounded(values: Iterable[float]) -> list[float]:
    """Return numbers as weights are written: with six digits."""
    return [round(float(value), 6) for value in values]


def digest_of(weights: dict[str, Any]) -> str:
    """Return the start of a hash: what was calibrated with other weights does not count."""
    return hashlib.sha256(json.dumps(weights, sort_keys=True).encode()).hexdigest()[:6]


def sigmoid(logits: Matrix) -> Matrix:
    """Return the probabilities that logits stand for."""
    # Of the hyperbolic tangent, since the exponential of a large logit overflows.
    return np.asarray(0.5 * (1 + np.tanh(np.asarray(logits, np.float64) / 2)), np.float64)
