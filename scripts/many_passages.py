"""Libraries of any size, out of the sentences of a real one, for benchmarks.

A made-up passage is five sentences of as many documents, and its vector the mean of theirs, moved a
little: words are as common as they really are, and no passage is like another.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval import Document, Embedder, Library, Passage, Revision
from retrieval.snapshot import Snapshot
from retrieval.types import Change, Vectors, now

SENTENCES = 5
PASSAGES = 20
"""Of a document."""
STAGED = 250
"""Documents that are stored at once."""
NOISE = 0.02


@dataclass(frozen=True, slots=True)
class Pool:
    """Sentences, and a unit-length row for each."""

    texts: list[str]
    vectors: Vectors

    @classmethod
    def of(cls, snapshot: Snapshot, most: int = 60_000) -> "Pool":
        """Return sentences of a library."""
        texts, rows = [], []
        for ids, passages in snapshot.every_passage():
            vectors = snapshot.sentence_vectors(ids)
            for number, passage in zip(ids, passages, strict=True):
                if number in vectors:
                    start = passage.start
                    texts += [passage.text[a - start : b - start] for a, b in passage.sentences]
                    rows.append(vectors[number])
            if len(texts) >= most:
                break
        return cls(texts[:most], np.concatenate(rows)[:most])


def many(home: Path, pool: Pool, passages: int, embedder: Embedder) -> Library:
    """Return a library of so many passages; made unless it is there."""
    library = Library(home, embedder)
    if library.generation:
        return library
    dice = np.random.default_rng(0)
    ids = [f"{number:08d}" for number in range(max(1, passages // PASSAGES))]
    for at in range(0, len(ids), STAGED):
        made = list(_made(ids[at : at + STAGED], pool, dice))
        revisions = [revision for revision, _ in made]
        sentences = np.concatenate([vectors for _, vectors in made])
        means = sentences.reshape(-1, SENTENCES, sentences.shape[1]).mean(1)
        library.stage(revisions, _unit(means), sentences)
        print(f"\rstored {at * PASSAGES} of {passages} passages", end="", file=sys.stderr)
    with library.writing():
        library.consolidate()
        library.publish(Change(added=ids))
    return library


def _made(
    names: list[str], pool: Pool, dice: np.random.Generator
) -> Iterator[tuple[Revision, Vectors]]:
    for name in names:
        chosen = dice.integers(len(pool.texts), size=PASSAGES * SENTENCES)
        noise = dice.standard_normal((len(chosen), pool.vectors.shape[1]), np.float32)
        yield _revision(name, pool, chosen.tolist()), _unit(pool.vectors[chosen] + NOISE * noise)


def _unit(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _revision(name: str, pool: Pool, chosen: list[int]) -> Revision:
    passages, parts, at = [], [], 0
    for first in range(0, len(chosen), SENTENCES):
        start, spans = at, []
        for number in chosen[first : first + SENTENCES]:
            text = pool.texts[number]
            spans.append((at, at + len(text)))
            parts.append(f"{text}\n")
            at += len(text) + 1
        text = "".join(parts[-SENTENCES:])
        passages.append(Passage(name, None, (), start, at, text, tuple(spans)))
    whole = "".join(parts)
    title = " ".join(pool.texts[chosen[0]].split()[:3])
    document = Document(
        id=name,
        source=f"/docs/{name}.txt",
        path=f"{name}.txt",
        title=title,
        sha256=name,
        media_type="text/plain",
        size_bytes=len(whole),
        characters=len(whole),
        page_starts=(),
        reader="none",
        added_at=now(),
    )
    return Revision(document, whole, passages)
