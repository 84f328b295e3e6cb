"""What runs an embedding model: sentence-transformers on torch, or ONNX Runtime alone.

ONNX Runtime needs neither torch nor sentence-transformers, whose import takes seconds, and is a
third faster. Then tokens are cut, pooled and normalised here, as the model's folder says.
"""

import copy
import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from retrieval.errors import EmbedderUnavailable
from retrieval.types import Span, Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from retrieval.onnx import Graph

BATCH = 8
"""Texts at once; ONNX Runtime keeps the memory of the largest batch, and more is slower."""
TOLERANCE = 1e-5
"""The most that a number of a unit-length vector may differ from torch's."""
LONGEST = 1_000_000
"""Tokens read of a model without a limit of its own."""
UNEVEN = ["word", "Zwölf Anträge – № 12-B", "A sentence of some length. " * 6]
PROBES = [["word"], ["many words " * 400], UNEVEN]
"""Texts for comparison: short, too long, and of lengths that must be padded."""


class Backend(Protocol):
    """Runs a model. Calls take turns where they must."""

    @property
    def dimensions(self) -> int:
        """The length of a row."""

    @property
    def longest(self) -> int:
        """The most tokens of a text that are read, special tokens counted."""

    def rows(self, texts: Sequence[str]) -> Vectors:
        """Return one row of unit length a text: float32, shape (len(texts), dimensions)."""

    def states(self, texts: Sequence[str]) -> list[tuple[list[Span], Vectors]]:
        """Return for each text the characters of each of its tokens, and a state for each."""

    def tokens(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the characters of each token of each text, however long it is."""


def backend_of(
    folder: Path, label: str, graphs: Path | None, fingerprint: str
) -> tuple[Backend, str]:
    """Return what runs a model, and what that is in words: ONNX Runtime if it gives torch's
    vectors and there is a folder for graphs; and if it does not, why."""
    if graphs is None:
        return _on_torch(TorchBackend(folder, label))
    torch: TorchBackend | None = None
    try:
        from retrieval import onnx

        shape = Shape(folder)

        def probed(graph: "Graph") -> Vectors:
            return _probed(GraphBackend(shape, graph).rows)

        def written() -> tuple[bytes, Vectors]:
            from retrieval.exporting import exported

            nonlocal torch
            torch = TorchBackend(folder, label)
            made = exported(torch.transformer, shape.given(shape.cut(UNEVEN)))
            return made, _probed(torch.rows)

        graph = onnx.graph_of(graphs, fingerprint, probed, TOLERANCE, written)
        return GraphBackend(shape, graph), f"ONNX Runtime {onnx.VERSION} (exact)"
    except EmbedderUnavailable:
        raise
    except Exception as problem:  # of an exporter, a runtime or a disk: torch needs none of them
        logging.getLogger(__name__).warning("ONNX Runtime is not used", exc_info=True)
        backend, plain = _on_torch(torch or TorchBackend(folder, label))
        why = f"ONNX Runtime is not used: {type(problem).__name__}: {problem}"
        return backend, f"{plain}; {why}"


def _on_torch(backend: "TorchBackend") -> tuple[Backend, str]:
    import torch

    return backend, f"torch {torch.__version__} on {torch.get_num_threads()} threads"


def _probed(rows_of: Callable[[Sequence[str]], Vectors]) -> Vectors:
    return np.concatenate([rows_of(texts) for texts in PROBES])


class Shape:
    """What a model does before and after its transformer: cutting tokens, pooling, normalising.

    Raises ValueError, OSError or KeyError if its folder does not say, or says anything that only
    sentence-transformers can do.
    """

    def __init__(self, folder: Path) -> None:
        modules = _json(folder / "modules.json")
        kinds = [module["type"].rpartition(".")[2] for module in modules]
        if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
            raise ValueError(f"it is made of {', '.join(kinds)}")
        first, second = (folder / module["path"] for module in modules[:2])
        pooling = _json(second / "config.json")
        modes = [name.removeprefix("pooling_mode_") for name, on in pooling.items() if on is True]
        if modes not in (["mean_tokens"], ["cls_token"]):
            raise ValueError(f"it pools by {', '.join(modes) or 'nothing known'}")
        self.pools_first = modes == ["cls_token"]
        self.dimensions = int(pooling["word_embedding_dimension"])
        stated = _json(first / "sentence_bert_config.json")
        if stated.get("do_lower_case"):
            raise ValueError("it lowers case by itself")
        self.longest = int(stated["max_seq_length"])
        self.padding = int(_json(first / "config.json").get("pad_token_id") or 0)
        self._reads = Tokenizer.from_file(str(first / "tokenizer.json"))
        self._reads.no_padding()
        self._reads.enable_truncation(self.longest)
        self._counts = Tokenizer.from_file(str(first / "tokenizer.json"))
        self._counts.no_padding()
        self._counts.no_truncation()

    def cut(self, texts: Sequence[str]) -> list[Encoding]:
        """Return the tokens that are read of each text."""
        return self._reads.encode_batch([*texts])

    def count(self, texts: Sequence[str]) -> list[Encoding]:
        """Return all tokens of each text, without special ones."""
        return self._counts.encode_batch([*texts], add_special_tokens=False)

    def given(self, cut: Sequence[Encoding]) -> dict[str, NDArray[np.int64]]:
        """Return tokens as a transformer takes them: arrays of shape (texts, tokens)."""
        size = max(len(encoding.ids) for encoding in cut)
        ids = np.full((len(cut), size), self.padding, np.int64)
        mask, kinds = np.zeros_like(ids), np.zeros_like(ids)
        for row, encoding in enumerate(cut):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = 1
            kinds[row, : len(encoding.ids)] = encoding.type_ids
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds}


class GraphBackend:
    """ONNX Runtime, on a model's graph."""

    def __init__(self, shape: Shape, graph: "Graph") -> None:
        self._shape = shape
        self._graph = graph
        self._lock = threading.Lock()
        self.longest = shape.longest
        self.dimensions = shape.dimensions

    def rows(self, texts: Sequence[str]) -> Vectors:
        """Return one row of unit length a text: float32, shape (len(texts), dimensions)."""
        cut = self._shape.cut(texts)
        first = self._shape.pools_first
        pooled = {i: states[0].copy() if first else states.mean(0) for i, states in self._read(cut)}
        return unit(np.stack([pooled[i] for i in range(len(cut))]))

    def states(self, texts: Sequence[str]) -> list[tuple[list[Span], Vectors]]:
        """Return for each text the characters of each of its tokens, and a state for each."""
        cut = self._shape.cut(texts)
        states = dict(self._read(cut))
        read = []
        for i, encoding in enumerate(cut):
            own = [at for at, special in enumerate(encoding.special_tokens_mask) if not special]
            read.append(([encoding.offsets[at] for at in own], states[i][own]))
        return read

    def tokens(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the characters of each token of each text, however long it is."""
        return [list(encoding.offsets) for encoding in self._shape.count(texts)]

    def _read(self, cut: Sequence[Encoding]) -> Iterator[tuple[int, Vectors]]:
        """Yield the states of each text, without those of what fills it up, texts of like lengths
        read together."""
        order = sorted(range(len(cut)), key=lambda i: -len(cut[i].ids))
        for at in range(0, len(order), BATCH):
            some = order[at : at + BATCH]
            with self._lock:
                states = self._graph.states(self._shape.given([cut[i] for i in some]))
            for i, own in zip(some, states, strict=True):
                yield i, own[: len(cut[i].ids)].copy()  # or it would hold its whole batch


class TorchBackend:
    """sentence-transformers, which can run any of its models."""

    def __init__(self, folder: Path, label: str) -> None:
        self._model = _load(folder, label)
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        # Its own, which need not wait for an embedding to end.
        self._tokenizer: Any = copy.deepcopy(self._model.tokenizer)
        self.longest = int(min(self._model.max_seq_length or 512, LONGEST))
        size = self._model.get_embedding_dimension()
        if size is None:
            raise EmbedderUnavailable(f"{label} does not say how long its vectors are.")
        self.dimensions = int(size)

    @property
    def transformer(self) -> Any:
        """The transformer within. Raises AttributeError if there is none."""
        return cast(Any, self._model[0]).auto_model

    def rows(self, texts: Sequence[str]) -> Vectors:
        """Return one row of unit length a text: float32, shape (len(texts), dimensions)."""
        with self._lock:
            rows = self._model.encode(
                list(texts), batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False
            )
        return np.ascontiguousarray(rows, dtype=np.float32)

    def states(self, texts: Sequence[str]) -> list[tuple[list[Span], Vectors]]:
        """Return for each text the characters of each of its tokens, and a state for each."""
        with self._lock:
            states: Any = self._model.encode(
                list(texts),
                output_value="token_embeddings",
                batch_size=BATCH,
                show_progress_bar=False,
            )
        found = self._tokenized(
            texts,
            add_special_tokens=True,
            truncation=True,
            max_length=self.longest,
            return_special_tokens_mask=True,
        )
        both = zip(found["offset_mapping"], found["special_tokens_mask"], states, strict=True)
        read = []
        for spans, special, rows in both:
            own = [at for at in range(min(len(spans), len(rows))) if not special[at]]
            read.append((_spans(spans[at] for at in own), np.asarray(rows, np.float32)[own]))
        return read

    def tokens(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the characters of each token of each text, however long it is."""
        found = self._tokenized(texts, add_special_tokens=False, truncation=False)
        return [_spans(spans) for spans in found["offset_mapping"]]

    def _tokenized(self, texts: Sequence[str], **how: Any) -> Any:
        with self._counting:
            return self._tokenizer(
                list(texts), padding=False, return_offsets_mapping=True, verbose=False, **how
            )


def _load(folder: Path, label: str) -> "SentenceTransformer":
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        return SentenceTransformer(str(folder), device="cpu", trust_remote_code=False)
    except Exception as problem:
        raise EmbedderUnavailable(
            f"The embedding model {label} could not be loaded: {problem} Check FOOTNOTE_EMBEDDER."
        ) from problem


def _spans(pairs: Any) -> list[Span]:
    return [(int(a), int(b)) for a, b in pairs]


def unit(rows: Vectors) -> Vectors:
    """Return rows of unit length."""
    norms: Vectors = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return np.ascontiguousarray(rows / norms, dtype=np.float32)


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
