"""Opening the database of receipts, and saying what is wrong with it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from answer.errors import ReceiptsUnavailable

VERSION = 1
SCHEMA = """
CREATE TABLE receipt (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    answered_at TEXT NOT NULL, -- UTC, ISO 8601, to the second
    content TEXT NOT NULL, -- JSON
    sha256 TEXT NOT NULL -- of the content
);
CREATE INDEX receipt_by_age ON receipt (answered_at);
CREATE TABLE cited ( -- documents whose words a receipt holds
    receipt INTEGER NOT NULL REFERENCES receipt ON DELETE CASCADE,
    document_id TEXT NOT NULL,
    PRIMARY KEY (receipt, document_id)
) WITHOUT ROWID;
CREATE INDEX cited_by_document ON cited (document_id);
"""
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
HELD = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit when the block ends well, leave no trace otherwise."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def connect(path: Path, wait_s: float) -> sqlite3.Connection:
    """Open the file, and make it if there is none. Threads must take turns with it."""
    if not path.exists():  # what people ask is nobody else's business
        with suppress(OSError):  # which SQLite meets too, and tells
            path.touch(mode=0o600)
    db = sqlite3.connect(path, timeout=wait_s, isolation_level=None, check_same_thread=False)
    try:
        # What is damaged beyond being text is found to be damaged by its hash.
        db.text_factory = lambda data: data.decode("utf-8", "replace")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA journal_size_limit = 0")
        db.execute("PRAGMA foreign_keys = ON")
        _make(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _make(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables where there are none yet."""
    version = _version(db)
    if version > VERSION:
        raise ReceiptsUnavailable(
            f"{path} was written by a newer Footnote (schema {version}, this one knows {VERSION})."
            " Update Footnote."
        )
    if version == VERSION:
        return
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("BEGIN IMMEDIATE")
    if _version(db) == 0:  # another process may have been first
        for statement in SCHEMA.split(";")[:-1]:
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def translation(path: Path, problem: sqlite3.Error) -> ReceiptsUnavailable:
    """Return SQLite's error in words that say what to do."""
    code = getattr(problem, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if code in HELD:
        return ReceiptsUnavailable(f"Another program holds {path}. Try again when it has ended.")
    if code in DAMAGED:
        return ReceiptsUnavailable(
            f"{path} is damaged ({problem}). Restore it from a backup, or move it away: receipts"
            " then begin anew."
        )
    return ReceiptsUnavailable(
        f"{path} cannot be read or written to: {problem}. See that the disk has room and that this"
        " user may write there."
    )
