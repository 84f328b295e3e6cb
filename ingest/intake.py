"""Taking in one file: is it new, has it moved, and what does it hold."""

import hashlib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ingest import ocr
from ingest.chunking import VERSION as CHUNKING
from ingest.chunking import cut
from ingest.errors import Unreadable
from ingest.finding import Found, exists
from ingest.ledger import NOTHING_READ, FileReport, Outcome, reading_of
from ingest.readers import BY_MEDIA_TYPE
from ingest.sandbox import Reading as Read
from ingest.sandbox import Sandbox, Taken
from ingest.types import Extract, PageState
from retrieval import Document, Embedder, Library, Revision
from retrieval.labels import tidy
from retrieval.types import UPLOAD, Dated, FileRecord, FileState, Source, now

MIB = 1024 * 1024
LARGEST_BYTES = 256 * MIB
OUT_OF_USE = (FileState.WITHDRAWN, FileState.GONE)
RECOGNISED = ";ocr"
"""What is remembered of how a file was read when text was recognised on its pages."""
DEEPEST = 4
"""Containers in containers: a message in an archive that was attached to a message."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of one file, and what is to be done about it when the run publishes.

    `document_id` is to be answered from. `revision` is to be stored first; None if it is
    already. `moved` is the file's old place, whose document is to be found at the new one;
    `heir_to` is the source of one whose document stays there, and its labels come along.
    `is_news` tells whether the ledger does not hold the record yet.
    """

    report: FileReport
    record: FileRecord
    document_id: str | None = None
    revision: Revision | None = None
    moved: Source | None = None
    heir_to: str = ""
    is_news: bool = True


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file with its content known."""

    source: str
    shown: str
    stamp: str
    sha256: str
    size: int
    modified: str
    depth: int = 0


class Intake:
    """Decides what is to be done about each file; safe to call from several threads."""

    def __init__(
        self, library: Library, embedder: Embedder, *, chunk_tokens: int, run: str, dry: bool
    ) -> None:
        self._library = library
        self._embedder = embedder
        self._chunk_tokens = min(chunk_tokens, embedder.max_tokens)
        self._run = run
        self._dry = dry
        self._live = library.sources()
        self._ledger = {record.source: record for record in library.ledger.files()}
        self._containers = _by_container(self._ledger.values())
        self._places: dict[str, list[Source]] = {}
        for place in self._live.values():
            self._places.setdefault(place.sha256, []).append(place)
        self._lock = threading.Lock()

    @property
    def live(self) -> Mapping[str, Source]:
        """The files answers come from, as the run began."""
        return self._live

    def inside(self, source: str) -> Sequence[FileRecord]:
        """Return what the ledger had of the files inside a file, as the run began."""
        return self._containers.get(source, ())

    def places(self) -> dict[str, str]:
        """Return where the files are that were there once, and what they are shown as."""
        known = self._ledger.values()
        met = {r.source: r.path for r in known if r.state in (FileState.READ, FileState.FAILED)}
        return met | {place.source: place.path for place in self._live.values()}

    def glance(self, found: Found) -> list[Entry] | None:
        """Return what became of a file that need not be opened to tell; None for others."""
        known = self._ledger.get(found.source)
        if found.problem:
            return [self._failed(found.source, found.shown, found.problem)]
        if known and known.state is FileState.WITHDRAWN:
            return [self._withdrawn(found.shown, known)]
        if known and found.stamp and known.stamp == found.stamp and self._settled(known):
            return list(self._unchanged(found.shown, known))
        return None

    def take(self, found: Found, sandbox: Sandbox) -> list[Entry]:
        """Return what became of a file, and of the files inside it."""
        try:
            with _opened(found.file) as file:
                sha256 = _digest(file)
                seen = _Seen(
                    *(found.source, found.shown, found.stamp, sha256, found.size, found.modified)
                )
                return list(self._look(seen, file, sandbox))
        except Unreadable as problem:
            upload = found.file.name if found.source.startswith(UPLOAD) else ""
            return [self._failed(found.source, found.shown, str(problem), upload)]

    def _look(self, seen: _Seen, file: BinaryIO, sandbox: Sandbox) -> Iterator[Entry]:
        """Decide by a file's content; read it only if there is no way around it."""
        known, live = self._ledger.get(seen.source), self._live.get(seen.source)
        if known and known.state is FileState.WITHDRAWN:
            yield self._withdrawn(seen.shown, known)
        elif known and known.sha256 == seen.sha256 and self._settled(known):
            again = replace(known, path=seen.shown, stamp=seen.stamp, run=self._run)
            yield from self._unchanged(seen.shown, again)
        elif live and not known and live.sha256 == seen.sha256 and self._is_as_stored(live):
            record = self._record(seen, live.reader, live.document_id)
            yield self._entry(Outcome.UNCHANGED, seen.shown, record, live)
        elif place := self._moved_from(seen):
            record = self._record(seen, place.reader, place.document_id)
            entry = self._entry(Outcome.MOVED, seen.shown, record, place)
            yield replace(entry, moved=place, document_id=place.document_id)
        elif self._dry:
            yield self._expected(seen, live)
        else:
            entry, *inside = self._read(seen, file, sandbox)
            yield replace(entry, heir_to=self._left_by(seen))
            yield from inside

    def _read(self, seen: _Seen, file: BinaryIO, sandbox: Sandbox) -> Iterator[Entry]:
        """Read a file in the sandbox, from the copy that is kept of it; then those inside."""
        file.seek(0)
        sha256 = self._library.keep_original(file)
        seen = replace(seen, sha256=sha256)
        if stored := self._stored(seen):
            record = self._record(seen, stored.reader, stored.id)
            report = self._report(self._outcome(seen.source), seen.shown, stored)
            yield Entry(report, record, stored.id)
            return
        began = time.monotonic()
        with (
            self._library.originals.path(sha256).open("rb") as kept,
            sandbox.read(PurePosixPath(seen.shown).name, kept) as read,
        ):
            yield self._taken(seen, read, time.monotonic() - began)
            yield from self._inside(seen, read.members, sandbox)

    def _taken(self, seen: _Seen, read: Read, seconds: float) -> Entry:
        extract = read.extract
        reader = self._version(read.reader, recognised=_recognised(extract))
        if not any(not block.level for block in extract.blocks):
            if not read.members:
                raise Unreadable(" ".join(("It holds no text.", *extract.unread)))
            record = self._record(seen, reader, None)
            report = FileReport(
                seen.shown,
                self._outcome(seen.source),
                reader=reader,
                reading=reading_of(extract, (), seconds),
            )
            return Entry(report, record)
        revision = self._revise(seen, read, reader, seconds)
        document = revision.document
        live = self._live.get(seen.source)
        same = live is not None and live.document_id == document.id
        report = FileReport(
            seen.shown,
            Outcome.UNCHANGED if same else self._outcome(seen.source),
            document_id=document.id,
            reader=reader,
            reading=revision.reading,
            characters=document.characters,
            passages=len(revision.passages),
        )
        record = self._record(seen, reader, document.id)
        if same:  # its images were tried again, and gave nothing
            return Entry(report, record)
        stored = any(d.id == document.id for d in self._library.revisions(seen.source))
        return Entry(report, record, document.id, None if stored else revision)

    def _inside(
        self, container: _Seen, members: Sequence[Taken], sandbox: Sandbox
    ) -> Iterator[Entry]:
        names: dict[str, int] = {}
        for member in members:
            again = names[member.name] = names.get(member.name, 0) + 1
            name = member.name if again == 1 else f"{member.name}#{again}"
            source, shown = f"{container.source}!/{name}", f"{container.shown}/{name}"
            try:
                yield from self._member(source, shown, member, container, sandbox)
            except Unreadable as problem:
                yield self._failed(source, shown, str(problem))

    def _member(
        self, source: str, shown: str, member: Taken, container: _Seen, sandbox: Sandbox
    ) -> Iterator[Entry]:
        depth = container.depth + 1
        if member.problem:
            raise Unreadable(member.problem)
        if not member.size:
            raise Unreadable("It is empty.")
        if depth > DEEPEST:
            raise Unreadable(f"It is {depth} files deep in others. Unpack them.")
        with self._library.put_aside(member.copy_to) as file:
            sha256 = _digest(file)
            seen = _Seen(source, shown, "", sha256, member.size, container.modified, depth)
            yield from list(self._look(seen, file, sandbox))

    def _revise(self, seen: _Seen, read: Read, reader: str, seconds: float) -> Revision:
        extract, added_at = read.extract, now()
        date, dated = _date(extract.date, seen.modified, added_at)
        document = Document(
            id=self._identify(seen, reader),
            source=seen.source,
            path=seen.shown,
            title=extract.title or PurePosixPath(seen.shown).stem,
            sha256=seen.sha256,
            media_type=read.media_type,
            size_bytes=seen.size,
            characters=len(extract.text),
            page_starts=extract.page_starts,
            reader=reader,
            added_at=added_at,
            date=date,
            dated=dated,
            keywords=tidy(extract.tags),
        )
        passages = cut(document, extract, self._embedder.tokens, self._chunk_tokens)
        return Revision(document, extract.text, passages, reading_of(extract, passages, seconds))

    def _identify(self, seen: _Seen, reader: str) -> str:
        """Return the id of a revision: the same file, content and reader give the same id.

        A document that has moved keeps its id, which its old place must then not give again.
        """
        salt = 0
        while True:
            parts = (seen.source, seen.sha256, reader, *([str(salt)] if salt else []))
            name = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
            if (other := self._library.stored(name[:16])) is None or other.source == seen.source:
                return name[:16]
            salt += 1

    def _stored(self, seen: _Seen) -> Document | None:
        """Return what was made of this very content before: staged, superseded or rolled back."""
        for document in reversed(self._library.revisions(seen.source)):
            if document.sha256 != seen.sha256:
                continue
            pages = self._library.reading(document.id).pages
            images = any(page.state == PageState.IMAGE for page in pages)
            if self._is_up_to_date(document.reader, has_images=images):
                return document
        return None

    def _settled(self, known: FileRecord) -> bool:
        """Whether a file whose content is known needs no second look."""
        if known.state is not FileState.READ:
            return False
        inside = self._containers.get(known.source, ())
        return self._is_as_read(known) and all(
            record.state in OUT_OF_USE
            or (record.state is FileState.READ and self._is_as_read(record))
            for record in inside
        )

    def _is_as_read(self, known: FileRecord) -> bool:
        live = self._live.get(known.source)
        if live is None:
            return known.document_id is None and self._is_newest(known.reader)
        return live.document_id == known.document_id and self._is_as_stored(live)

    def _is_up_to_date(self, reader: str, *, has_images: bool) -> bool:
        """Whether reading the file again would make nothing else of it.

        Pages that are images are, as long as nobody has tried to recognise them.
        """
        tried = reader.endswith(RECOGNISED) or not ocr.available()
        return self._is_newest(reader) and (tried or not has_images)

    def _is_as_stored(self, place: Source) -> bool:
        return self._is_up_to_date(place.reader, has_images=place.has_images)

    def _is_newest(self, reader: str) -> bool:
        form = BY_MEDIA_TYPE.get(reader.split(";")[0])
        versions = [self._version(form.reader, recognised=r) for r in (False, True)] if form else []
        return reader in versions

    def _version(self, reader: str, *, recognised: bool) -> str:
        """Return what decides how a file is read and cut, as it is remembered."""
        how = f"{reader};passages={CHUNKING}.{self._chunk_tokens}"
        return f"{how}{RECOGNISED}" if recognised else how

    def _moved_from(self, seen: _Seen) -> Source | None:
        """Return the vanished file that has the same content, and let no other have it.

        A title made from the file's name is embedded with the passages: such a document is
        read again under its new name.
        """
        with self._lock:
            for place in self._places.get(seen.sha256, []):
                named = place.title == PurePosixPath(place.path).stem
                renamed = PurePosixPath(seen.shown).stem != place.title
                if place.source == seen.source or exists(place.source) or (named and renamed):
                    continue
                if self._is_as_stored(place) and seen.source not in self._live:
                    self._places[seen.sha256].remove(place)
                    return place
        return None

    def _left_by(self, seen: _Seen) -> str:
        """Return the source of the vanished file that a new one seems to be; nothing if none."""
        if seen.source in self._live:
            return ""
        places = (place.source for place in self._places.get(seen.sha256, ()))
        return next((s for s in places if s != seen.source and not exists(s)), "")

    def _outcome(self, source: str) -> Outcome:
        return Outcome.CHANGED if source in self._live else Outcome.ADDED

    def _expected(self, seen: _Seen, live: Source | None) -> Entry:
        """Return what a dry run says of a file that would be read."""
        outcome = Outcome.CHANGED if live else Outcome.ADDED
        return Entry(FileReport(seen.shown, outcome), self._record(seen, "", None))

    def _unchanged(self, shown: str, known: FileRecord) -> Iterator[Entry]:
        """Return the entries of a file that is as it was, and of those inside it."""
        for record in (known, *self._containers.get(known.source, ())):
            path = shown + record.source.removeprefix(known.source).replace("!/", "/")
            if record.state is FileState.WITHDRAWN:
                yield self._withdrawn(path, record)
            elif record.state is not FileState.GONE:
                live = self._live.get(record.source)
                is_news = record.run == self._run
                yield self._entry(Outcome.UNCHANGED, path, record, live, is_news=is_news)

    def _entry(
        self,
        outcome: Outcome,
        shown: str,
        record: FileRecord,
        live: Source | None,
        *,
        is_news: bool = True,
    ) -> Entry:
        document_id = live.document_id if live else None
        reading = self._library.reading(live.document_id) if live and live.partly_read else None
        report = FileReport(
            shown,
            outcome,
            document_id=document_id,
            reader=record.reader,
            reading=reading or NOTHING_READ,
        )
        return Entry(report, record, is_news=is_news)

    def _report(self, outcome: Outcome, shown: str, stored: Document) -> FileReport:
        return FileReport(
            shown,
            outcome,
            document_id=stored.id,
            reader=stored.reader,
            reading=self._library.reading(stored.id),
            characters=stored.characters,
        )

    def _withdrawn(self, shown: str, known: FileRecord) -> Entry:
        reason = f"{known.reason} `footnote documents restore` brings it back."
        return Entry(FileReport(shown, Outcome.WITHDRAWN, reason), known, is_news=False)

    def _failed(self, source: str, shown: str, reason: str, sha256: str = "") -> Entry:
        if source in self._live:
            reason = f"{reason} Answers still come from what it held before."
        record = FileRecord(
            source, shown, FileState.FAILED, reason, sha256, run=self._run, met_at=now()
        )
        return Entry(FileReport(shown, Outcome.FAILED, reason), record)

    def _record(self, seen: _Seen, reader: str, document_id: str | None) -> FileRecord:
        return FileRecord(
            source=seen.source,
            path=seen.shown,
            state=FileState.READ,
            sha256=seen.sha256,
            reader=reader,
            stamp=seen.stamp,
            document_id=document_id,
            run=self._run,
            met_at=now(),
        )


