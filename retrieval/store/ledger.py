"""The ledger in the database: files that were met, and runs of the ingest job."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from retrieval.store import rows
from retrieval.store.schema import transaction
from retrieval.types import UPLOAD, FileRecord, FileState, Run, RunState

RUN = "id, started_at, ended_at, state, paths, progress, generation, problem"


class Ledger:
    """What became of each file; entries of a publication are written with it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def file(self, source: str) -> FileRecord | None:
        """Return the entry of a file, or None if it was never met."""
        row = self._db.execute(
            f"SELECT {rows.FILE} FROM file WHERE source = ?", (source,)
        ).fetchone()
        return None if row is None else rows.file_of(row)

    def files(self) -> list[FileRecord]:
        """Return every entry, by path."""
        found = self._db.execute(f"SELECT {rows.FILE} FROM file ORDER BY path, source")
        return [rows.file_of(row) for row in found]

    def uploads(self) -> list[FileRecord]:
        """Return the entries of uploads that are yet to be read, or could not be."""
        found = self._db.execute(
            f"SELECT {rows.FILE} FROM file WHERE source >= ? AND source < ? AND state IN (?, ?)",
            (UPLOAD, UPLOAD[:-1] + ";", FileState.WAITING, FileState.FAILED),
        )
        return [rows.file_of(row) for row in found if "!/" not in str(row[0])]

    def write(self, files: Iterable[FileRecord], *, forgotten: Iterable[str] = ()) -> None:
        """Write entries that no publication goes with, others forgotten first."""
        with transaction(self._db):
            forget_files(self._db, forgotten)
            write_files(self._db, files)

    def forget(self, source: str) -> None:
        """Delete an entry: the file will be looked at as if for the first time."""
        forget_files(self._db, [source])

    def broken_seals(self) -> list[str]:
        """Return the sources whose entries are not as they were written."""
        found = self._db.execute(f"SELECT {rows.FILE}, seal FROM file")
        return [str(row[0]) for row in found if rows.seal(row[:-1]) != row[-1]]

    def start(self, run: Run) -> None:
        """Record a run, or that a waiting one begins; the caller holds the right to write.

        So any other that is said to be running has died.
        """
        self._db.execute(
            "UPDATE run SET state = ?, problem = ? WHERE state = ?",
            (RunState.FAILED, "It was cut off. The next run goes on from there.", RunState.RUNNING),
        )
        self._db.execute(
            "INSERT OR REPLACE INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run.id,
                run.started_at,
                run.ended_at,
                run.state,
                json.dumps(run.paths, ensure_ascii=False),
                json.dumps(run.progress),
                run.generation,
                run.problem,
            ),
        )

    def progress(self, run_id: str, progress: Mapping[str, Any]) -> bool:
        """Record how far a run is; False if it is to stop."""
        rows_changed = self._db.execute(
            "UPDATE run SET progress = ? WHERE id = ? AND state = ?",
            (json.dumps(progress), run_id, RunState.RUNNING),
        )
        return rows_changed.rowcount == 1

    def end(
        self,
        run_id: str,
        state: RunState,
        at: str,
        *,
        generation: int | None = None,
        problem: str = "",
    ) -> None:
        """Record how a run ended."""
        self._db.execute(
            "UPDATE run SET state = ?, ended_at = ?, generation = ?, problem = ? WHERE id = ?",
            (state, at, generation, problem, run_id),
        )

    def cancel(self, run_id: str) -> None:
        """Ask a run to stop; one that has ended is left as it is."""
        self._db.execute(
            "UPDATE run SET state = ? WHERE id = ? AND state IN (?, ?)",
            (RunState.CANCELLED, run_id, RunState.WAITING, RunState.RUNNING),
        )

    def run(self, run_id: str) -> Run | None:
        """Return a run, or None."""
        row = self._db.execute(f"SELECT {RUN} FROM run WHERE id = ?", (run_id,)).fetchone()
        return None if row is None else _run(row)

    def runs(self, limit: int) -> list[Run]:
        """Return the newest runs, newest first."""
        found = self._db.execute(
            f"SELECT {RUN} FROM run ORDER BY started_at DESC, id LIMIT ?", (limit,)
        )
        return [_run(row) for row in found]


def write_files(db: sqlite3.Connection, files: Iterable[FileRecord]) -> None:
    """Write entries inside a transaction; one that is withdrawn stays so but for its restoring."""
    db.executemany(
        "INSERT INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (source) DO UPDATE SET path = excluded.path, state = excluded.state,"
        " reason = excluded.reason, sha256 = excluded.sha256, reader = excluded.reader,"
        " stamp = excluded.stamp, document_id = excluded.document_id, run = excluded.run,"
        " met_at = excluded.met_at, seal = excluded.seal"
        f" WHERE file.state != '{FileState.WITHDRAWN}' OR excluded.run = ''",
        map(rows.file_row, files),
    )


def forget_files(db: sqlite3.Connection, sources: Iterable[str]) -> None:
    """Delete entries inside a transaction."""
    db.executemany("DELETE FROM file WHERE source = ?", ((source,) for source in sources))


def standing_of(record: FileRecord, state: FileState, reason: str = "") -> FileRecord:
    """Return an entry as an operator, and not a run, sets it."""
    return replace(record, state=state, reason=reason, stamp="", run="")


@rows.stored
def _run(row: Sequence[Any]) -> Run:
    run_id, started_at, ended_at, state, paths, progress, generation, problem = row
    return Run(
        id=run_id,
        started_at=started_at,
        ended_at=ended_at,
        state=RunState(state),
        paths=tuple(json.loads(paths)),
        progress=json.loads(progress),
        generation=generation,
        problem=problem,
    )
