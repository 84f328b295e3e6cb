"""The labels of files in the database."""

import sqlite3

from retrieval.labels import Labels, Relabel
from retrieval.store import rows


def all_labels(db: sqlite3.Connection) -> dict[str, Labels]:
    """Return what operators have put on files, by source."""
    found = db.execute(f"SELECT file, {rows.LABELS} FROM label")
    return {str(row[0]): rows.labels_of(row[1:]) for row in found}


def broken_labels(db: sqlite3.Connection) -> list[str]:
    """Return the sources whose labels are not as they were written."""
    found = db.execute(f"SELECT file, {rows.LABELS}, seal FROM label")
    return [str(row[0]) for row in found if rows.seal(row[:-1]) != row[-1]]


def relabel(db: sqlite3.Connection, source: str, change: Relabel) -> None:
    """Change what is on a file."""
    _write(db, source, change.of(_labels(db, source)))


def forget_labels(db: sqlite3.Connection, source: str) -> None:
    """Take everything off a file."""
    db.execute("DELETE FROM label WHERE file = ?", (source,))


def hand_down(db: sqlite3.Connection, old: str, new: str) -> None:
    """Put on a file what is on another, which it has taken the place of."""
    if labels := _labels(db, old):
        _write(db, new, labels)


def _labels(db: sqlite3.Connection, source: str) -> Labels:
    row = db.execute(f"SELECT {rows.LABELS} FROM label WHERE file = ?", (source,)).fetchone()
    return Labels() if row is None else rows.labels_of(row)


def _write(db: sqlite3.Connection, source: str, labels: Labels) -> None:
    if labels:
        row = rows.label_row(source, labels)
        db.execute("INSERT OR REPLACE INTO label VALUES (?, ?, ?, ?, ?)", row)
    else:
        forget_labels(db, source)
