"""Runs of the ingest job for those who ask by HTTP.

One goes on at a time, in a process of its own: it may be slow, and may crash, and answers go on
beside it. What became of each is in the library, where `footnote ingest --run` records it.
"""

import logging
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from retrieval import Library, RetrievalError
from retrieval.errors import LibraryBusy
from retrieval.types import FileState, Run, RunState, now

log = logging.getLogger("footnote")

POLL_S = 0.25
HEARTBEAT_S = 10.0
CANCEL_S = 10.0
"""How long a cancelled run may take to notice; its process is ended then."""
END_S = 3.0
BUSY_S = 1.0
"""Between two looks at whether another process still writes to the library."""
LONGEST_PROBLEM = 1000  # characters

GOING = (RunState.WAITING, RunState.RUNNING)


class IngestionNotFound(Exception):
    """There is no run of the ingest job with that id."""


class IngestionGoesOn(Exception):
    """A run of the ingest job goes on, and another cannot begin: which."""

    def __init__(self, run: Run) -> None:
        super().__init__(
            f"The ingestion {run.id} goes on. Wait for its end, or cancel it:"
            f" DELETE /v1/ingestions/{run.id}."
        )
        self.run = run


@dataclass(slots=True)
class _Order:
    """A run that was asked for and has not ended."""

    id: str
    paths: tuple[str, ...] = ()
    prune: bool = False
    cancelled: threading.Event = field(default_factory=threading.Event)


