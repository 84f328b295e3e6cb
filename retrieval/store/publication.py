"""Writing to the database: aside first, then the one transaction that makes it show."""

import sqlite3
from collections.abc import Iterable

from retrieval.store import labels, rows
from retrieval.store.ledger import forget_files, write_files
from retrieval.types import Change, FileState, Revision, SegmentRecord

PLACES = ", ".join("?" * (len(rows.COLUMNS.split(",")) + 1))


class Staging:
    """Stores documents that nothing answers from yet."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add(self, revision: Revision, first_passage_id: int) -> None:
        """Store a document with its text and passages, numbered from `first_passage_id`."""
        document = revision.document
        self._db.execute(  # it may take the place of one that is damaged
            f"INSERT OR REPLACE INTO document ({rows.COLUMNS}, digest) VALUES ({PLACES})",
            (*rows.document_row(document), rows.digest(revision)),
        )
        self._insert("document_text", (document.id, revision.text))
        self._insert("reading", (document.id, *rows.reading_row(revision.reading)))
        keyed = zip(revision.passages, revision.keys, strict=True)
        for number, (passage, key) in enumerate(keyed, start=first_passage_id):
            row = rows.passage_row(number, passage, key)
            self._insert("passage", row)
            self._db.execute(
                "INSERT INTO passage_index (rowid, title, heading, text)"
                " VALUES (?, indexed(?), indexed(?), indexed(?))",
                (number, document.title, row[3], passage.text),
            )

    def add_segment(self, record: SegmentRecord, since: int | None = None) -> None:
        """Name a segment file that is on disk, and the first generation it serves, if any."""
        self._insert("segment", (*_segment_row(record), since))

    def replace_segments(self, old: Iterable[SegmentRecord], new: SegmentRecord | None) -> None:
        """Let one segment stand for several, from the first generation that any served."""
        names = [record.name for record in old]
        served = [
            generation
            for name in names
            for (generation,) in self._db.execute(
                "DELETE FROM segment WHERE name = ? RETURNING added_in", (name,)
            ).fetchall()
        ]
        since = min((g for g in served if g is not None), default=None)
        if new is not None:
            self._insert("segment", (*_segment_row(new), since))

    def remove(self, document_id: str, *, trace: bool = False) -> None:
        """Delete what is stored of a document; with `trace`, all but that it was there."""
        of_it = {"id": document_id}
        self._db.execute(
            "INSERT INTO passage_index (passage_index, rowid, title, heading, text)"
            " SELECT 'delete', w.id, w.title, w.heading, w.text FROM passage_indexed w"
            " JOIN passage p ON p.id = w.id WHERE p.document_id = :id",
            of_it,
        )
        for table in ("passage", "document_text", "reading"):
            self._db.execute(f"DELETE FROM {table} WHERE document_id = :id", of_it)
        if trace:
            self._db.execute(
                "UPDATE document SET title = '', keywords = '[]', digest = NULL WHERE id = :id",
                of_it,
            )
        else:
            self._db.execute("DELETE FROM document WHERE id = :id", of_it)

    def _insert(self, table: str, row: tuple[object, ...]) -> None:
        places = ", ".join("?" * len(row))
        self._db.execute(f"INSERT INTO {table} VALUES ({places})", row)


class Publication:
    """The writes of one generation."""

    def __init__(self, db: sqlite3.Connection, generation: int) -> None:
        self._db = db
        self.generation = generation

    def set(self, name: str, value: str) -> None:
        """Store a setting."""
        self._db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))

    def apply(self, change: Change, published_at: str) -> None:
        """Make a change, and the generation that shows it."""
        self._db.execute(
            "INSERT INTO generation (number, published_at, cause, restores) VALUES (?, ?, ?, ?)",
            (self.generation, published_at, change.cause, change.restores),
        )
        forget_files(self._db, change.forgotten)
        for document_id, source, path in change.moved:
            self._move(document_id, source, path)
        for document_id in change.withdrawn:
            self._withdraw(document_id)
        for document_id in change.added:
            self._present(document_id)
        self._db.execute(
            "UPDATE segment SET added_in = ? WHERE added_in IS NULL", (self.generation,)
        )
        write_files(self._db, change.files)
        for old, new in change.inherited:
            labels.hand_down(self._db, old, new)
        for source, relabel in change.relabelled:
            labels.relabel(self._db, source, relabel)
        self._db.execute(
            "UPDATE generation SET digest = ? WHERE number = ?",
            (generation_digest(self._db, self.generation), self.generation),
        )

    def _present(self, document_id: str) -> None:
        """Answer from a document, unless its file was withdrawn while it was being read."""
        self._db.execute(
            "UPDATE presence SET withdrawn_in = :generation"
            " WHERE withdrawn_in IS NULL AND document_id IN ("
            "  SELECT old.id FROM document AS old JOIN document AS new ON new.source = old.source"
            "  WHERE new.id = :id AND old.id != :id)",
            {"id": document_id, "generation": self.generation},
        )
        self._db.execute(
            "INSERT INTO presence SELECT id, :generation, NULL FROM document WHERE id = :id"
            " AND NOT EXISTS (SELECT 1 FROM presence"
            "  WHERE document_id = :id AND withdrawn_in IS NULL)"
            " AND NOT EXISTS (SELECT 1 FROM file"
            "  WHERE file.source = document.source AND state = :withdrawn)",
            {
                "id": document_id,
                "generation": self.generation,
                "withdrawn": FileState.WITHDRAWN,
            },
        )

    def _withdraw(self, document_id: str) -> None:
        self._db.execute(
            "UPDATE presence SET withdrawn_in = ? WHERE document_id = ? AND withdrawn_in IS NULL",
            (self.generation, document_id),
        )

    def _move(self, document_id: str, source: str, path: str) -> None:
        query = "SELECT source FROM document WHERE id = ?"
        for (old,) in self._db.execute(query, (document_id,)).fetchall():
            labels.hand_down(self._db, str(old), source)
            labels.forget_labels(self._db, str(old))
        self._db.execute(
            "UPDATE document SET source = ?, path = ?,"
            " digest = CAST(substr(digest, 1, 48) || ? AS BLOB)"  # || makes text, even of bytes
            " WHERE id = ?",
            (source, path, rows.place_digest(source, path), document_id),
        )


def generation_digest(db: sqlite3.Connection, generation: int) -> bytes:
    """Return the digest of a generation's row and of what came and went with it."""
    row = db.execute(
        "SELECT number, published_at, cause, restores FROM generation WHERE number = ?",
        (generation,),
    ).fetchone()
    changed = db.execute(
        "SELECT document_id, added_in = :generation, withdrawn_in IS :generation FROM presence"
        " WHERE added_in = :generation OR withdrawn_in = :generation ORDER BY 1, 2",
        {"generation": generation},
    )
    return rows.seal((*row, *(field for pair in changed for field in pair)))


def _segment_row(record: SegmentRecord) -> tuple[object, ...]:
    return (record.name, record.sha256, record.passages, record.first, record.last)
