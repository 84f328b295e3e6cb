"""Opening the database and bringing it up to date."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from retrieval.errors import LibraryUnreadable, RetrievalError
from retrieval.store import rows
from retrieval.store.connection import Connection, opened
from retrieval.types import passage_key
from retrieval.words import indexed

MIGRATIONS = Path(__file__).parents[1] / "migrations"


def connect(path: Path) -> Connection:
    """Open the database for one thread; LibraryUnreadable if it is not one."""
    db = opened(path)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
    except RetrievalError:
        db.close()
        raise
    db.create_function("passage_key", 3, _passage_key, deterministic=True)
    db.create_function("seal", -1, _seal, deterministic=True)
    db.create_function("indexed", 1, indexed, deterministic=True)
    return db


def migrate(db: sqlite3.Connection, folder: Path = MIGRATIONS) -> None:
    """Apply, in order, each NNNN_name.sql newer than the database.

    They commit together: one that fails leaves no trace.
    """
    scripts = sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    newest = int(scripts[-1].name[:4])
    if _version(db) == newest:
        return
    # A table that others refer to is rebuilt under their feet; SQLite asks for both of these.
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("PRAGMA legacy_alter_table = ON")
    try:
        with transaction(db):
            _apply(db, scripts, newest)
    finally:
        db.execute("PRAGMA legacy_alter_table = OFF")
        db.execute("PRAGMA foreign_keys = ON")


class transaction:  # noqa: N801 - reads as a verb in a with statement
    """Hold the right to write; commit when the block ends well, leave no trace otherwise."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> sqlite3.Connection:
        """Begin; waits for another writer, 30 s at most."""
        self._db.execute("BEGIN IMMEDIATE")
        return self._db

    def __exit__(self, kind: object, *_: object) -> None:
        """Commit, or roll back."""
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            # SQLite itself rolls back after some errors, a full disk among them.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")


def _apply(db: sqlite3.Connection, scripts: list[Path], newest: int) -> None:
    version = _version(db)
    if version > newest:
        raise LibraryUnreadable(
            f"The library has schema {version}, this Footnote knows {newest}:"
            " it was written by a newer Footnote. Update Footnote."
        )
    for script in scripts[version:]:
        for statement in _statements(script.read_text(encoding="utf-8")):
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {newest}")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> Iterator[str]:
    """Split a script where SQLite itself says a statement is complete."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _seal(*fields: object) -> bytes:
    return rows.seal(fields)


def _passage_key(title: str, heading: str, text: str) -> bytes:
    return passage_key(title, json.loads(heading), text)
