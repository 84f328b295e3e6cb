"""The ingest job: files in, one new generation of the library out."""

import secrets
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from ingest.finding import Found, Search, exists, find, uploaded
from ingest.intake import OUT_OF_USE, Entry, Intake
from ingest.ledger import FileReport, Outcome, Report
from ingest.progress import Follow, Progress, Stage
from ingest.sandbox import Sandbox
from retrieval import Embedder, Labels, Library, Relabel, Revision
from retrieval.embedder import Embedded, embed_passages
from retrieval.errors import RetrievalError
from retrieval.types import UPLOAD, Change, FileRecord, FileState, Run, RunState, now

EMBED_AT_ONCE = 64
"""Passages a call, with their sentences: enough to sort by length and batch well, few enough to
show progress."""
STAGE_AT_ONCE = 1024
"""Passages that are put on disk together: what a kill makes the next run embed again."""
RECORD_EVERY_S = 0.5
AHEAD = 8
"""Files that are read ahead of embedding, for each sandbox: more would only fill memory."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is to go.

    `prune` withdraws documents whose files are gone from the folders that are read. `dry` looks
    and changes nothing. `id` names the run in the library. `relabel` is done to every file below
    the paths that are read, and not to uploads.
    """

    prune: bool = False
    dry: bool = False
    id: str = ""
    relabel: Relabel = field(default_factory=Relabel)


@dataclass(slots=True)
class _Work:
    """What a run has gathered: what to publish, and what to stage before."""

    added: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    moved: list[tuple[str, str, str]] = field(default_factory=list)
    files: list[FileRecord] = field(default_factory=list)
    inherited: list[tuple[str, str]] = field(default_factory=list)
    relabelled: list[tuple[str, Relabel]] = field(default_factory=list)
    pending: list[Revision] = field(default_factory=list)
    met: set[str] = field(default_factory=set)

    @property
    def change(self) -> Change:
        return Change(
            self.added,
            self.withdrawn,
            self.moved,
            self.files,
            inherited=self.inherited,
            relabelled=self.relabelled,
        )


