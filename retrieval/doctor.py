"""Is everything in the library what it was when it was written, and if not, making it so."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from retrieval.embedder import Embedder, embed_passages
from retrieval.errors import LibraryUnreadable, RetrievalError
from retrieval.files import Originals
from retrieval.rows import Ids, Rows, Selection
from retrieval.segments import Segment, write_segment
from retrieval.store import Store, rows
from retrieval.types import Document, SegmentRecord

EMBED_AT_ONCE = 64
ODD = (RetrievalError, ValueError, TypeError, KeyError, IndexError)
"""What reading a damaged row may raise."""


class Part(StrEnum):
    """What can be damaged."""

    DATABASE = "database"
    INDEX = "index of words"
    GENERATION = "generation"
    LEDGER = "ledger entry"
    LABELS = "labels"
    DOCUMENT = "document"
    SEGMENT = "segment"
    ORIGINAL = "original"
    RECEIPTS = "receipts"  # which are kept beside the library


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not as it was written, and what is to be done about it."""

    part: Part
    name: str
    problem: str
    remedy: str


RESTORE = "Restore the library's folder from a backup, or ingest into a new one."
REPAIR = "`footnote doctor --repair` makes it again."
LABEL_AGAIN = "`footnote doctor --repair` takes them off: label the file again."


class Doctor:
    """Examines a library's folder, and makes again what can be made from the rest of it."""

    def __init__(
        self, store: Store, segments: Path, originals: Originals, embedder: Embedder
    ) -> None:
        self._store = store
        self._segments = segments
        self._originals = originals
        self._embedder = embedder

    def examine(self, follow: Callable[[str], None] = lambda _: None) -> Iterator[Damage]:
        """Check everything that is stored against what was noted when it was written; `follow` is
        told what is looked at."""
        checks = {
            "the database": self._tables,
            "its history": self._history,
            "the texts": self._documents,
            "the vectors": self._vectors,
            "the files that are kept": self._kept,
        }
        for what, check in checks.items():
            follow(what)
            try:
                yield from check()
            except ODD as problem:
                yield Damage(Part.DATABASE, "library.sqlite3", f"{problem}.", RESTORE)

    def repair(self, damage: Damage) -> bool:
        """Make one thing again; False if it cannot be, from what is here.

        A damaged document takes reading its file again, which is the ingest job's work. The
        caller holds the right to write.
        """
        match damage.part:
            case Part.INDEX:
                self._store.rebuild_index()
            case Part.LEDGER:
                self._store.ledger.forget(damage.name)  # the next ingest looks at the file anew
            case Part.LABELS:
                self._store.forget_labels(damage.name)
            case Part.SEGMENT:
                self._embed_again(damage.name)
            case Part.ORIGINAL:
                return self._keep_again(damage.name)
            case _:
                return False
        return True

    def _tables(self) -> Iterator[Damage]:
        for fault in self._store.faults():
            yield Damage(Part.DATABASE, "library.sqlite3", f"{fault}.", RESTORE)
        if not self._store.index_is_whole():
            problem = "It does not agree with the passages."
            yield Damage(Part.INDEX, "passage_index", problem, REPAIR)

    def _history(self) -> Iterator[Damage]:
        for number in self._store.broken_generations():
            problem = "What came and went with it is not what was published."
            yield Damage(Part.GENERATION, str(number), problem, RESTORE)
        for source in self._store.ledger.broken_seals():
            yield Damage(Part.LEDGER, source, "It is not what was written.", REPAIR)
        for source in self._store.broken_labels():
            yield Damage(Part.LABELS, source, "They are not what was written.", LABEL_AGAIN)

    def _documents(self) -> Iterator[Damage]:
        for document_id, digest in self._store.digests():
            if digest is None:
                continue  # erased, or stored before there were digests
            try:
                whole = rows.digest(self._store.revision(document_id)) == digest
            except ODD:
                whole = False
            if not whole:
                problem = "Its text or passages are not what was stored."
                yield Damage(Part.DOCUMENT, document_id, problem, REPAIR)

    def _vectors(self) -> Iterator[Damage]:
        for record in self._store.all_segments():
            if problem := self._wrong_with(record):
                yield Damage(Part.SEGMENT, record.name, problem, REPAIR)
        homeless = self._store.passages_without_segment()
        if homeless:
            problem = f"{homeless} passages have no vector."
            yield Damage(Part.DATABASE, "segment", problem, RESTORE)

    def _wrong_with(self, record: SegmentRecord) -> str:
        try:
            rows = Segment(self._segments, record).rows
        except LibraryUnreadable as problem:
            return str(problem).split(". ")[0] + "."
        named = (record.passages, record.first, record.last)
        if (len(rows), int(rows.ids[0]), int(rows.ids[-1])) != named:
            return "It does not hold the passages it is said to."
        here = self._store.passage_range(record.first, record.last)
        if len(found := rows.positions(here)) < len(here):
            return "It lacks passages."
        if unknown := int((rows.counts[found] < 0).sum()):
            return f"The sentences of {unknown} passages have no vectors, which slows answers."
        return ""

    def _kept(self) -> Iterator[Damage]:
        for sha256, document in sorted(self._store.contents().items()):
            if not self._originals.is_whole(sha256):
                problem = f"The kept copy of {document.path} is damaged or gone."
                yield Damage(Part.ORIGINAL, sha256, problem, self._remedy(document))

    def _remedy(self, document: Document) -> str:
        return REPAIR if Path(document.source).is_file() else RESTORE

    def _embed_again(self, name: str) -> None:
        """Write a segment again from the text of its passages."""
        record = next(r for r in self._store.all_segments() if r.name == name)
        ids = self._store.passage_range(record.first, record.last)
        parts = [
            Selection.all_of(self._rows(ids[at : at + EMBED_AT_ONCE]))
            for at in range(0, len(ids), EMBED_AT_ONCE)
        ]
        new = write_segment(self._segments, parts) if parts else None
        with self._store.staging() as staging:
            staging.replace_segments([record], new)

    def _rows(self, ids: Ids) -> Rows:
        """Embed passages and their sentences."""
        passages = [(title, passage) for _, title, passage in self._store.titled(ids.tolist())]
        counts = [len(passage.sentences) for _, passage in passages]
        vectors, sentences = embed_passages(self._embedder, passages)
        return Rows.of(ids, vectors, counts, sentences)

    def _keep_again(self, sha256: str) -> bool:
        """Copy a kept file again from where it was read, if that is still the same."""
        document = self._store.contents()[sha256]
        try:
            with Path(document.source).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    return False
                file.seek(0)
                self._originals.path(sha256).unlink(missing_ok=True)
                return self._originals.keep(file) == sha256
        except OSError:
            return False
