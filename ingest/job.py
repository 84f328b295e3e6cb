"""The ingest job: files in, one new generation of the library out."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import numpy as np

from ingest.chunking import cut
from ingest.errors import NothingToIngest, Unreadable
from ingest.readers import Format, detect
from ingest.sandbox import Sandbox
from ingest.types import Extract, File
from retrieval import Document, Embedder, Library, Revision
from retrieval.library import DATABASE, embed_passages
from retrieval.types import Vectors

LARGEST_BYTES = 256 * 1024 * 1024
EMBED_AT_ONCE = 256
"""Passages a call: enough to sort by length and batch well, few enough to show progress."""


class Outcome(StrEnum):
    """What became of one file."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file, and why."""

    path: str
    outcome: Outcome
    reason: str = ""
    warnings: tuple[str, ...] = ()
    passages: int = 0


@dataclass(slots=True)
class Report:
    """What an ingest did, file by file."""

    files: list[FileReport] = field(default_factory=list)
    generation: int = 0

    def count(self, outcome: Outcome) -> int:
        """Return how many files ended so."""
        return sum(file.outcome is outcome for file in self.files)

    @property
    def complete(self) -> bool:
        """Whether every file was read."""
        return not self.count(Outcome.FAILED)


Progress = Callable[[str, int, int], None]
"""Called with what is being done ("reading", "embedding"), how much is done, and of how much."""


