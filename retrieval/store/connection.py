"""SQLite's connection, whose errors are ours: the one place where they are translated."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retrieval.errors import LibraryBusy, LibraryUnreadable, LibraryUnwritable, RetrievalError

RESTORE = (
    "Run `footnote doctor`, restore it from a backup, or move the library folder away and ingest"
    " the documents again."
)
REFUSED = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
)
"""What the disk or the system does not allow; anything else means that the database is damaged."""
NOT_READ = (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ)


class Connection(sqlite3.Connection):
    """A connection to the library's database, for one thread.

    `is_stuck` tells that it may never write again, even when the disk allows it: SQLite opens
    the database for reading only when it cannot make the files beside it.
    """

    is_stuck = False

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        """Run a statement."""
        with self.translated():
            return super().cursor(_Cursor).execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any) -> sqlite3.Cursor:
        """Run a statement with each of several rows."""
        with self.translated():
            return super().cursor(_Cursor).executemany(sql, parameters)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise what the library's callers expect in place of SQLite's errors."""
        try:
            yield
        except sqlite3.DatabaseError as problem:
            self.is_stuck = self.is_stuck or _code(problem) & 0xFF == sqlite3.SQLITE_READONLY
            raise _translation(problem) from problem
        except UnicodeDecodeError as problem:  # SQLite quotes names as it finds them
            raise _translation(sqlite3.DatabaseError("a name is not text")) from problem


class _Cursor(sqlite3.Cursor):
    """Rows are read from the disk as they are asked for, so that fails there, too."""

    def fetchone(self) -> Any:
        with self._translated():
            return super().fetchone()

    def fetchall(self) -> list[Any]:
        with self._translated():
            return super().fetchall()

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # a generator costs rows less
        with self._translated():
            yield from iter(super().__next__, None)  # ends when there are no more

    def _translated(self) -> Any:
        connection: Connection = self.connection  # type: ignore[assignment]  # it made this
        return connection.translated()


def opened(path: Path) -> Connection:
    """Open a database, which is made if it is not there; LibraryUnwritable if it cannot be."""
    try:
        # Threads never share a connection; only close() reaches over, when they have ended.
        return sqlite3.connect(
            path, timeout=30, isolation_level=None, check_same_thread=False, factory=Connection
        )
    except sqlite3.DatabaseError as problem:
        raise _translation(problem) from problem


def _code(problem: sqlite3.Error) -> int:
    return int(getattr(problem, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT))


def _translation(problem: sqlite3.Error) -> RetrievalError:
    code = _code(problem)
    if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LibraryBusy("Another process has been writing to the library. Try again in a while.")
    if code & 0xFF in REFUSED and code not in NOT_READ:
        return LibraryUnwritable(
            f"The library's database cannot be written to: {problem}. What was there before"
            " still is."
        )
    return LibraryUnreadable(f"The library's database cannot be read: {problem}. {RESTORE}")
