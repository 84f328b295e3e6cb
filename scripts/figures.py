"""Figures that several benchmarks print: areas, intervals, shares, quantiles."""

import random
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

SAMPLES = 500
"""Of the bootstrap."""

Pairs = Sequence[tuple[bool, float]]
"""Whether something is so, and the score it has."""


def area(pairs: Pairs) -> float | None:
    """Return the area under the ROC curve; None if all are so, or none."""
    flags = [flag for flag, _ in pairs]
    if not any(flags) or all(flags):
        return None
    return round(float(roc_auc_score(flags, [score for _, score in pairs])), 3)


def area_between(right: Sequence[float], wrong: Sequence[float]) -> float | None:
    """Return the area under the ROC curve of scores that should be high and others."""
    return area([*((True, score) for score in right), *((False, score) for score in wrong)])


def interval(values: Sequence[Any], of: Callable[[Sequence[Any]], float | None]) -> list[float]:
    """Return the 95 % interval of a figure, by bootstrap."""
    rng = random.Random(8)
    drawn = [of(rng.choices(values, k=len(values))) for _ in range(SAMPLES)]
    low, high = np.quantile([value for value in drawn if value is not None], (0.025, 0.975))
    return [round(float(low), 3), round(float(high), 3)]


def share(flags: Sequence[bool]) -> float | None:
    """Return the share that is so; None of nothing."""
    return round(statistics.fmean(flags), 3) if flags else None


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """Return the median and the 95th percentile."""
    p50, p95 = np.quantile(seconds, (0.5, 0.95)) * 1000
    return {"p50": round(float(p50), 1), "p95": round(float(p95), 1)}
