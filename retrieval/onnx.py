"""Running a sentence-transformers model's transformer with ONNX Runtime, if the vectors stay.

sentence-transformers' own ONNX back-end needs optimum-onnx, which cannot be installed beside the
transformers that sentence-transformers needs. Here it keeps cutting tokens, pooling and
normalising, and only the transformer between them is another.
"""

import hashlib
import io
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime
import torch
from sentence_transformers import SentenceTransformer
from transformers.modeling_outputs import BaseModelOutput

from retrieval.files import sweep, write_durably

TOLERANCE = 1e-5
"""The most that a number of a unit-length vector may differ from torch's."""
OPSET = 18
STATES = "last_hidden_state"
BESIDE_EACH_OTHER = ["word", "Zwölf Anträge – № 12-B", "A sentence of some length. " * 6]
PROBES = [["word"], ["many words " * 400], BESIDE_EACH_OTHER]
"""Texts for comparison: short, too long, and of lengths that must be padded."""


class NotExact(Exception):
    """ONNX Runtime gives other vectors than torch."""


class Graph(torch.nn.Module):
    """Stands in for a transformer: computes its last hidden states with ONNX Runtime."""

    def __init__(self, path: Path, config: Any) -> None:
        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        # Idle threads sleep instead of spinning beside llama.cpp's.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.config = config
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        self._inputs = [given.name for given in self._session.get_inputs()]

    def forward(self, **given: Any) -> BaseModelOutput:
        """Return the states of a batch of tokens, (texts, tokens, dimensions)."""
        (states,) = self._session.run([STATES], {n: given[n].numpy() for n in self._inputs})
        return BaseModelOutput(last_hidden_state=torch.from_numpy(states))


def run_with_onnx(model: SentenceTransformer, folder: Path, fingerprint: str) -> None:
    """Let ONNX Runtime run the model's transformer, once it gave torch's vectors.

    The graph is kept in `folder`, which holds nothing else, under the fingerprint of the model's
    weights and its own SHA-256, and exported again if it is not whole. Whatever is raised, the
    model is as it was.
    """
    first = cast(Any, model[0])
    transformer = first.auto_model
    place = next(name for name, child in first.named_children() if child is transformer)
    expected = _rows(model)
    tokens = cast(Any, model.tokenizer)(BESIDE_EACH_OTHER, padding=True, return_tensors="pt")
    graph = graph_of(transformer, dict(tokens), folder, fingerprint)
    setattr(first, place, graph)
    try:
        difference = float(np.abs(_rows(model) - expected).max())
        if not difference < TOLERANCE:
            raise NotExact(f"its vectors differ from torch's by up to {difference:.1e}")
    except BaseException:
        setattr(first, place, transformer)
        raise


def graph_of(
    transformer: Any, tokens: dict[str, torch.Tensor], folder: Path, fingerprint: str
) -> Graph:
    """Return what computes a transformer's states with ONNX Runtime, kept in `folder`, which holds
    nothing else; `tokens` are an example of what it is given. Whether the states are the same is
    for the caller to see."""
    path = _kept(folder, fingerprint) or _export(transformer, tokens, folder, fingerprint)
    return Graph(path, transformer.config)


def _rows(model: SentenceTransformer) -> Any:
    encoded = (
        model.encode(texts, normalize_embeddings=True, show_progress_bar=False) for texts in PROBES
    )
    return np.concatenate(list(encoded))


def _kept(folder: Path, fingerprint: str) -> Path | None:
    """Return a graph of these weights that is what was written."""
    for path in sorted(folder.glob(f"{fingerprint}-*.onnx")):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if path.stem == f"{fingerprint}-{digest}":
            return path
    return None


def _export(
    transformer: torch.nn.Module, tokens: dict[str, torch.Tensor], folder: Path, fingerprint: str
) -> Path:
    """Write the transformer's graph, whole and under its name at once."""
    graph = _graph(transformer.eval(), tokens)
    path = folder / f"{fingerprint}-{hashlib.sha256(graph).hexdigest()}.onnx"
    write_durably(path, graph)
    sweep(folder, {path.name}, older_than_s=3600)  # drafts that a kill left behind, other graphs
    return path


def _graph(transformer: torch.nn.Module, tokens: dict[str, torch.Tensor]) -> bytes:
    graph = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        # It calls itself old, and says of each branch that it is traced one way. The newer exporter
        # needs more packages; whether a branch was traced wrongly, the vectors tell.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _States(transformer, list(tokens)),
            tuple(tokens.values()),
            cast(Any, graph),
            input_names=list(tokens),
            output_names=[STATES],
            dynamic_axes={name: {0: "text", 1: "token"} for name in [*tokens, STATES]},
            opset_version=OPSET,
            dynamo=False,
        )
    return graph.getvalue()


class _States(torch.nn.Module):
    """A transformer with tensors in a row and one tensor out, which is what a graph has."""

    def __init__(self, transformer: torch.nn.Module, names: list[str]) -> None:
        super().__init__()
        self._transformer = transformer
        self._names = names

    def forward(self, *given: torch.Tensor) -> Any:
        named = dict(zip(self._names, given, strict=True))
        return self._transformer(**named)[STATES]