class Job:
    """Brings files into a library; what is unchanged costs only a look.

    Files are read in as many threads as there are sandboxes, beside the embedding.
    """

    def __init__(
        self,
        library: Library,
        embedder: Embedder,
        sandboxes: Sequence[Sandbox],
        *,
        chunk_tokens: int,
    ) -> None:
        self._library = library
        self._embedder = embedder
        self._sandboxes = sandboxes
        self._chunk_tokens = chunk_tokens

    def run(self, paths: Sequence[Path], follow: Follow, options: Options | None = None) -> Report:
        """Ingest files and folders and publish what changed as one generation.

        A file that cannot be read is reported and the others go on. NothingToIngest is raised
        before anything is read, if a path does not exist or holds no file. What `follow`
        raises ends the run; what it had embedded is not embedded again by the next.
        """
        options = options or Options()
        if options.dry:
            return self._run(paths, follow, options)
        options = replace(options, id=options.id or secrets.token_hex(8))
        with self._library.writing(), self._recorded(paths, options.id) as ended:
            report = self._run(paths, self._recording(options.id, follow), options)
            ended.append(report.generation)
            return report

    def _run(self, paths: Sequence[Path], follow: Follow, options: Options) -> Report:
        progress = Progress()
        follow(progress)
        search = find(paths, time.time_ns())
        files = [*search.files, *uploaded(self._library)]
        progress.files, progress.bytes = len(files), sum(f.size for f in files)
        intake = Intake(
            self._library,
            self._embedder,
            chunk_tokens=self._chunk_tokens,
            run=options.id,
            dry=options.dry,
        )
        work, report = _Work(), Report(dry=options.dry)
        progress.stage = Stage.READING
        for found, entries in self._taken(files, intake):
            for entry in entries:
                self._note(entry, intake, work, report)
                progress.failed += entry.report.outcome is Outcome.FAILED
            self._note_taken_out(found, entries, intake, work)
            progress.files_done += 1
            progress.bytes_done += found.size
            progress.file = found.shown
            self._stage(work, progress, follow, least=STAGE_AT_ONCE)
            follow(progress)
        self._note_gone(search, intake, work, report, prune=options.prune)
        work.relabelled = self._relabelled(work, options.relabel)
        report.files.sort(key=lambda file: file.path)
        report.generation = self._library.generation
        if not options.dry:
            self._stage(work, progress, follow, least=1)
            progress.stage = Stage.PUBLISHING
            follow(progress)
            report.generation = self._publish(work)
        progress.stage, progress.file = Stage.DONE, ""
        follow(progress)
        report.seconds = round(progress.seconds, 3)
        return report

    def _taken(self, files: Sequence[Found], intake: Intake) -> Iterator[tuple[Found, list[Entry]]]:
        """Take files in, some at a time; those that need no look come out ahead of the rest."""
        free: SimpleQueue[Sandbox] = SimpleQueue()
        for sandbox in self._sandboxes:
            free.put(sandbox)

        def take(found: Found) -> list[Entry]:
            sandbox = free.get()
            try:
                return intake.take(found, sandbox)
            finally:
                free.put(sandbox)

        with ThreadPoolExecutor(len(self._sandboxes)) as pool:
            ahead: deque[tuple[Found, Future[list[Entry]]]] = deque()
            try:
                for found in files:
                    if (entries := intake.glance(found)) is not None:
                        yield found, entries
                        continue
                    ahead.append((found, pool.submit(take, found)))
                    if len(ahead) >= AHEAD * len(self._sandboxes):
                        first, future = ahead.popleft()
                        yield first, future.result()
                while ahead:
                    first, future = ahead.popleft()
                    yield first, future.result()
            finally:
                for _, future in ahead:
                    future.cancel()

    def _note(self, entry: Entry, intake: Intake, work: _Work, report: Report) -> None:
        """Gather what is to be done about a file."""
        source = entry.record.source
        report.files.append(entry.report)
        work.met.add(source)
        if entry.is_news:
            work.files.append(entry.record)
        if entry.revision:
            work.pending.append(entry.revision)
        if entry.document_id:
            work.added.append(entry.document_id)
        elif entry.report.outcome is Outcome.CHANGED and (live := intake.live.get(source)):
            work.withdrawn.append(live.document_id)  # it holds files now, and no text
        if entry.moved:
            work.moved.append((entry.moved.document_id, source, entry.record.path))
            work.files.append(_gone(entry.moved.source, entry.moved.path))
        if entry.heir_to:
            work.inherited.append((entry.heir_to, source))

    def _relabelled(self, work: _Work, change: Relabel) -> list[tuple[str, Relabel]]:
        """Return the files, uploads aside, whose labels a change would not leave as they are."""
        if not change:
            return []
        known = self._library.labels()
        files = (source for source in sorted(work.met) if not source.startswith(UPLOAD))
        labelled = ((source, known.get(source, Labels())) for source in files)
        return [(source, change) for source, labels in labelled if change.of(labels) != labels]

    def _note_taken_out(
        self, found: Found, entries: Sequence[Entry], intake: Intake, work: _Work
    ) -> None:
        """Withdraw what is no longer inside a file that was read again."""
        if not entries or entries[0].report.outcome is Outcome.FAILED:
            return
        there = {entry.record.source for entry in entries}
        for record in intake.inside(found.source):
            if record.source in there or record.state in OUT_OF_USE:
                continue
            work.files.append(_gone(record.source, record.path))
            if live := intake.live.get(record.source):
                work.withdrawn.append(live.document_id)

    def _note_gone(
        self, search: Search, intake: Intake, work: _Work, report: Report, *, prune: bool
    ) -> None:
        """Report the files that are no longer there; withdraw what they held, to prune."""
        settled = {document_id for document_id, _, _ in work.moved}.union(work.withdrawn)
        for source, path in intake.places().items():
            if source in work.met or not search.covers(source) or exists(source):
                continue
            live = intake.live.get(source)
            if live is None or prune:
                work.files.append(_gone(source, path))
            if live is None or live.document_id in settled:
                continue
            reason = "It is no longer there."
            if prune:
                work.withdrawn.append(live.document_id)
            else:
                reason += " Answers still come from it: --prune withdraws it."
            report.files.append(
                FileReport(path, Outcome.GONE, reason, document_id=live.document_id)
            )

    def _stage(self, work: _Work, progress: Progress, follow: Follow, *, least: int) -> None:
        """Embed what was read and put it on disk, if there is enough of it."""
        if sum(len(revision.passages) for revision in work.pending) < least:
            return
        self._library.stage(work.pending, *self._embed(work.pending, progress, follow))
        work.pending.clear()

    def _embed(self, revisions: Sequence[Revision], progress: Progress, follow: Follow) -> Embedded:
        """Return a row for each passage, and one for each sentence of each.

        Passages that were embedded before are not again.
        """
        passages = [(r.document.title, passage) for r in revisions for passage in r.passages]
        known = self._library.known_vectors(passages)
        unknown = [at for at, embedded in enumerate(known) if embedded is None]
        progress.reused += len(passages) - len(unknown)
        unknown.sort(key=lambda at: (len(passages[at][1].text), passages[at][1].text))
        for start in range(0, len(unknown), EMBED_AT_ONCE):
            follow(progress)
            some = unknown[start : start + EMBED_AT_ONCE]
            vectors, sentences = embed_passages(self._embedder, [passages[at] for at in some])
            ends = np.cumsum([len(passages[at][1].sentences) for at in some])
            for at, vector, own in zip(some, vectors, np.split(sentences, ends[:-1]), strict=True):
                known[at] = (vector, own)
            progress.passages += len(some)
        whole = [embedded for embedded in known if embedded is not None]
        return np.stack([vector for vector, _ in whole]), np.concatenate([own for _, own in whole])

    def _publish(self, work: _Work) -> int:
        self._library.consolidate()
        generation = self._library.publish(work.change)
        self._library.tidy()
        return generation

    def _recording(self, run_id: str, follow: Follow) -> Follow:
        """Have progress written down for other processes too, and heed them when they cancel."""
        ledger, written = self._library.ledger, 0.0

        def record(progress: Progress) -> None:
            nonlocal written
            follow(progress)
            if progress.seconds - written < RECORD_EVERY_S and progress.stage is Stage.READING:
                return
            written = progress.seconds
            goes_on = ledger.progress(run_id, progress.as_json())
            if not goes_on and progress.stage is not Stage.DONE:  # what is published stays so
                raise Cancelled("It was cancelled. The next run goes on from there.")

        return record

    @contextmanager
    def _recorded(self, paths: Sequence[Path], run_id: str) -> Iterator[list[int]]:
        """Record that a run goes on, and how it ended: with the generation it is given."""
        ledger, generation = self._library.ledger, list[int]()
        run = Run(run_id, now(), RunState.RUNNING, tuple(map(str, paths)))
        ledger.start(run)
        try:
            yield generation
        except BaseException as problem:
            stopped = isinstance(problem, KeyboardInterrupt | Cancelled)
            state = RunState.CANCELLED if stopped else RunState.FAILED
            with suppress(RetrievalError):  # on a full disk, say: the next run will note it
                ledger.end(run_id, state, now(), problem=str(problem) or type(problem).__name__)
            raise
        ledger.end(run_id, RunState.DONE, now(), generation=generation[0])


class Cancelled(Exception):
    """Whoever follows a run has asked it to stop."""


def _gone(source: str, path: str) -> FileRecord:
    reason = "It is no longer there."
    return FileRecord(source, path, FileState.GONE, reason, run="gone", met_at=now())