def _date(stated: str, modified: str, added_at: str) -> tuple[str, Dated]:
    """Return the day a document is of, and what says so: itself, then its file."""
    if stated:
        return stated, Dated.DOCUMENT
    return (modified, Dated.FILE) if modified else (added_at[:10], Dated.ADDED)


def _opened(path: Path) -> BinaryIO:
    """Open a file that is to be read; Unreadable if it cannot be, or is too large."""
    try:
        if not path.is_file():
            raise Unreadable("It is not an ordinary file.")
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            raise Unreadable(f"It is larger than {LARGEST_BYTES // MIB} MiB. Split it.")
        if not size:
            raise Unreadable("It is empty.")
        return path.open("rb")
    except OSError as problem:
        raise Unreadable(f"It cannot be opened: {problem.strerror}.") from problem


def _by_container(records: Iterable[FileRecord]) -> dict[str, list[FileRecord]]:
    """Return, for each file that others are in, their entries, at any depth."""
    found: dict[str, list[FileRecord]] = {}
    for record in sorted(records, key=lambda record: record.source):
        parts = record.source.split("!/")
        for depth in range(1, len(parts)):
            found.setdefault("!/".join(parts[:depth]), []).append(record)
    return found


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    try:
        while data := file.read(MIB):
            digest.update(data)
    except OSError as problem:
        raise Unreadable(f"It cannot be read: {problem.strerror}.") from problem
    return digest.hexdigest()


def _recognised(extract: Extract) -> bool:
    return any(page.state == PageState.OCR for page in extract.pages)