class Ingestions:
    """Starts runs of the ingest job, one after the other, and tells how they go.

    `environment` is what their processes see. Safe to call from any thread.
    """

    def __init__(self, library: Library, environment: Mapping[str, str]) -> None:
        self._library = library
        self._environment = dict(environment)
        self._orders: list[_Order] = []
        self._changed = threading.Condition(threading.RLock())
        self._closing = threading.Event()
        self._worker: threading.Thread | None = None

    def start(self, paths: Sequence[Path], *, prune: bool = False) -> Run:
        """Begin to read files and folders, and waiting uploads; IngestionGoesOn if one goes on.

        With `prune`, documents whose files are gone from the folders are withdrawn.
        """
        with self._changed:
            if going := self.going():
                raise IngestionGoesOn(going)
            return self._queue(_Order(secrets.token_hex(8), tuple(map(str, paths)), prune))

    def read_uploads(self) -> Run:
        """Have uploads read that the library has received: by a run that is yet to begin.

        That may be one which others wait for too: every run takes all uploads there are.
        """
        with self._changed:
            for order in self._orders:
                run = self._library.ledger.run(order.id)
                if run and run.state is RunState.WAITING:
                    return run
            return self._queue(_Order(secrets.token_hex(8)))

    def resume(self) -> None:
        """Go on with what an earlier service left: runs not begun, and uploads not read."""
        written_to = self._is_written_to()
        with self._changed:
            if not written_to:
                self._library.ledger.cut_off()
            for run in reversed(self.list(limit=100)):
                if run.state is RunState.WAITING:
                    prune = bool(run.progress.get("prune"))
                    self._queue(_Order(run.id, run.paths, prune))
            uploads = self._library.ledger.uploads()
            if not self._orders and any(f.state is FileState.WAITING for f in uploads):
                self.read_uploads()

    def get(self, run_id: str) -> Run:
        """Return a run; IngestionNotFound if there never was one."""
        if (run := self._library.ledger.run(run_id)) is None:
            raise IngestionNotFound(f"There is no ingestion {run_id}.")
        return run

    def list(self, limit: int = 50) -> list[Run]:
        """Return the newest runs, newest first."""
        return self._library.ledger.runs(limit)

    def cancel(self, run_id: str) -> Run:
        """Have a run stop; what it published stays, and one that has ended is left as it is."""
        self.get(run_id)
        with self._changed:
            self._library.ledger.cancel(run_id)
            for order in self._orders:
                if order.id == run_id:
                    order.cancelled.set()
        return self.get(run_id)

    def follow(
        self, run_id: str, has_left: Callable[[], bool] = lambda: False
    ) -> Iterator[Run | None]:
        """Yield a run whenever it has changed, up to its end; None as a sign of life between.

        It ends too when whoever follows `has_left`.
        """
        last, spoke = self.get(run_id), time.monotonic()
        yield last
        while last.state in GOING and not self._closing.wait(POLL_S) and not has_left():
            run, now = self.get(run_id), time.monotonic()
            if run != last or now - spoke >= HEARTBEAT_S:
                yield run if run != last else None
                last, spoke = run, now

    def close(self) -> None:
        """End the run that goes on; those that wait are resumed by the next service."""
        with self._changed:
            self._closing.set()
            self._changed.notify_all()
        if self._worker:
            self._worker.join()

    def _queue(self, order: _Order) -> Run:
        """Record that a run waits, and have it carried out in its turn; the caller holds the lock.

        Only a run that waits needs to know whether it is to prune, so its progress can say so.
        """
        notes = {"prune": True} if order.prune else {}
        run = Run(order.id, now(), RunState.WAITING, order.paths, notes)
        self._library.ledger.wait(run)
        self._orders.append(order)
        self._changed.notify_all()
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name="ingestions", daemon=True)
            self._worker.start()
        return run

    def going(self) -> Run | None:
        """Return the run that goes on or waits, here or in a process that we did not start."""
        for order in self._orders:
            run = self._library.ledger.run(order.id)
            if run and run.state in GOING:
                return run
        running = [run for run in self.list() if run.state is RunState.RUNNING]
        return running[0] if running and self._is_written_to() else None

    def _is_written_to(self) -> bool:
        try:
            with self._library.writing():
                return False
        except LibraryBusy:
            return True
        except RetrievalError:
            return False  # the run will meet it too, and say it

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._orders or self._closing.is_set())
                if self._closing.is_set():
                    return
                order = self._orders[0]
            try:
                self._carry_out(order)
            except Exception:  # such as a full disk: the runs that come after must not wait for it
                log.exception("the ingestion %s was given up", order.id)
            else:
                with suppress(RetrievalError):
                    self._library.snapshot()  # so that no question waits for it to be opened
            finally:
                with self._changed:
                    self._orders.remove(order)

    def _carry_out(self, order: _Order) -> None:
        """Run a process for an order when nobody else writes, and see that its end is recorded."""
        said = ""
        while not self._closing.is_set() and not order.cancelled.is_set():
            if not self._is_written_to():
                said = self._run(order)
                # Someone else may have been quicker to begin to write: then it has not begun.
                if self.get(order.id).state is not RunState.WAITING or not self._is_written_to():
                    break
            order.cancelled.wait(BUSY_S)
        with self._changed:
            self._settle(order, said)

    def _settle(self, order: _Order, said: str) -> None:
        """Record the end of a run whose process could not do so itself."""
        ledger, run = self._library.ledger, self.get(order.id)
        if run.ended_at is None and run.state is RunState.CANCELLED:
            ledger.end(order.id, RunState.CANCELLED, now())
        elif run.state is RunState.RUNNING and self._closing.is_set():
            stopped = "The service was stopped. The next run goes on from there."
            ledger.end(order.id, RunState.FAILED, now(), problem=stopped)
        elif run.state in GOING and not self._closing.is_set():
            ledger.end(order.id, RunState.FAILED, now(), problem=said)

    def _run(self, order: _Order) -> str:
        """Run the process of an order to its end and return what it said, or how it ended."""
        with tempfile.TemporaryFile() as errors:
            try:
                child = self._spawn(order, errors)
            except OSError as problem:
                return f"It could not be started: {problem.strerror}."
            with child:
                try:
                    self._watch(child, order)
                finally:
                    _end(child)
            return _last_words(errors, child.returncode)

    def _spawn(self, order: _Order, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        command = [
            *(sys.executable, "-P", "-m", "web.lifeline", "ingest", "--run", order.id, "--quiet"),
            *("--home", str(self._library.home.absolute())),
            *(["--prune"] if order.prune else []),
            *(["--", *order.paths] if order.paths else []),
        ]
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # never written to: it breaks when this process ends
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=self._environment,
            start_new_session=True,
        )

    def _watch(self, child: subprocess.Popen[bytes], order: _Order) -> None:
        """Wait for the end of a process, or for the time to end it."""
        deadline = float("inf")
        while not self._closing.is_set() and time.monotonic() < deadline:
            with suppress(subprocess.TimeoutExpired):
                child.wait(POLL_S)
                return
            if order.cancelled.is_set():
                deadline = min(deadline, time.monotonic() + CANCEL_S)
                # Once more: a process that begins only now has recorded that the run goes on.
                self._library.ledger.cancel(order.id)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(END_S)
    except subprocess.TimeoutExpired:
        child.kill()


def _last_words(errors: IO[bytes], code: int) -> str:
    """Return the last line a process said, without the name of the program."""
    errors.seek(0)
    lines = errors.read().decode("utf-8", "replace").strip().splitlines()
    if lines:
        return lines[-1].removeprefix("footnote: ")[:LONGEST_PROBLEM]
    how = f"by signal {-code}" if code < 0 else f"with status {code}"
    return f"Its process ended {how} and said nothing."
