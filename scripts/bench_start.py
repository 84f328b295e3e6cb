"""How long a large library takes to open, and to search for the first time.

    .venv/bin/python -m scripts.bench_start FOLDER [--passages 100000] [--vectors FILE.npy]

FOLDER is left empty. Passages have made-up words and made-up vectors, or those of unit rows of real
text; the embedder is left out of the figures. Ends with one JSON line.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retrieval import Document, Library, Revision
from retrieval.embedder import InContext
from retrieval.types import Change, Passage, Span, Vectors, now

DIMENSIONS = 384
SENTENCES = 5
PASSAGES = 25
"""Of a document."""
STAGED = 400
"""Documents that are stored at once."""
QUESTIONS = 100


class MadeUp:
    """Stands in for an embedder: what it returns has nothing to do with the text."""

    name = "made-up@1"
    dimensions = DIMENSIONS
    max_tokens = 256

    def __init__(self, base: Vectors, seed: int = 0) -> None:
        self._base = base
        self._dice = np.random.default_rng(seed)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a row near one of the base for each text."""
        some = self._base[self._dice.choice(len(self._base), len(texts))]
        near = some + self._dice.standard_normal(some.shape, np.float32) * np.float32(0.03)
        rows: Vectors = near / np.linalg.norm(near, axis=1, keepdims=True)
        return rows

    def tokens(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return nothing: there are no tokens."""
        return [[] for _ in texts]

    def in_context(self, texts: Sequence[str]) -> list[InContext]:
        """Return nothing: there are no tokens."""
        return [([], np.empty((0, DIMENSIONS), np.float32)) for _ in texts]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--vectors", type=Path, help="unit rows of real text")
    parser.add_argument("--open", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    dice = np.random.default_rng(0)
    drawn = dice.standard_normal((20_000, DIMENSIONS), np.float32)
    base = np.load(given.vectors, allow_pickle=False) if given.vectors else drawn
    if given.open:
        print(json.dumps(measure(given.folder, MadeUp(base, 1))))
        return
    try:
        library = Library(given.folder, MadeUp(base))
        began = time.monotonic()
        fill(library, given.passages, MadeUp(base))
        library.close()
        figures = {"bench": "start", "passages": given.passages}
        figures["fill_s"] = round(time.monotonic() - began, 1)
        figures["mib"] = sum(f.stat().st_size for f in given.folder.rglob("*")) >> 20
        command = [sys.executable, "-m", "scripts.bench_start", *sys.argv[1:], "--open"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        print(json.dumps(figures | json.loads(done.stdout)))
    finally:
        shutil.rmtree(given.folder)


def fill(library: Library, passages: int, embedder: MadeUp) -> None:
    """Store documents, of which one in ten is withdrawn again."""
    dice = np.random.default_rng(0)
    ids = [f"{number:016d}" for number in range(passages // PASSAGES)]
    for at in range(0, len(ids), STAGED):
        revisions = [revision(name, dice) for name in ids[at : at + STAGED]]
        texts = [""] * (len(revisions) * PASSAGES)
        vectors, sentences = embedder.embed(texts), embedder.embed(texts * SENTENCES)
        library.stage(revisions, vectors, sentences)
    library.consolidate()
    library.publish(Change(added=ids))
    library.publish(Change(withdrawn=ids[::10], cause="withdraw"))
    library.tidy()


def revision(name: str, dice: np.random.Generator) -> Revision:
    """Return a document of made-up words."""
    words = np.array([f"w{n}" for n in (dice.pareto(0.8, PASSAGES * 120)).astype(int)])
    passages, parts, at = [], [], 0
    for some in words.reshape(PASSAGES, SENTENCES, -1):
        spans = []
        for sentence in some:
            text = " ".join(sentence) + ". "
            spans.append((at, at + len(text) - 1))
            parts.append(text)
            at += len(text)
        text = "".join(parts[-SENTENCES:])
        passages.append(Passage(name, None, (), spans[0][0], at, text, tuple(spans)))
    whole = "".join(parts)
    document = Document(
        id=name,
        source=f"/docs/{name}.txt",
        path=f"{name}.txt",
        title=name,
        sha256=name,
        media_type="text/plain",
        size_bytes=len(whole),
        characters=len(whole),
        page_starts=(),
        reader="none",
        added_at=now(),
    )
    return Revision(document, whole, passages)


def measure(folder: Path, embedder: MadeUp) -> dict[str, Any]:
    """Open a library, search it once, and then again."""
    questions = embedder.embed([""] * QUESTIONS)
    began = time.perf_counter()
    library = Library(folder, embedder)
    snapshot = library.snapshot()
    opened_s = time.perf_counter() - began
    found = snapshot._segments.search(questions[:1], 50, None)
    first_s = time.perf_counter() - began
    ids = [number for number, _ in found[:8]]
    times = [_ms(lambda q=q: snapshot._segments.search(q[None], 50, None)) for q in questions]
    sentences_ms = _ms(lambda: snapshot.sentence_vectors(ids))
    began = time.perf_counter()
    library.publish(Change(withdrawn=[library.documents()[0].id], cause="withdraw"))
    library.snapshot()
    return {
        "open_s": round(opened_s, 3),
        "first_s": round(first_s, 3),
        "next_generation_s": round(time.perf_counter() - began, 3),
        "dense_p50_ms": round(float(np.percentile(times, 50)), 2),
        "dense_p95_ms": round(float(np.percentile(times, 95)), 2),
        "sentences_ms": round(sentences_ms, 2),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _ms(work: Any) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
