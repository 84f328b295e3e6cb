"""A small trained reader: which sentence answers a question, whether one does, and what bears out a
claim. `CARD.md` says what it was trained on and how it does; `scripts/train_judge.py` trains it."""

from answer.evidence import FeatureScorer, Judgement
from answer.judge.judge import Judge, Told
from answer.judge.scorer import JudgeScorer
from retrieval import Embedder

__all__ = ["Judge", "JudgeScorer", "Told", "judged_by"]


def judged_by(embedder: Embedder, judge: Judge) -> Judgement:
    """Return the judgement that comes with the product."""
    return Judgement(JudgeScorer(judge, FeatureScorer(embedder)))
