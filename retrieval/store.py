"""The library's database: the only SQL there is.

Every read is given the generation it is for, so that what an ingest publishes meanwhile
does not show until the next question.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import DocumentNotFound, LibraryUnreadable
from retrieval.types import Document, Passage, Revision

MIGRATIONS = Path(__file__).parent / "migrations"
LIVE = "added_in <= :generation AND (withdrawn_in IS NULL OR withdrawn_in > :generation)"
COLUMNS = (
    "id, source, path, title, sha256, media_type, size_bytes, characters, page_starts, reader,"
    " added_at"
)


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """What the database says of one segment file."""

    name: str
    sha256: str
    passages: int


class Store:
    """One SQLite file, one connection a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        migrate(self._db)

    def close(self) -> None:
        """Close the connections of every thread."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def generation(self) -> int:
        """Return the number of the newest generation; 0 when nothing was published."""
        row = self._db.execute("SELECT coalesce(max(number), 0) FROM generation").fetchone()
        return int(row[0])

    def setting(self, name: str) -> str | None:
        """Return a stored setting, or None."""
        row = self._db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def documents(self, generation: int) -> list[Document]:
        """Return the live documents, by path."""
        rows = self._db.execute(
            f"SELECT {COLUMNS} FROM document WHERE {LIVE} ORDER BY path, source",
            {"generation": generation},
        )
        return [_document(row) for row in rows]

    def document(self, document_id: str) -> Document:
        """Return a document whatever its state, so that old citations still open."""
        row = self._db.execute(
            f"SELECT {COLUMNS} FROM document WHERE id = ?", (document_id,)
        ).fetchone()
        if row is None:
            raise DocumentNotFound(f"There is no document {document_id} in the library.")
        return _document(row)

    def is_live(self, document_id: str, generation: int) -> bool:
        """Whether a generation answers from the document."""
        row = self._db.execute(
            f"SELECT 1 FROM document WHERE id = :id AND {LIVE}",
            {"id": document_id, "generation": generation},
        ).fetchone()
        return row is not None

    def text(self, document_id: str) -> str:
        """Return a document's extracted text."""
        row = self._db.execute(
            "SELECT text FROM document_text WHERE document_id = ?", (document_id,)
        ).fetchone()
        if row is None:
            raise DocumentNotFound(f"There is no document {document_id} in the library.")
        return str(row[0])

    def passages(self, ids: Sequence[int]) -> dict[int, Passage]:
        """Return the passages with these row ids."""
        rows = self._db.execute(
            "SELECT id, document_id, page, heading, start, stop, text, sentences FROM passage"
            " WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(ids)),),
        )
        return {int(row[0]): _passage(row) for row in rows}

    def passage_ids(self, document_ids: Iterable[str]) -> list[int]:
        """Return the row ids of all passages of these documents."""
        rows = self._db.execute(
            "SELECT id FROM passage WHERE document_id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(document_ids)),),
        )
        return [int(row[0]) for row in rows]

    def lexical(
        self, words: Sequence[str], document_ids: Iterable[str] | None, generation: int, limit: int
    ) -> list[int]:
        """Return row ids of passages that hold any of the words, best bm25 first.

        `document_ids` limits the search to those documents; None does not.
        """
        if not words:
            return []
        chosen = None if document_ids is None else json.dumps(list(document_ids))
        rows = self._db.execute(
            "SELECT passage.id FROM passage_index"
            " JOIN passage ON passage.id = passage_index.rowid"
            " JOIN document ON document.id = passage.document_id"
            f" WHERE passage_index MATCH :words AND {LIVE}"
            " AND (:chosen IS NULL OR document.id IN (SELECT value FROM json_each(:chosen)))"
            " ORDER BY bm25(passage_index), passage.id LIMIT :limit",
            {
                "words": " OR ".join(f'"{word}"' for word in dict.fromkeys(words)),
                "chosen": chosen,
                "generation": generation,
                "limit": limit,
            },
        )
        return [int(row[0]) for row in rows]

    def passage_count(self) -> int:
        """Return how many passages are indexed, withdrawn ones among them."""
        row = self._db.execute("SELECT count(*) FROM passage").fetchone()
        return int(row[0])

    def passages_with(self, stems: Iterable[str]) -> dict[str, int]:
        """Return in how many indexed passages each stem stands; absent ones are left out."""
        rows = self._db.execute(
            "SELECT term, doc FROM passage_terms WHERE term IN (SELECT value FROM json_each(?))",
            (json.dumps(list(stems)),),
        )
        return {str(term): int(count) for term, count in rows}

    def segments(self, generation: int) -> list[SegmentRecord]:
        """Return the segments a generation is made of, oldest first."""
        rows = self._db.execute(
            "SELECT name, sha256, passages FROM segment WHERE added_in <= ?"
            " ORDER BY added_in, name",
            (generation,),
        )
        return [SegmentRecord(str(a), str(b), int(c)) for a, b, c in rows]

    def holds(self, document_id: str) -> bool:
        """Whether this very revision was ever stored, live or not."""
        row = self._db.execute("SELECT 1 FROM document WHERE id = ?", (document_id,)).fetchone()
        return row is not None

    def current(self, source: str, generation: int) -> Document | None:
        """Return the live revision read from a file, or None."""
        row = self._db.execute(
            f"SELECT {COLUMNS} FROM document WHERE source = :source AND {LIVE}",
            {"source": source, "generation": generation},
        ).fetchone()
        return None if row is None else _document(row)

    def next_passage_id(self) -> int:
        """Return the row id the next passage gets, which only a writer may rely on."""
        row = self._db.execute("SELECT coalesce(max(id), 0) + 1 FROM passage").fetchone()
        return int(row[0])

    @contextmanager
    def publication(self, published_at: str) -> Iterator["Publication"]:
        """Open a transaction that becomes the next generation when the block ends well."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            number = self.generation() + 1
            db.execute("INSERT INTO generation VALUES (?, ?)", (number, published_at))
            yield Publication(db, number)
            db.execute("COMMIT")
        except BaseException:
            _roll_back(db)
            raise

    @property
    def _db(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = _connect(self._path)
            self._connections.append(connection)
        return connection


class Publication:
    """The writes of one generation."""

    def __init__(self, db: sqlite3.Connection, generation: int) -> None:
        self._db = db
        self.generation = generation

    def set(self, name: str, value: str) -> None:
        """Store a setting."""
        self._db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))

    def withdraw(self, document_id: str) -> None:
        """Let no later generation answer from a document."""
        self._db.execute(
            "UPDATE document SET withdrawn_in = ? WHERE id = ? AND withdrawn_in IS NULL",
            (self.generation, document_id),
        )

    def revive(self, document_id: str) -> None:
        """Answer again from a revision that was withdrawn; its passages are still there."""
        self._db.execute(
            "UPDATE document SET added_in = ?, withdrawn_in = NULL WHERE id = ?",
            (self.generation, document_id),
        )

    def add(self, revision: Revision, first_passage_id: int) -> None:
        """Store a document with its text and passages, numbered from `first_passage_id`."""
        document = revision.document
        self._db.execute(
            f"INSERT INTO document ({COLUMNS}, added_in, withdrawn_in)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            (*_row(document), self.generation),
        )
        self._db.execute("INSERT INTO document_text VALUES (?, ?)", (document.id, revision.text))
        for number, passage in enumerate(revision.passages, start=first_passage_id):
            self._add_passage(number, passage, document.title)

    def add_segment(self, record: SegmentRecord) -> None:
        """Make a segment file part of the library from this generation on."""
        self._db.execute(
            "INSERT INTO segment VALUES (?, ?, ?, ?)",
            (record.name, record.sha256, record.passages, self.generation),
        )

    def _add_passage(self, number: int, passage: Passage, title: str) -> None:
        heading = json.dumps(passage.heading, ensure_ascii=False)
        sentences = json.dumps(passage.sentences, separators=(",", ":"))
        self._db.execute(
            "INSERT INTO passage VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                passage.document_id,
                passage.page,
                heading,
                passage.start,
                passage.stop,
                passage.text,
                sentences,
            ),
        )
        self._db.execute(
            "INSERT INTO passage_index (rowid, title, heading, text) VALUES (?, ?, ?, ?)",
            (number, title, heading, passage.text),
        )


def migrate(db: sqlite3.Connection, folder: Path = MIGRATIONS) -> None:
    """Apply, in order, each NNNN_name.sql newer than the database.

    A file and its number commit together: one that fails leaves no trace.
    """
    scripts = sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    newest = int(scripts[-1].name[:4])
    if _version(db) == newest:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
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
        db.execute("COMMIT")
    except BaseException:
        _roll_back(db)
        raise


def _roll_back(db: sqlite3.Connection) -> None:
    # SQLite itself rolls back after some errors, a full disk among them.
    if db.in_transaction:
        db.execute("ROLLBACK")


def _version(db: sqlite3.Connection) -> int:
    try:
        return int(db.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.DatabaseError as problem:
        raise LibraryUnreadable(
            f"The library's database cannot be read ({problem}). Restore it from a backup, or"
            " move the library folder away and ingest the documents again."
        ) from problem


def _statements(script: str) -> Iterator[str]:
    """Split a script where SQLite itself says a statement is complete."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _connect(path: Path) -> sqlite3.Connection:
    # Threads never share a connection; only close() reaches over, when they have ended.
    db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
    except sqlite3.DatabaseError as problem:
        db.close()
        raise LibraryUnreadable(
            f"{path} cannot be opened ({problem}). Restore it from a backup, or move the library"
            " folder away and ingest the documents again."
        ) from problem
    return db


def _row(document: Document) -> tuple[object, ...]:
    return (
        document.id,
        document.source,
        document.path,
        document.title,
        document.sha256,
        document.media_type,
        document.size_bytes,
        document.characters,
        json.dumps(document.page_starts),
        document.reader,
        document.added_at,
    )


def _document(row: Sequence[object]) -> Document:
    fields = list(row)
    fields[8] = tuple(json.loads(str(row[8])))
    return Document(*fields)  # type: ignore[arg-type]  # the columns are named in this order


def _passage(row: Sequence[object]) -> Passage:
    _, document_id, page, heading, start, stop, text, sentences = row
    return Passage(
        document_id=str(document_id),
        page=None if page is None else int(str(page)),
        heading=tuple(json.loads(str(heading))),
        start=int(str(start)),
        stop=int(str(stop)),
        text=str(text),
        sentences=tuple((int(a), int(b)) for a, b in json.loads(str(sentences))),
    )
