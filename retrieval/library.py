"""The library: one folder that holds documents, and finds passages in them."""

import fcntl
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np

from retrieval.doctor import Doctor
from retrieval.embedder import Embedded, Embedder, Quotable
from retrieval.errors import (
    DocumentNotFound,
    EmbedderMismatch,
    GenerationNotFound,
    LibraryBusy,
    LibraryMissing,
    LibraryUnreadable,
    LibraryUnwritable,
)
from retrieval.files import Originals, make_folder
from retrieval.folding import MOST_MERGED
from retrieval.labels import Labels, Relabel
from retrieval.ranking import Asked
from retrieval.rows import Ids, Rows, Selection
from retrieval.segments import Segment, to_merge, write_segment
from retrieval.snapshot import Snapshot
from retrieval.store import Store
from retrieval.store.connection import RESTORE
from retrieval.store.ledger import Ledger, standing_of
from retrieval.types import (
    UPLOAD,
    Change,
    Document,
    FileRecord,
    FileState,
    Filters,
    Generation,
    Hit,
    Reading,
    Revision,
    SegmentRecord,
    Source,
    Standing,
    Vectors,
    now,
    passage_key,
    quoted_texts,
)
from retrieval.upkeep import Upkeep

DATABASE = "library.sqlite3"
RELABELLED = "labels"
REPAIRED = "repair"
SAME_DOCUMENTS = (RELABELLED, REPAIRED)
"""What causes a generation that has the same documents as the one before."""


