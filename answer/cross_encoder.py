"""Scoring evidence with a sentence-transformers cross-encoder, where one is set up."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from answer.errors import JudgeUnavailable
from answer.evidence import DECISION_FEATURES, Close, FeatureScorer, Scores
from answer.features import Candidate
from answer.regression import Matrix
from retrieval import Embedder
from retrieval.embedder import fingerprint
from retrieval.errors import EmbedderUnavailable

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

READ = 12
"""Sentences that are read with the question, of those whose features promise most."""


class CrossEncoderScorer:
    """Reads the question and each sentence together, from a folder or a hub id.

    The model has one output: the logit that the text answers the question. It reads a sentence
    with where it stands and the sentence before it. Calls take turns.
    """

    tells: tuple[str, ...] = ()

    def __init__(self, model: str, embedder: Embedder) -> None:
        folder = Path(model).expanduser()
        if not folder.is_dir() and (model.startswith((".", "/", "~")) or model.count("/") > 1):
            raise JudgeUnavailable(
                f"There is no cross-encoder at {model}: not a folder. Check FOOTNOTE_JUDGE."
            )
        self._features = FeatureScorer(embedder)
        self._lock = threading.Lock()
        self._model = _load(str(folder) if folder.is_dir() else model)
        self.name = (
            f"cross-encoder {folder.name}@{_digest(folder)}"
            if folder.is_dir()
            else (f"cross-encoder {model}")
        )

    def score(self, question: str, candidates: Sequence[Candidate], rows: Matrix) -> Scores:
        """Return one logit a candidate; those that are not read come after those that are."""
        rough, best = self._features.best(rows, READ)
        logits = self._read([(question, candidates[i].in_context) for i in best])
        return Close(rough, best, np.empty((len(best), 0)), [None] * len(best)).scored(logits)

    def warm_up(self) -> None:
        """Do nothing: it is loaded when it is made."""

    def decision(self) -> dict[str, Any]:
        """Return its own logit: nothing was fitted for it."""
        size = len(DECISION_FEATURES)
        weights = [float(name == "score") for name in DECISION_FEATURES]
        return {"mean": [0.0] * size, "scale": [1.0] * size, "weights": weights, "constant": 0.0}

    def _read(self, pairs: Sequence[tuple[str, str]]) -> Matrix:
        with self._lock:
            logits = self._model.predict(list(pairs), batch_size=4, show_progress_bar=False)
        return np.asarray(logits, np.float64).reshape(len(pairs))


def _digest(folder: Path) -> str:
    """Return the start of the SHA-256 of a model's weights: a calibration counts for these."""
    try:
        return fingerprint(folder)[:12]
    except EmbedderUnavailable as problem:
        raise JudgeUnavailable(f"{problem} Check FOOTNOTE_JUDGE.") from problem


def _load(source: str) -> "CrossEncoder":
    from sentence_transformers import CrossEncoder
    from torch.nn import Identity
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model: CrossEncoder = CrossEncoder(
            source, device="cpu", trust_remote_code=False, activation_fn=Identity()
        )
    except Exception as problem:
        raise JudgeUnavailable(
            f"The cross-encoder {source} could not be loaded: {problem} Check FOOTNOTE_JUDGE."
        ) from problem
    made_as = getattr(model.config, "architectures", None) or ()
    if not any(name.endswith("ForSequenceClassification") for name in made_as):
        # Anything else is given a head of random numbers, and would be taken at its word.
        raise JudgeUnavailable(
            f"The model {source} is no cross-encoder: it has no head that was trained to score."
            " Check FOOTNOTE_JUDGE; an embedding model belongs in FOOTNOTE_EMBEDDER."
        )
    if model.num_labels != 1:
        raise JudgeUnavailable(
            f"The cross-encoder {source} has {model.num_labels} outputs. Evidence is scored with"
            " a model that has one, such as those trained on MS MARCO."
        )
    return model