class Job:
    """Brings files into a library; what is unchanged by content costs only its hash."""

    def __init__(
        self, library: Library, embedder: Embedder, sandbox: Sandbox, *, chunk_tokens: int
    ) -> None:
        self._library = library
        self._embedder = embedder
        self._sandbox = sandbox
        self._chunk_tokens = min(chunk_tokens, embedder.max_tokens)

    def run(self, paths: Sequence[Path], progress: Progress) -> Report:
        """Ingest files and folders and publish what changed as one generation.

        A file that cannot be read is reported and the others go on. NothingToIngest is
        raised before anything is read, if a path does not exist or holds no file.
        """
        with self._library.writing():
            report = Report()
            revisions: list[Revision] = []
            revived: list[Document] = []
            files = list(_files(paths))
            for number, file in enumerate(files):
                progress("reading", number, len(files))
                report.files.append(self._take(file, revisions, revived))
            progress("reading", len(files), len(files))
            report.generation = self._library.generation
            if revisions or revived:
                vectors = self._embed(revisions, progress)
                report.generation = self._library.publish(revisions, vectors, revived)
            return report

    def _take(
        self, file: "_File", revisions: list[Revision], revived: list[Document]
    ) -> FileReport:
        path, shown = file.source, file.shown
        try:
            if file.problem:
                raise Unreadable(file.problem)
            data = _load(path)
            form = detect(File(path.name, data))
            document_id = _identify(path, data, form)
            old = self._library.current(path)
            if old and old.id == document_id:
                return FileReport(shown, Outcome.UNCHANGED)
            outcome = Outcome.CHANGED if old else Outcome.ADDED
            if known := self._library.stored(document_id):
                revived.append(known)
                return FileReport(shown, outcome)
            with path.open("rb") as opened, self._sandbox.read(path.name, opened) as reading:
                extract = reading.extract
            revision = self._revise(document_id, path, shown, data, form, extract)
        except Unreadable as problem:
            return FileReport(shown, Outcome.FAILED, reason=str(problem))
        revisions.append(revision)
        return FileReport(
            shown, outcome, warnings=extract.warnings, passages=len(revision.passages)
        )

    def _revise(
        self,
        document_id: str,
        path: Path,
        shown: str,
        data: bytes,
        form: Format,
        extract: Extract,
    ) -> Revision:
        if not any(not block.level for block in extract.blocks):
            raise Unreadable("It holds no text.")
        document = Document(
            id=document_id,
            source=str(path),
            path=shown,
            title=extract.title or path.stem,
            sha256=hashlib.sha256(data).hexdigest(),
            media_type=form.media_type,
            size_bytes=len(data),
            characters=len(extract.text),
            page_starts=extract.page_starts,
            reader=form.reader,
            added_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self._library.keep_original(document.sha256, data)
        passages = cut(document, extract, self._embedder.tokens, self._chunk_tokens)
        return Revision(document, extract.text, passages)

    def _embed(self, revisions: Sequence[Revision], progress: Progress) -> Vectors:
        pairs = [(r.document.title, passage) for r in revisions for passage in r.passages]
        rows = [np.empty((0, self._embedder.dimensions), np.float32)]
        for at in range(0, len(pairs), EMBED_AT_ONCE):
            progress("embedding", at, len(pairs))
            rows.append(embed_passages(self._embedder, pairs[at : at + EMBED_AT_ONCE]))
        progress("embedding", len(pairs), len(pairs))
        return np.concatenate(rows)


@dataclass(frozen=True, slots=True)
class _File:
    """A file that was found; `problem` says why it cannot even be tried."""

    source: Path
    shown: str
    problem: str | None = None


def _files(paths: Sequence[Path]) -> Iterator[_File]:
    """Return each file with the path readers are shown, relative to the folder named."""
    seen: set[Path] = set()
    for path in paths:
        if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for forbidden folders
            raise NothingToIngest(f"There is no file or folder {path}, or it may not be looked at.")
        found = sorted(_walk(path), key=lambda f: f.source) if path.is_dir() else [_found(path)]
        if not found:
            raise NothingToIngest(f"There are no files in {path}.")
        for file in found:
            if file.source not in seen:
                seen.add(file.source)
                yield file


def _walk(folder: Path) -> Iterator[_File]:
    """Return the files below a folder; hidden ones, and libraries of ours, are left out."""
    closed: list[OSError] = []
    for top, folders, files in os.walk(folder, onerror=closed.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in [name for name in folders if Path(top, name).is_symlink()]:
            reason = "It is a link to a folder. Name that folder itself."
            yield _File(Path(top, name), _shown(Path(top, name), folder), reason)
        libraries = [name for name in folders if os.path.exists(Path(top, name, DATABASE))]  # noqa: PTH110
        folders[:] = [name for name in folders if name not in libraries]
        yield from (_found(Path(top, name), folder) for name in files if name[0] != ".")
    for problem in closed:
        path = Path(problem.filename)
        reason = f"The folder cannot be opened: {problem.strerror}."
        yield _File(path, _shown(path, folder), reason)


def _found(path: Path, folder: Path | None = None) -> _File:
    shown = _shown(path, folder)
    try:
        source = path.resolve()
    except (OSError, RuntimeError):
        return _File(path, shown, "It is a link that leads nowhere.")
    if shown != _shown(path, folder, errors="surrogateescape") or not str(source).isprintable():
        return _File(source, shown, "Its name is not plain text. Rename it.")
    return _File(source, shown)


def _shown(path: Path, folder: Path | None, errors: str = "replace") -> str:
    """Return a path as text that can be printed, whatever bytes it is made of."""
    relative = path.relative_to(folder) if folder else Path(path.name)
    return os.fsencode(relative.as_posix()).decode("utf-8", errors)


def _load(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise Unreadable("It is not an ordinary file.")
        if size > LARGEST_BYTES:
            raise Unreadable(f"It is larger than {LARGEST_BYTES // 2**20} MiB. Split it.")
        data = path.read_bytes()
    except OSError as problem:
        raise Unreadable(f"It cannot be opened: {problem.strerror}.") from problem
    if not data:
        raise Unreadable("It is empty.")
    return data


def _identify(path: Path, data: bytes, form: Format) -> str:
    """Return the id of a revision: the same file, content and reader give the same id."""
    parts = (str(path), hashlib.sha256(data).hexdigest(), form.reader)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]