class Library:
    """A folder with a database, FAISS segments and the original files.

    Reading is safe from any thread and while another process writes; only one process
    writes at a time.
    """

    def __init__(self, home: Path, embedder: Embedder, *, create: bool = True) -> None:
        if not create and not (home / DATABASE).exists():
            raise LibraryMissing(f"There is no library in {home}: make one with `footnote ingest`.")
        with _writing_to(home):
            make_folder(home)
        self.home = home
        self.originals = Originals(home / "originals")
        self.uploads = Originals(home / "uploads")
        self._segments = home / "segments"
        self._embedder = embedder
        self._store = Store(home / DATABASE)
        self.upkeep = Upkeep(self._store, self._segments, self.originals, self.uploads)
        self._lock = threading.Lock()
        self._newest: Snapshot | None = None

    def close(self) -> None:
        """Let go of the database."""
        self._store.close()

    @property
    def generation(self) -> int:
        """The number of the newest generation; 0 when nothing was published."""
        return self._store.generation()

    @property
    def embedder(self) -> str:
        """The name and revision of what its vectors are made with."""
        return self._embedder.name

    @property
    def ledger(self) -> Ledger:
        """What became of each file, and of each run of the ingest job."""
        return self._store.ledger

    def snapshot(self) -> Snapshot:
        """Return the newest generation, to be held for a whole question."""
        with self._lock:
            generation = self._store.generation()
            if self._newest is None or self._newest.generation != generation:
                self._check_embedder()
                self._newest = Snapshot(
                    self._segments, self._store, self._embedder, generation, self._newest
                )
            return self._newest

    def search(
        self, query: str | Asked, *, limit: int = 8, filters: Filters | None = None
    ) -> list[Hit]:
        """Return the passages that bear most on a query, best first; neighbours are one hit."""
        snapshot = self.snapshot()
        hits = snapshot.search(query, limit=MOST_MERGED * limit, filters=filters)
        return snapshot.with_neighbours(hits, limit)

    def documents(self) -> list[Document]:
        """Return the documents answers come from, by path."""
        return self._store.documents(self._store.generation())

    def history(self) -> list[tuple[Document, Standing]]:
        """Return every revision answers ever came from, by path and age, and how each stands."""
        live = {document.id: document.source for document in self.documents()}
        sources = set(live.values())

        def standing(document: Document, has_text: bool) -> Standing:
            if document.id in live:
                return Standing.CURRENT
            if not has_text:
                return Standing.ERASED
            return Standing.SUPERSEDED if document.source in sources else Standing.WITHDRAWN

        return [(d, standing(d, has_text)) for d, has_text in self._store.history()]

    def readings(self) -> dict[str, Reading]:
        """Return what reading came to, by id, for documents it did not wholly succeed with."""
        return self._store.readings(self._store.generation())

    def generations(self, limit: int = 20) -> list[Generation]:
        """Return the newest generations, newest first."""
        return self._store.generations(limit)

    def document(self, document_id: str) -> Document:
        """Return a document, also one that was withdrawn or superseded."""
        return self._store.document(document_id)

    def standing(self, document_id: str) -> Standing:
        """Return what answers make of a revision; DocumentNotFound if there never was one."""
        document = self._store.document(document_id)
        generation = self._store.generation()
        if self._store.is_live(document_id, generation):
            return Standing.CURRENT
        if not self._store.has_text(document_id):
            return Standing.ERASED
        newer = self._store.current(document.source, generation)
        return Standing.SUPERSEDED if newer else Standing.WITHDRAWN

    def text(self, document_id: str) -> str:
        """Return a document's extracted text, which citations count characters of."""
        return self._store.text(document_id)

    def reading(self, document_id: str) -> Reading:
        """Return what reading a document's file came to."""
        return self._store.reading(document_id)

    def original(self, document_id: str) -> Path:
        """Return the kept copy of the file a document was read from."""
        return self.originals.path(self._store.document(document_id).sha256)

    def stored(self, document_id: str) -> Document | None:
        """Return a revision if it was ever stored, live or not."""
        try:
            return self._store.document(document_id)
        except DocumentNotFound:
            return None

    def current(self, source: str) -> Document | None:
        """Return the live revision that was read from a file, or None."""
        return self._store.current(source, self._store.generation())

    def revisions(self, source: str) -> list[Document]:
        """Return every revision of a file that is still stored, oldest first."""
        return [d for d in self._store.revisions(source) if self._store.has_text(d.id)]

    def sources(self) -> dict[str, Source]:
        """Return the files answers come from, by where they are."""
        return self._store.sources(self._store.generation())

    def copies(self, sha256: str) -> list[Document]:
        """Return the live documents of a content, by path."""
        return self._store.copies(sha256, self._store.generation())

    def known_vectors(self, passages: Sequence[Quotable]) -> list[Embedded | None]:
        """Return the vectors of those passages that were embedded before, in order.

        Two that have a key in common may still be cut into different sentences, which are then
        not known. Segments that are damaged are passed over: what they held is embedded again.
        """
        keys = [passage_key(title, p.heading, p.text) for title, p in passages]
        ids = self._store.keyed(list(dict.fromkeys(keys)))
        said = {n: quoted_texts(title, p) for n, title, p in self._store.titled(ids.values())}
        known = dict(self._embedded(np.array(sorted(said), np.int64)))
        same = [
            ids[key] if key in ids and said.get(ids[key]) == quoted_texts(*passage) else None
            for key, passage in zip(keys, passages, strict=True)
        ]
        return [None if number is None else known.get(number) for number in same]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the right to write; LibraryBusy if another process has it."""
        with _writing_to(self.home):
            file = (self.home / "write.lock").open("w")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as problem:
                raise LibraryBusy(
                    f"Another ingest is writing to {self.home}. Try again when it has ended."
                ) from problem
            self._check_embedder()
            yield

    def keep_original(self, file: BinaryIO) -> str:
        """Keep a copy of an open file, on disk when this returns; return its SHA-256."""
        with _writing_to(self.home):
            return self.originals.keep(file)

    def put_aside(self, write: Callable[[BinaryIO], None]) -> BinaryIO:
        """Return a file without a name, with what `write` writes to it; it is gone when closed."""
        with _writing_to(self.home):
            file = tempfile.TemporaryFile(dir=self.home)  # noqa: SIM115 - the caller closes it
            try:
                write(file)
                file.seek(0)
            except BaseException:
                _give_up(file)
                raise
            return file

    def receive(self, name: str, file: BinaryIO, labels: Relabel | None = None) -> FileRecord:
        """Keep an upload for the next ingest, on disk when this returns.

        It takes the place of what was uploaded under the same name before, and its labels.
        `name` is what readers are shown, and never a path.
        """
        with _writing_to(self.home):
            record = FileRecord(
                source=f"{UPLOAD}{name}",
                path=name,
                state=FileState.WAITING,
                reason="It waits for the next ingest.",
                sha256=self.uploads.keep(file),
                met_at=now(),
            )
        before = self._store.labels().get(record.source, Labels())
        changes = labels is not None and labels.of(before) != before
        relabelled = [(record.source, labels)] if labels and changes else []
        self.publish(Change(files=[record], relabelled=relabelled, cause=RELABELLED))
        return record

    def stage(self, revisions: Sequence[Revision], vectors: Vectors, sentences: Vectors) -> None:
        """Store revisions aside: on disk when this returns, and in no answer.

        `vectors` has one row for each passage, in order, and `sentences` one for each sentence
        of each passage. The caller holds `writing`, and names the documents to `publish` when
        all that belongs together is staged.
        """
        with _writing_to(self.home):
            first, segment = self._write_segment(revisions, vectors, sentences)
            with self._store.staging() as staging:
                for revision in revisions:
                    staging.add(revision, first)
                    first += len(revision.passages)
                if segment:
                    staging.add_segment(segment)

    def publish(self, change: Change) -> int:
        """Make a change show, all of it at once, as the next generation; return its number.

        A change of nothing writes its ledger entries and makes no generation.
        """
        with _writing_to(self.home):
            if not change:
                self._store.ledger.write(change.files, forgotten=change.forgotten)
                return self._store.generation()
            with self._store.publication() as edition:
                edition.set("embedder", self._embedder.name)
                edition.apply(change, now())
            return edition.generation

    def withdraw(self, document_ids: Sequence[str], *, erase: bool = False) -> int:
        """Let no answer come from these files, from the next question on.

        Their files are not read again until restored. With `erase` their text, in every
        revision, and their kept originals are deleted for good. Returns the generation.
        """
        documents = [self._store.document(name) for name in document_ids]
        sources = list(dict.fromkeys(d.source for d in documents))
        generation = self._store.generation()
        live = [d.id for s in sources if (d := self._store.current(s, generation))]
        records = [self._record(d) for d in {d.source: d for d in documents}.values()]
        reason = f"It was {'erased' if erase else 'withdrawn'} on {datetime.now(UTC):%Y-%m-%d}."
        number = self.publish(
            Change(
                withdrawn=live,
                files=[standing_of(r, FileState.WITHDRAWN, reason) for r in records],
                cause="withdraw",
            )
        )
        if erase:
            try:
                with self.writing(), _writing_to(self.home):
                    self.upkeep.erase(sources)
            except LibraryBusy as problem:
                raise LibraryBusy(f"It was withdrawn, and not yet erased. {problem}") from problem
        return number

    def restore(self, document_ids: Sequence[str]) -> int:
        """Answer again from documents that were withdrawn; return the generation.

        One that was erased is not there any more: its file is read by the next ingest.
        """
        documents = [self._store.document(name) for name in document_ids]
        stored = [d for d in documents if self._store.has_text(d.id)]
        return self.publish(
            Change(
                added=[d.id for d in stored],
                forgotten=[d.source for d in documents],
                cause="restore",
            )
        )

    def labels(self) -> dict[str, Labels]:
        """Return what operators have put on files, by source."""
        return self._store.labels()

    def relabel(self, document_ids: Sequence[str], change: Relabel) -> int:
        """Change the labels of the files of documents; return the generation that shows it.

        They stay with the file, whichever revision of it is answered from, and wherever it goes.
        """
        known = self._store.labels()
        sources = dict.fromkeys(self._store.document(name).source for name in document_ids)
        return self.publish(
            Change(
                relabelled=[
                    (source, change)
                    for source in sources
                    for labels in [known.get(source, Labels())]
                    if change.of(labels) != labels
                ],
                cause=RELABELLED,
            )
        )

    def rollback(self, to: int | None = None) -> int:
        """Publish an older generation again; None means the one before what now shows.

        Returns its number. Raises GenerationNotFound. What was erased stays so; labels stay
        as they are.
        """
        with self.writing():
            generations = {g.number: g for g in self._store.generations(-1)}
            newest = self._store.generation()
            if to is None:
                shown = newest
                while shown and generations[shown].cause in SAME_DOCUMENTS:
                    shown -= 1  # it has the same documents as the one before
                restored = generations[shown].restores if shown else None
                to = (shown if restored is None else restored) - 1
            if to not in generations or to >= newest:
                raise GenerationNotFound(
                    f"There is no generation {to} to go back to."
                    " `footnote rollback --list` shows those there are."
                )
            now = {d.id for d in self._store.documents(newest)}
            then = {d.id for d in self._store.documents(to) if self._store.has_text(d.id)}
            change = Change(
                added=sorted(then - now),
                withdrawn=sorted(now - then),
                cause="rollback",
                restores=to,
            )
            self.publish(change)
            return to

    def doctor(self) -> Doctor:
        """Return who examines this library, and repairs it while the caller holds `writing`."""
        return Doctor(self._store, self._segments, self.originals, self._embedder)

    def replace(self, revision: Revision, vectors: Vectors, sentences: Vectors) -> None:
        """Store a document again under its id, in place of what is damaged.

        The caller holds `writing`.
        """
        with _writing_to(self.home):
            first, segment = self._write_segment([revision], vectors, sentences)
            self._store.rebuild_index()  # what is removed must be in it as it is in the tables
            with self._store.staging() as staging:
                staging.remove(revision.document.id, trace=True)
                staging.add(revision, first)
                if segment:
                    staging.add_segment(segment, since=1)
        # Whoever holds the generation before lets go of passages that are not there any more.
        self.publish(Change(anew=True, cause=REPAIRED))

    def tidy(self) -> None:
        """Merge small segments and delete what nothing refers to. The caller holds `writing`.

        Generations stay as they are: readers that hold one notice nothing.
        """
        with _writing_to(self.home):
            self.upkeep.remove_leftovers()
            self.upkeep.merge(to_merge(self._store.all_segments()))
            self.upkeep.sweep()

    def consolidate(self) -> None:
        """Make one segment of those that are staged, before readers meet them."""
        with _writing_to(self.home):
            staged = self._store.all_segments(staged_only=True)
            if len(staged) > 1:
                self.upkeep.merge(staged)

    def _write_segment(
        self, revisions: Sequence[Revision], vectors: Vectors, sentences: Vectors
    ) -> tuple[int, SegmentRecord | None]:
        """Return the row id of the first new passage, and the segment, if there is any."""
        first = self._store.next_passage_id()
        if not len(vectors):
            return first, None
        ids = np.arange(first, first + len(vectors), dtype=np.int64)
        counts = [len(passage.sentences) for r in revisions for passage in r.passages]
        rows = Rows.of(ids, vectors, counts, sentences)
        return first, write_segment(self._segments, [Selection.all_of(rows)])

    def _record(self, document: Document) -> FileRecord:
        return self._store.ledger.file(document.source) or FileRecord(
            source=document.source,
            path=document.path,
            state=FileState.READ,
            sha256=document.sha256,
            reader=document.reader,
            document_id=document.id,
            met_at=document.added_at,
        )

    def _embedded(self, ids: Ids) -> Iterator[tuple[int, Embedded]]:
        """Return what is whole of the vectors of passages, by row id."""
        for record in self._store.all_segments():
            inside = ids[(ids >= record.first) & (ids <= record.last)]
            if not len(inside):
                continue
            with suppress(LibraryUnreadable):
                segment = Segment(self._segments, record)
                for position in segment.rows.positions(inside).tolist():
                    if (sentences := segment.sentences(position)) is not None:
                        vector = np.array(segment.rows.vectors[position])
                        yield int(segment.rows.ids[position]), (vector, sentences)

    def _check_embedder(self) -> None:
        stored = self._store.setting("embedder")
        if stored is None and self._store.generation():
            raise LibraryUnreadable(
                f"The library's database is damaged: it names no embedder. {RESTORE}"
            )
        if stored is not None and stored != self._embedder.name:
            raise EmbedderMismatch(
                f"The library in {self.home} was built with the embedder {stored}, not"
                f" {self._embedder.name}. Use that one, or ingest into a new folder (--home)."
            )


def _give_up(file: BinaryIO) -> None:
    """Close a file that cannot be written; closing tries to write the rest once more."""
    with suppress(OSError):
        file.close()


@contextmanager
def _writing_to(home: Path) -> Iterator[None]:
    """Translate what the disk refuses; the database's errors are ours already."""
    try:
        yield
    except OSError as problem:
        raise LibraryUnwritable(
            f"The library in {home} cannot be written to: {problem.strerror}."
            " What was there before still is."
        ) from problem
