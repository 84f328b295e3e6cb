"""The library: one folder that holds documents, and finds passages in them."""

import fcntl
import math
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from retrieval.embedder import Embedder
from retrieval.errors import EmbedderMismatch, LibraryBusy, LibraryMissing, LibraryUnwritable
from retrieval.fusion import reciprocal_rank
from retrieval.segments import Segments, write_durably, write_segment
from retrieval.store import Store
from retrieval.types import Document, Filters, Hit, Passage, Revision, Vectors, indexed_text
from retrieval.words import content_words

DATABASE = "library.sqlite3"
CANDIDATES = 50
"""How many passages each ranking hands to the fusion."""


class Library:
    """A folder with a database, FAISS segments and the original files.

    Reading is safe from any thread and while another process writes; only one process
    writes at a time.
    """

    def __init__(self, home: Path, embedder: Embedder, *, create: bool = True) -> None:
        if not create and not (home / DATABASE).exists():
            raise LibraryMissing(f"There is no library in {home}: make one with `footnote ingest`.")
        with _writing_to(home):
            home.mkdir(parents=True, exist_ok=True)
        self._home = home
        self._embedder = embedder
        self._store = Store(home / DATABASE)
        self._lock = threading.Lock()
        self._newest: Snapshot | None = None

    def close(self) -> None:
        """Let go of the database."""
        self._store.close()

    @property
    def generation(self) -> int:
        """The number of the newest generation; 0 when nothing was published."""
        return self._store.generation()

    def snapshot(self) -> "Snapshot":
        """Return the newest generation, to be held for a whole question."""
        generation = self._store.generation()
        with self._lock:
            if self._newest is None or self._newest.generation != generation:
                self._check_embedder()
                self._newest = Snapshot(self._home, self._store, self._embedder, generation)
            return self._newest

    def search(self, query: str, *, limit: int = 8, filters: Filters | None = None) -> list[Hit]:
        """Return the passages that bear most on a query, best first."""
        return self.snapshot().search(query, limit=limit, filters=filters)

    def documents(self) -> list[Document]:
        """Return the documents answers come from, by path."""
        return self._store.documents(self._store.generation())

    def document(self, document_id: str) -> Document:
        """Return a document, also one that was withdrawn or superseded."""
        return self._store.document(document_id)

    def is_current(self, document_id: str) -> bool:
        """Whether answers still come from this revision."""
        return self._store.is_live(document_id, self._store.generation())

    def text(self, document_id: str) -> str:
        """Return a document's extracted text, which citations count characters of."""
        return self._store.text(document_id)

    def original(self, document_id: str) -> Path:
        """Return the kept copy of the file a document was read from."""
        return self._originals / self._store.document(document_id).sha256

    def current(self, source: Path) -> Document | None:
        """Return the live revision that was read from a file, or None."""
        return self._store.current(str(source), self._store.generation())

    def stored(self, document_id: str) -> Document | None:
        """Return a revision if it was ever stored, live or not."""
        return self._store.document(document_id) if self._store.holds(document_id) else None

    def keep_original(self, sha256: str, data: bytes) -> None:
        """Keep a file under its hash, on disk when this returns."""
        with _writing_to(self._home):
            if not (path := self._originals / sha256).exists():
                write_durably(path, data)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the right to write; LibraryBusy if another process has it."""
        with _writing_to(self._home):
            file = (self._home / "write.lock").open("w")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as problem:
                raise LibraryBusy(
                    f"Another ingest is writing to {self._home}. Try again when it has ended."
                ) from problem
            self._check_embedder()
            yield

    def publish(
        self, revisions: Sequence[Revision], vectors: Vectors, revived: Sequence[Document] = ()
    ) -> int:
        """Publish revisions as the next generation and return its number.

        `vectors` has one row for each passage, in order. `revived` are revisions stored
        before, to be answered from again. A live revision of the same source is withdrawn.
        Nothing shows before everything is on disk. The caller holds `writing`.
        """
        with _writing_to(self._home):
            return self._publish(revisions, vectors, revived)

    def _publish(
        self, revisions: Sequence[Revision], vectors: Vectors, revived: Sequence[Document]
    ) -> int:
        first = self._store.next_passage_id()
        segment = None
        if len(vectors):
            ids = np.arange(first, first + len(vectors), dtype=np.int64)
            segment = write_segment(self._segments, ids, vectors)
        with self._store.publication(datetime.now(UTC).isoformat(timespec="seconds")) as edition:
            edition.set("embedder", self._embedder.name)
            for document in (*revived, *(r.document for r in revisions)):
                if old := self.current(Path(document.source)):
                    edition.withdraw(old.id)
            for document in revived:
                edition.revive(document.id)
            for revision in revisions:
                edition.add(revision, first)
                first += len(revision.passages)
            if segment:
                edition.add_segment(segment)
        return edition.generation

    def _check_embedder(self) -> None:
        stored = self._store.setting("embedder")
        if stored is not None and stored != self._embedder.name:
            raise EmbedderMismatch(
                f"The library in {self._home} was built with the embedder {stored}, not"
                f" {self._embedder.name}. Use that one, or ingest into a new folder (--home)."
            )

    @property
    def _segments(self) -> Path:
        return self._home / "segments"

    @property
    def _originals(self) -> Path:
        return self._home / "originals"


class Snapshot:
    """One generation of the library, the same from the first look to the last."""

    def __init__(self, home: Path, store: Store, embedder: Embedder, generation: int) -> None:
        self.generation = generation
        self._store = store
        self._embedder = embedder
        self._segments = Segments(home / "segments", store.segments(generation))
        self._documents = {d.id: d for d in store.documents(generation)}
        self._passages = store.passage_count()
        live = store.passage_ids(self._documents)
        self._live = None if len(live) == self._segments.passages else np.array(live, np.int64)

    def __len__(self) -> int:
        """How many documents there are to answer from."""
        return len(self._documents)

    def search(self, query: str, *, limit: int = 8, filters: Filters | None = None) -> list[Hit]:
        """Return the passages that bear most on a query, best first.

        The dense and the lexical ranking are fused by reciprocal rank.
        """
        chosen = self._choose(filters)
        allowed = self._live
        if chosen is not None:
            allowed = np.array(self._store.passage_ids(chosen), np.int64)
        vector = self._embedder.embed([query])
        dense = self._segments.search(vector, CANDIDATES, allowed)
        words = content_words(query)
        lexical = self._store.lexical(words, chosen, self.generation, CANDIDATES)
        fused = reciprocal_rank([[i for i, _ in dense], lexical])
        best = list(fused)[:limit]
        similarity = dict(dense) | self._similarities(best, dict(dense), vector)
        passages = self._store.passages(best)
        return [
            Hit(
                passage=passages[i],
                document=self._documents[passages[i].document_id],
                score=fused[i],
                similarity=similarity[i],
            )
            for i in best
        ]

    def weights(self, stems: Iterable[str]) -> dict[str, float]:
        """Return how telling each stem is: bm25's inverse document frequency, at least 0."""
        wanted = list(dict.fromkeys(stems))
        counts = self._store.passages_with(wanted)
        total = self._passages
        return {
            stem: math.log(1 + (total - n + 0.5) / (n + 0.5))
            for stem in wanted
            for n in [min(counts.get(stem, 0), total)]
        }

    def _choose(self, filters: Filters | None) -> list[str] | None:
        if not filters:
            return None
        return [d.id for d in self._documents.values() if filters.allow(d)]

    def _similarities(
        self, ids: Sequence[int], known: dict[int, float], vector: Vectors
    ) -> dict[int, float]:
        """Return the cosine of the passages that only their words found."""
        missing = np.array([i for i in ids if i not in known], np.int64)
        found = self._segments.search(vector, max(1, len(missing)), missing)
        return dict(found)


@contextmanager
def _writing_to(home: Path) -> Iterator[None]:
    """Translate what the disk or SQLite refuses; LibraryBusy and its like pass through."""
    try:
        yield
    except (OSError, sqlite3.Error) as problem:
        raise LibraryUnwritable(
            f"The library in {home} cannot be written to: {getattr(problem, 'strerror', problem)}."
            " What was there before still is."
        ) from problem


def embed_passages(embedder: Embedder, titled: Sequence[tuple[str, Passage]]) -> Vectors:
    """Return one row per (document title, passage), embedded with where it stands."""
    return embedder.embed([indexed_text(title, p.heading, p.text) for title, p in titled])
