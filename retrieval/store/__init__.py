"""The library's database: the only SQL that reads or writes it.

`schema` opens it, `Store` reads documents and passages, `publication` writes them, `ledger`
keeps what became of files. Every read is given the generation it is for, so that what an
ingest publishes meanwhile does not show until the next question.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import DocumentNotFound, LibraryUnreadable
from retrieval.labels import Labels
from retrieval.store import labels, rows
from retrieval.store.connection import RESTORE, Connection
from retrieval.store.ledger import Ledger
from retrieval.store.publication import Publication, Staging, generation_digest
from retrieval.store.schema import connect, migrate, transaction
from retrieval.types import (
    Document,
    Generation,
    Passage,
    Reading,
    Revision,
    SegmentRecord,
    Source,
    passage_key,
)
from retrieval.words import looked_up

PRESENT = (
    "presence.added_in <= :generation"
    " AND (presence.withdrawn_in IS NULL OR presence.withdrawn_in > :generation)"
)
DOCUMENTS = "document LEFT JOIN label ON label.file = document.source"
LIVE = f"{DOCUMENTS} JOIN presence ON presence.document_id = document.id AND {PRESENT}"
BM25 = "bm25(2.0, 2.0, 1.0)"
"""What a word counts in the title, the headings and the text."""
SEARCHED = 2000
"""Passages with an abbreviation that are looked at for what it stands for."""
SEGMENT = "name, sha256, passages, first, last"


class Store:
    """One SQLite file, one connection a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._connections: list[Connection] = []
        migrate(self._db)

    def close(self) -> None:
        """Close the connections of every thread."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    @property
    def ledger(self) -> Ledger:
        """What became of each file."""
        return Ledger(self._db)

    def generation(self) -> int:
        """Return the number of the newest generation; 0 when nothing was published."""
        row = self._db.execute("SELECT coalesce(max(number), 0) FROM generation").fetchone()
        return int(row[0])

    def generations(self, limit: int) -> list[Generation]:
        """Return the newest generations, newest first."""
        found = self._db.execute(
            "SELECT number, published_at, cause, restores, (SELECT count(*) FROM presence"
            "  WHERE added_in <= number AND (withdrawn_in IS NULL OR withdrawn_in > number))"
            " FROM generation ORDER BY number DESC LIMIT ?",
            (limit,),
        )
        return [Generation(*row) for row in found]

    def setting(self, name: str) -> str | None:
        """Return a stored setting, or None."""
        row = self._db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def documents(self, generation: int) -> list[Document]:
        """Return the live documents, by path."""
        found = self._db.execute(
            f"SELECT {rows.DOCUMENT} FROM {LIVE} ORDER BY path, source",
            {"generation": generation},
        )
        return [rows.document_of(row) for row in found]

    def document(self, document_id: str) -> Document:
        """Return a document whatever its state, so that old citations still open."""
        row = self._db.execute(
            f"SELECT {rows.DOCUMENT} FROM {DOCUMENTS} WHERE id = ?", (document_id,)
        ).fetchone()
        if row is None:
            raise DocumentNotFound(f"There is no document {document_id} in the library.")
        return rows.document_of(row)

    def revisions(self, source: str) -> list[Document]:
        """Return what was ever stored of a source, oldest first."""
        found = self._db.execute(
            f"SELECT {rows.DOCUMENT} FROM {DOCUMENTS} WHERE source = ? ORDER BY added_at, id",
            (source,),
        )
        return [rows.document_of(row) for row in found]

    def copies(self, sha256: str, generation: int) -> list[Document]:
        """Return the live documents of a content, by path."""
        found = self._db.execute(
            f"SELECT {rows.DOCUMENT} FROM {LIVE} WHERE sha256 = :sha256 ORDER BY path, source",
            {"sha256": sha256, "generation": generation},
        )
        return [rows.document_of(row) for row in found]

    def is_live(self, document_id: str, generation: int) -> bool:
        """Whether a generation answers from the document."""
        row = self._db.execute(
            f"SELECT 1 FROM {LIVE} WHERE id = :id",
            {"id": document_id, "generation": generation},
        ).fetchone()
        return row is not None

    def current(self, source: str, generation: int) -> Document | None:
        """Return the live revision read from a file, or None."""
        row = self._db.execute(
            f"SELECT {rows.DOCUMENT} FROM {LIVE} WHERE source = :source",
            {"source": source, "generation": generation},
        ).fetchone()
        return None if row is None else rows.document_of(row)

    def sources(self, generation: int) -> dict[str, Source]:
        """Return, for each file answers come from, which revision they come from."""
        found = self._db.execute(
            "SELECT source, id, path, title, sha256, media_type, reader,"
            "  coalesce(reading.unread, '[]') != '[]',"
            "  coalesce(reading.pages, '') LIKE '%[\"image\",%'"
            f" FROM {LIVE} LEFT JOIN reading ON reading.document_id = document.id",
            {"generation": generation},
        )
        return {str(row[0]): Source(*row) for row in found}

    def history(self) -> list[tuple[Document, bool]]:
        """Return every document that was ever answered from, by path and age, and whether its
        text is still stored."""
        found = self._db.execute(
            f"SELECT {rows.DOCUMENT},"
            f" id IN (SELECT document_id FROM document_text) FROM {DOCUMENTS}"
            " WHERE id IN (SELECT document_id FROM presence) ORDER BY path, source, added_at, id"
        )
        return [(rows.document_of(row[:-1]), bool(row[-1])) for row in found]

    def readings(self, generation: int) -> dict[str, Reading]:
        """Return the readings of live documents that say more than that all went well."""
        found = self._db.execute(
            f"SELECT document.id, {rows.READING} FROM {LIVE}"
            " JOIN reading ON reading.document_id = document.id"
            " WHERE warnings != '[]' OR unread != '[]' OR uncovered",
            {"generation": generation},
        )
        return {str(row[0]): rows.reading_of(row[1:]) for row in found}

    def kept(self) -> set[str]:
        """Return the SHA-256 of each file that a stored document was read from."""
        found = self._db.execute(
            "SELECT sha256 FROM document WHERE id IN (SELECT document_id FROM document_text)"
        )
        return {str(row[0]) for row in found}

    def contents(self) -> dict[str, Document]:
        """Return, by SHA-256, a stored document that was read from each kept file."""
        found = self._db.execute(
            f"SELECT {rows.DOCUMENT} FROM {DOCUMENTS}"
            " WHERE id IN (SELECT document_id FROM document_text)"
        )
        return {document.sha256: document for document in map(rows.document_of, found)}

    def leftovers(self) -> list[str]:
        """Return the documents that no generation ever answered from."""
        found = self._db.execute(
            "SELECT id FROM document WHERE id NOT IN (SELECT document_id FROM presence)"
        )
        return [str(row[0]) for row in found]

    def has_text(self, document_id: str) -> bool:
        """Whether the text of the document is still stored."""
        row = self._db.execute("SELECT 1 FROM document_text WHERE document_id = ?", (document_id,))
        return row.fetchone() is not None

    def text(self, document_id: str) -> str:
        """Return a document's extracted text."""
        row = self._db.execute(
            "SELECT text FROM document_text WHERE document_id = ?", (document_id,)
        ).fetchone()
        if row is None:
            raise DocumentNotFound(f"The text of document {document_id} is not in the library.")
        return str(row[0])

    def reading(self, document_id: str) -> Reading:
        """Return what reading a document's file came to."""
        row = self._db.execute(
            f"SELECT {rows.READING} FROM reading WHERE document_id = ?", (document_id,)
        ).fetchone()
        return Reading() if row is None else rows.reading_of(row)

    def revision(self, document_id: str) -> Revision:
        """Return all that is stored of a document."""
        found = self._db.execute(
            f"SELECT {rows.PASSAGE} FROM passage WHERE document_id = ? ORDER BY id",
            (document_id,),
        )
        return Revision(
            self.document(document_id),
            self.text(document_id),
            [rows.passage_of(row) for row in found],
            self.reading(document_id),
        )

    def digests(self) -> list[tuple[str, bytes | None]]:
        """Return the digest each document was stored with; an erased one has none."""
        found = self._db.execute("SELECT id, digest FROM document ORDER BY path, id")
        return [(str(name), digest) for name, digest in found]

    def broken_generations(self) -> list[int]:
        """Return the generations that are not as they were published."""
        found = self._db.execute("SELECT number, digest FROM generation WHERE digest NOT NULL")
        return [n for n, d in found.fetchall() if generation_digest(self._db, n) != d]

    def passages(self, ids: Sequence[int]) -> dict[int, Passage]:
        """Return the passages with these row ids; LibraryUnreadable if one is damaged."""
        found = self._db.execute(
            f"SELECT {rows.PASSAGE}, title FROM passage"
            " JOIN document ON document.id = passage.document_id"
            " WHERE passage.id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(ids)),),
        )
        passages = {}
        for *row, key, title in found:
            passage = rows.passage_of([*row, key])
            if passage_key(str(title), passage.heading, passage.text) != key:
                raise LibraryUnreadable(
                    f"A passage of document {passage.document_id} is damaged. {RESTORE}"
                )
            passages[int(row[0])] = passage
        return passages

    def passage_ids(self, document_ids: Iterable[str]) -> NDArray[np.int64]:
        """Return the row ids of all passages of these documents."""
        found = self._db.execute(
            "SELECT id FROM passage WHERE document_id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(document_ids)),),
        )
        return _ids(found)

    def passage_spans(self, generation: int) -> dict[str, tuple[int, int]]:
        """Return, in order, the first and last row id of each live document's passages.

        A document's passages are numbered without a gap.
        """
        found = self._db.execute(
            "SELECT passage.document_id, min(passage.id) AS first, max(passage.id) FROM passage"
            f" JOIN presence ON presence.document_id = passage.document_id AND {PRESENT}"
            " GROUP BY passage.document_id ORDER BY first",
            {"generation": generation},
        )
        return {str(name): (int(first), int(last)) for name, first, last in found}

    def passage_range(self, first: int, last: int) -> NDArray[np.int64]:
        """Return the row ids of the passages that there are in a range, in order."""
        found = self._db.execute(
            "SELECT id FROM passage WHERE id BETWEEN ? AND ? ORDER BY id", (first, last)
        )
        return _ids(found)

    def passages_without_segment(self) -> int:
        """Return how many passages lie in no segment's range."""
        row = self._db.execute(
            "SELECT count(*) FROM passage WHERE NOT EXISTS"
            " (SELECT 1 FROM segment WHERE passage.id BETWEEN first AND last)"
        ).fetchone()
        return int(row[0])

    def titled(self, ids: Iterable[int]) -> list[tuple[int, str, Passage]]:
        """Return (row id, title of its document, passage) of those of these ids that are there."""
        found = self._db.execute(
            f"SELECT {rows.PASSAGE}, title FROM passage"
            " JOIN document ON document.id = passage.document_id"
            " WHERE passage.id IN (SELECT value FROM json_each(?)) ORDER BY passage.id",
            (json.dumps(list(ids)),),
        )
        return [(int(row[0]), str(row[-1]), rows.passage_of(row[:-1])) for row in found]

    def keyed(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        """Return the row id of one passage for each of these keys that is known."""
        known: dict[bytes, int] = {}
        for at in range(0, len(keys), 500):
            some = keys[at : at + 500]
            places = ", ".join("?" * len(some))
            known |= {
                bytes(key): int(number)
                for key, number in self._db.execute(
                    f"SELECT key, min(id) FROM passage WHERE key IN ({places}) GROUP BY key", some
                )
            }
        return known

    def lexical(
        self, phrases: Sequence[str], allowed: NDArray[np.int64] | None, limit: int
    ) -> list[tuple[int, float]]:
        """Return (row id, bm25) of passages that hold any of the phrases, greatest first.

        `allowed` limits the search to those row ids, which go up; None does not.
        """
        if not phrases or (allowed is not None and not len(allowed)):
            return []
        match = " OR ".join(f'"{looked_up(phrase)}"' for phrase in dict.fromkeys(phrases))
        ranked = (
            "SELECT rowid, -rank FROM passage_index WHERE passage_index MATCH ?"
            f" AND rank MATCH '{BM25}'"
        )
        if allowed is None:
            found = self._db.execute(f"{ranked} ORDER BY rank LIMIT ?", (match, limit)).fetchall()
            return [(int(number), float(bm25)) for number, bm25 in found]
        # All that match, once: how far down those allowed stand cannot be known.
        ends = (int(allowed[0]), int(allowed[-1]))
        found = self._db.execute(f"{ranked} AND rowid BETWEEN ? AND ?", (match, *ends)).fetchall()
        ids = np.array([row[0] for row in found], np.int64)
        bm25 = np.array([row[1] for row in found], np.float64)
        kept = np.flatnonzero(_among(ids, allowed))
        best = kept[np.lexsort((ids[kept], -bm25[kept]))[:limit]]
        return [(int(ids[at]), float(bm25[at])) for at in best]

    def stretch(self, document_id: str, start: int, stop: int) -> str:
        """Return the characters from `start` to `stop` of a document's text."""
        row = self._db.execute(
            "SELECT substr(text, ?, ?) FROM document_text WHERE document_id = ?",
            (start + 1, stop - start, document_id),
        ).fetchone()
        if row is None:
            raise DocumentNotFound(f"The text of document {document_id} is not in the library.")
        return str(row[0])

    def passage_count(self) -> int:
        """Return how many passages are indexed, withdrawn ones among them."""
        row = self._db.execute("SELECT count(*) FROM passage").fetchone()
        return int(row[0])

    def passages_with(self, stems: Iterable[str]) -> dict[str, int]:
        """Return in how many indexed passages each stem stands; absent ones are left out."""
        found = self._db.execute(
            "SELECT term, doc FROM passage_terms WHERE term IN (SELECT value FROM json_each(?))",
            (json.dumps(list(stems)),),
        )
        return {str(term): int(count) for term, count in found}

    def terms(self, first: str) -> list[tuple[str, int]]:
        """Return the stems that begin with a letter, and how many passages hold each."""
        found = self._db.execute(
            "SELECT term, doc FROM passage_terms WHERE term >= ? AND term < ?",
            (first, chr(ord(first) + 1)),
        )
        return [(str(term), int(count)) for term, count in found]

    def texts_with(self, term: str, generation: int, limit: int) -> list[str]:
        """Return the texts of live passages that hold a stem, at most `limit`."""
        found = self._db.execute(
            "SELECT title || ' ' || text FROM (SELECT DISTINCT doc FROM passage_places"
            "  WHERE term = :term) CROSS JOIN passage ON passage.id = doc"
            " CROSS JOIN document ON document.id = passage.document_id"
            f" CROSS JOIN presence ON presence.document_id = document.id AND {PRESENT}"
            " LIMIT :limit",
            {"term": term, "generation": generation, "limit": limit},
        )
        return [str(row[0]) for row in found]

    def texts_saying(
        self, word: str, strings: Sequence[str], generation: int, limit: int
    ) -> list[str]:
        """Return the texts of live passages that hold one of the strings, of the first SEARCHED
        with a word."""
        found = self._db.execute(
            "SELECT text FROM (SELECT passage.text FROM passage_index"
            "  JOIN passage ON passage.id = passage_index.rowid"
            f"  JOIN presence ON presence.document_id = passage.document_id AND {PRESENT}"
            "  WHERE passage_index MATCH :word LIMIT :searched)"
            " WHERE EXISTS (SELECT 1 FROM json_each(:strings) WHERE instr(text, value))"
            " LIMIT :limit",
            {
                "word": f'"{looked_up(word)}"',
                "searched": SEARCHED,
                "strings": json.dumps(list(strings)),
                "generation": generation,
                "limit": limit,
            },
        )
        return [str(row[0]) for row in found]

    def count_with(self, phrases: Iterable[str]) -> int:
        """Return how many indexed passages hold all of the phrases."""
        wanted = " AND ".join(f'"{looked_up(phrase)}"' for phrase in phrases)
        row = self._db.execute(
            "SELECT count(*) FROM passage_index WHERE passage_index MATCH ?", (wanted,)
        ).fetchone()
        return int(row[0])

    def segments(self, generation: int) -> list[SegmentRecord]:
        """Return the segments a generation is made of, oldest first."""
        found = self._db.execute(
            f"SELECT {SEGMENT} FROM segment WHERE added_in <= ? ORDER BY first", (generation,)
        )
        return [rows.segment_of(row) for row in found]

    def all_segments(self, *, staged_only: bool = False) -> list[SegmentRecord]:
        """Return every segment there is, staged ones too, oldest first."""
        found = self._db.execute(
            f"SELECT {SEGMENT} FROM segment WHERE added_in IS NULL OR NOT ? ORDER BY first",
            (staged_only,),
        )
        return [rows.segment_of(row) for row in found]

    def next_passage_id(self) -> int:
        """Return the row id the next passage gets, which only a writer may rely on.

        Ids are never used again: a segment may still hold the vector of one that was removed.
        """
        row = self._db.execute(
            "SELECT max((SELECT coalesce(max(id), 0) FROM passage),"
            " (SELECT coalesce(max(last), 0) FROM segment)) + 1"
        ).fetchone()
        return int(row[0])

    @contextmanager
    def staging(self) -> Iterator[Staging]:
        """Open a transaction that stores what nothing answers from yet."""
        with transaction(self._db) as db:
            yield Staging(db)

    @contextmanager
    def publication(self) -> Iterator[Publication]:
        """Open a transaction that becomes the next generation when the block ends well."""
        with transaction(self._db) as db:
            yield Publication(db, self.generation() + 1)

    def labels(self) -> dict[str, Labels]:
        """Return what operators have put on files, by source."""
        return labels.all_labels(self._db)

    def broken_labels(self) -> list[str]:
        """Return the sources whose labels are not as they were written."""
        return labels.broken_labels(self._db)

    def forget_labels(self, source: str) -> None:
        """Take everything off a file."""
        labels.forget_labels(self._db, source)

    def faults(self) -> list[str]:
        """Return what SQLite finds wrong with its own tables and indexes, in its words."""
        found = [str(row[0]) for row in self._db.execute("PRAGMA integrity_check(20)")]
        orphans = self._db.execute("PRAGMA foreign_key_check").fetchall()
        told = [f"{table} refers to a {other} that is not there" for table, _, other, _ in orphans]
        return [fault for fault in [*found, *told] if fault != "ok"]

    def index_is_whole(self) -> bool:
        """Whether the index of words agrees with the passages."""
        try:
            self._db.execute(
                "INSERT INTO passage_index (passage_index, rank) VALUES ('integrity-check', 1)"
            )
        except LibraryUnreadable:
            return False
        return True

    def rebuild_index(self) -> None:
        """Make the index of words and SQLite's own indexes again."""
        with transaction(self._db) as db:
            db.execute("INSERT INTO passage_index (passage_index) VALUES ('rebuild')")
            db.execute("REINDEX")

    def scrub(self) -> None:
        """Overwrite on disk what was deleted."""
        self._db.execute("INSERT INTO passage_index (passage_index) VALUES ('optimize')")
        self._db.execute("VACUUM")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @property
    def _db(self) -> Connection:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None or connection.is_stuck:
            connection = self._local.connection = connect(self._path)
            self._connections.append(connection)
        return connection


def _among(ids: NDArray[np.int64], allowed: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which of the ids are among those allowed, which go up."""
    if not len(allowed):
        return np.zeros(len(ids), np.bool_)
    places = np.searchsorted(allowed, ids).clip(max=len(allowed) - 1)
    return np.asarray(allowed[places] == ids)


def _ids(found: sqlite3.Cursor) -> NDArray[np.int64]:
    """Return the row ids that were found; LibraryUnreadable if one is no number."""
    try:
        return np.fromiter((row[0] for row in found.fetchall()), np.int64)
    except (TypeError, ValueError) as problem:
        raise LibraryUnreadable(
            f"The library's database is damaged: {problem}. {RESTORE}"
        ) from problem
