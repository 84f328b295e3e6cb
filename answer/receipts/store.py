"""The database of receipts: the only SQL there is outside the library.

Written without a sync a receipt, which a reader would wait for: whatever ends the process, what
was written is there; when the power goes, what the system had not brought to the disk may be lost,
and the rest is whole. What is deleted is overwritten.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from answer.errors import ReceiptsUnavailable
from answer.receipts.connection import VERSION, connect, transaction, translation
from answer.receipts.record import sha256

ANSWERING_S = 0.25
"""Longest wait for other writers while a reader waits."""
PATIENT_S = 10.0
AT_ONCE = 100
"""Receipts that one transaction changes, so that none holds up an answer."""
PAGES_AT_ONCE = 256
EXPIRED_AT_ONCE = 20
"""Expired receipts that go when one is added: more than come, and too few to notice."""
FIELDS = "id, answered_at, content, sha256"
ROW = f"SELECT {FIELDS} FROM receipt"


@dataclass(frozen=True, slots=True)
class Stored:
    """A receipt as it lies in the database."""

    id: str
    answered_at: str
    content: str
    sha256: str

    @property
    def intact(self) -> bool:
        """Whether its content is what was written."""
        return sha256(self.content) == self.sha256


class Store:
    """One SQLite file, made when the first receipt is added; safe from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._let_go()

    def add(self, receipt: Stored, documents: Sequence[str], *, expired: str) -> None:
        """Add a receipt, and remove a few of those answered before `expired`."""
        with self._opened(ANSWERING_S) as db, transaction(db):
            added = db.execute(
                "INSERT INTO receipt (id, answered_at, content, sha256) VALUES (?, ?, ?, ?)",
                (receipt.id, receipt.answered_at, receipt.content, receipt.sha256),
            )
            number = added.lastrowid
            db.executemany("INSERT INTO cited VALUES (?, ?)", [(number, d) for d in documents])
            _expire(db, expired, EXPIRED_AT_ONCE)

    def find(self, answer_id: str, since: str) -> Stored | None:
        """Return the receipt of an answer that was given since then."""
        found = self._read(f"{ROW} WHERE id = ? AND answered_at >= ?", answer_id, since)
        return Stored(*found[0]) if found else None

    def newest(self, limit: int, since: str) -> list[Stored]:
        """Return the newest receipts since then, newest first; -1 for all."""
        query = f"{ROW} WHERE answered_at >= ? ORDER BY number DESC LIMIT ?"
        return [Stored(*row) for row in self._read(query, since, limit)]

    def all(self, since: str) -> Iterator[Stored]:
        """Yield the receipts since then, oldest first, reading a few at a time."""
        query = (
            f"SELECT number, {FIELDS} FROM receipt WHERE answered_at >= ? AND number > ?"
            " ORDER BY number LIMIT ?"
        )
        last = 0
        while found := self._read(query, since, last, AT_ONCE):
            yield from (Stored(*row) for _, *row in found)
            last = int(found[-1][0])

    def count(self, since: str) -> int:
        """Return how many receipts there are since then."""
        found = self._read("SELECT count(*) FROM receipt WHERE answered_at >= ?", since)
        return int(found[0][0]) if found else 0

    def documents(self) -> list[str]:
        """Return the documents whose words stand in receipts."""
        return [name for (name,) in self._read("SELECT DISTINCT document_id FROM cited")]

    def rewrite(self, document_id: str, change: Callable[[Stored], Stored | None]) -> int:
        """Change the receipts that hold words of a document, which they then no longer do.

        One that `change` gives None for is removed. Returns how many there were.
        """
        query = "SELECT receipt FROM cited WHERE document_id = ? LIMIT ?"
        count = 0
        while self._read(query, document_id, AT_ONCE):
            with self._in_turn() as db, transaction(db):
                numbers = [row[0] for row in db.execute(query, (document_id, AT_ONCE)).fetchall()]
                for number in numbers:
                    _rewrite(db, number, document_id, change)
            count += len(numbers)
        return count

    def remove(self, ids: Sequence[str]) -> int:
        """Remove the receipts of these answers; return how many there were."""
        with self._opened(PATIENT_S) as db, transaction(db):
            gone = [
                db.execute("DELETE FROM receipt WHERE id = ?", (name,)).rowcount for name in ids
            ]
            return sum(gone)

    def expire(self, before: str) -> int:
        """Remove all receipts of answers given before then; return how many there were."""
        query = "SELECT 1 FROM receipt WHERE answered_at < ? LIMIT 1"
        count = 0
        while self._read(query, before):
            with self._in_turn() as db, transaction(db):
                count += _expire(db, before, AT_ONCE)
        return count

    def scrub(self) -> None:
        """Leave nothing on disk of what was deleted, and give its room back."""
        if not self._path.exists():
            return
        before, free = -1, 0
        while free != before:
            before, free = free, self._shrink()
        with self._opened(PATIENT_S) as db:
            blocked = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if blocked:
            raise ReceiptsUnavailable(
                f"Another program reads {self._path}, so what was deleted may still stand in it."
                " Run `footnote receipts prune` when it has ended."
            )

    def faults(self, *, create: bool) -> list[str]:
        """Return what SQLite finds wrong; with `create` there must be a file.

        Raises ReceiptsUnavailable if it cannot be opened or written to.
        """
        if not (create or self._path.exists()):
            return []
        with self._opened(PATIENT_S) as db:
            db.execute(f"PRAGMA user_version = {VERSION}")  # so that the disk is written to
            found = db.execute("PRAGMA quick_check(5)").fetchall()
        return [row[0] for row in found if row[0] != "ok"]

    def _shrink(self) -> int:
        """Give some room back; return how many pages are still free."""
        with self._in_turn() as db:
            db.execute(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})").fetchall()
            return int(db.execute("PRAGMA freelist_count").fetchone()[0])

    def _read(self, query: str, *parameters: object) -> list[Sequence[str]]:
        if not self._path.exists():
            return []
        with self._opened(PATIENT_S) as db:
            found = db.execute(query, parameters).fetchall()
        return [[str(value) for value in row] for row in found]

    @contextmanager
    def _in_turn(self) -> Iterator[sqlite3.Connection]:
        """Hold the connection for one of many steps, between which answers leave receipts."""
        time.sleep(0.001)  # else this thread would take the lock again before any that waits
        with self._opened(PATIENT_S) as db:
            yield db

    @contextmanager
    def _opened(self, wait_s: float) -> Iterator[sqlite3.Connection]:
        """Hold the connection, for as short as can be; its errors are ours."""
        if not self._lock.acquire(timeout=wait_s):
            raise ReceiptsUnavailable(f"Another thread has been writing to {self._path} for long.")
        try:
            if self._db is None:
                self._db = connect(self._path, wait_s)
            self._db.execute(f"PRAGMA busy_timeout = {round(1000 * wait_s)}")
            yield self._db
        except sqlite3.Error as problem:
            self._let_go()  # what is wrong may be mended before the next try
            raise translation(self._path, problem) from problem
        finally:
            self._lock.release()

    def _let_go(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


def _expire(db: sqlite3.Connection, before: str, at_most: int) -> int:
    gone = db.execute(
        "DELETE FROM receipt WHERE number IN"
        " (SELECT number FROM receipt WHERE answered_at < ? ORDER BY answered_at LIMIT ?)",
        (before, at_most),
    )
    return gone.rowcount


def _rewrite(
    db: sqlite3.Connection,
    number: int,
    document_id: str,
    change: Callable[[Stored], Stored | None],
) -> None:
    row = db.execute(f"{ROW} WHERE number = ?", (number,)).fetchone()
    new = None if row is None else change(Stored(*map(str, row)))
    if new is None:
        db.execute("DELETE FROM receipt WHERE number = ?", (number,))
    else:
        db.execute(
            "UPDATE receipt SET content = ?, sha256 = ? WHERE number = ?",
            (new.content, new.sha256, number),
        )
    db.execute("DELETE FROM cited WHERE receipt = ? AND document_id = ?", (number, document_id))
