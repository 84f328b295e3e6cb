"""Making one ranking of several."""

from collections.abc import Sequence

DEPTH = 60
"""How slowly a rank's weight falls (Cormack, Clarke and Büttcher, SIGIR 2009)."""


def reciprocal_rank(rankings: Sequence[Sequence[int]]) -> dict[int, float]:
    """Return each item's score, best first: the sum over rankings of 1 / (DEPTH + rank)."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + 1 / (DEPTH + rank)
    return dict(sorted(scores.items(), key=lambda pair: -pair[1]))
