"""Transformers as graphs that ONNX Runtime runs, kept in a folder once they gave torch's numbers.

Importing torch and sentence-transformers takes seconds, which a kept graph spares every process.
Beside each graph lie the numbers that torch gave for a few probes. They are computed anew and
compared whenever the graph is opened, so neither another runtime nor another processor is trusted.
"""

import hashlib
import io
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from retrieval.files import sweep, write_durably
from retrieval.types import Vectors

STATES = "last_hidden_state"
VERSION = str(onnxruntime.__version__)
DRAFTS_S = 3600
"""Age of what a kill left behind, and of other graphs, from which on it is swept away."""

Given = Mapping[str, NDArray[np.int64]]
"""Tokens as a transformer takes them: arrays of shape (texts, tokens)."""


class NotExact(Exception):
    """ONNX Runtime gives other numbers than torch."""


class Graph:
    """A transformer's graph, which computes the last hidden states of tokens."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _threads()
        # Idle threads sleep instead of spinning beside llama.cpp's.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session: Any = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        self._inputs = [given.name for given in self._session.get_inputs()]

    def states(self, given: Given) -> Vectors:
        """Return the states of a batch of tokens: (texts, tokens, dimensions)."""
        (states,) = self._session.run([STATES], {name: given[name] for name in self._inputs})
        found: Vectors = states
        return found


def graph_of(
    folder: Path,
    fingerprint: str,
    rows_of: Callable[[Graph], Vectors],
    tolerance: float,
    write: Callable[[], tuple[bytes, Vectors]],
) -> Graph:
    """Return the graph that is kept, or else keep what `write` gives: a graph, and what torch makes
    of the probes. Raises NotExact if even that gives other numbers."""
    found = kept(folder, fingerprint, rows_of, tolerance)
    return found or keep(folder, fingerprint, *write(), rows_of, tolerance)


def kept(
    folder: Path, fingerprint: str, rows_of: Callable[[Graph], Vectors], tolerance: float
) -> Graph | None:
    """Return the graph of the weights with a fingerprint, None if there is none that is whole and
    gives what torch gave for the probes; `rows_of` says what they come to with a graph."""
    for path in sorted(folder.glob(f"{fingerprint}-*.onnx")):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if path.stem == f"{fingerprint}-{digest}" and (expected := _rows(path)) is not None:
            graph = Graph(path)
            try:
                _compare(rows_of(graph), expected, tolerance)
            except NotExact as problem:  # of other probes, or a damaged file: torch will tell
                logging.getLogger(__name__).warning("%s: %s", path.name, problem)
                continue
            return graph
    return None


def keep(
    folder: Path,
    fingerprint: str,
    graph: bytes,
    expected: Vectors,
    rows_of: Callable[[Graph], Vectors],
    tolerance: float,
) -> Graph:
    """Keep a graph in a folder that holds nothing else, with what torch makes of the probes.

    Raises NotExact, once it is kept, if it gives other numbers.
    """
    path = folder / f"{fingerprint}-{hashlib.sha256(graph).hexdigest()}.onnx"
    rows = io.BytesIO()
    np.save(rows, expected, allow_pickle=False)
    write_durably(path.with_suffix(".npy"), rows.getvalue())
    write_durably(path, graph)
    sweep(folder, {path.name, path.with_suffix(".npy").name}, older_than_s=DRAFTS_S)
    made = Graph(path)
    _compare(rows_of(made), expected, tolerance)
    return made


def _threads() -> int:
    """Return what OpenMP would be told; 0 is as many as there are cores."""
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(told) if told.isdecimal() else 0


def _rows(path: Path) -> Vectors | None:
    """Return what torch made of the probes, None if that cannot be read."""
    try:
        rows = np.load(path.with_suffix(".npy"), allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return rows if isinstance(rows, np.ndarray) and rows.dtype == np.float32 else None


def _compare(mine: Vectors, expected: Vectors, tolerance: float) -> None:
    if mine.shape != expected.shape:
        raise NotExact(f"its numbers are of shape {mine.shape} and not {expected.shape}")
    if not (difference := float(np.abs(mine - expected).max())) < tolerance:
        raise NotExact(f"its numbers differ from torch's by up to {difference:.1e}")
