"""A flipped bit or a missing end, anywhere in a library, is told of or changes nothing at all.

The library has seen ingests, a move, a withdrawal and a rollback. One artefact after the other is
damaged at many places, one at a time. Opening the library, reading every generation and examining
it must say that something is wrong, or every row of it must be what it was.
"""

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from retrieval import Library
from retrieval.errors import RetrievalError
from tests.contents import contents, faults
from tests.faults import Shim
from tests.faulty_ingest import Bench, lay_out
from tests.stand_ins import WordEmbedder

DATABASE = "library.sqlite3"
TABLES = (
    *("setting", "generation", "presence", "document", "document_text", "passage", "segment"),
    *("reading", "file", "label", "run"),
)
UNSEALED = ("run",)
"""Nothing is answered from what is remembered of runs, and nothing notes how it was written."""
Rows = dict[str, list[tuple[object, ...]]]


@dataclass(frozen=True, slots=True)
class Harm:
    """A bit of a file to flip; or, without one, where to cut the file off."""

    at: int
    bit: int | None = None

    def do(self, path: Path) -> None:
        data = bytearray(path.read_bytes())
        if self.bit is None:
            del data[self.at :]
        else:
            data[self.at] ^= 1 << self.bit
        path.write_bytes(data)


class Patient:
    """A library, and copies of it that are damaged."""

    def __init__(self, home: Path, copy: Path) -> None:
        self.home, self.copy = home, copy
        self.take_copy()
        self.rows = rows(copy)

    def take_copy(self) -> None:
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.home, self.copy)

    def files(self, folder: str) -> list[str]:
        return [f"{folder}/{path.name}" for path in sorted((self.home / folder).iterdir())]

    def harms(self, name: str, flips: int, cuts: int) -> Iterator[Harm]:
        """Return random places where there is something, the same each time."""
        data, dice = (self.home / name).read_bytes(), random.Random(0)
        full = [at for at, byte in enumerate(data) if byte]
        yield from (Harm(dice.choice(full), dice.randrange(8)) for _ in range(flips))
        yield from (Harm(dice.randrange(len(data))) for _ in range(cuts))

    def unnoticed(self, name: str, harm: Harm) -> list[str]:
        """Return the tables that are changed by a harm without a word."""
        self.take_copy()
        harm.do(self.copy / name)
        if told(self.copy):
            return []
        now = rows(self.copy)
        sealed = [table for table in TABLES if table not in UNSEALED]
        return [table for table in sealed if now[table] != self.rows[table]]


def told(home: Path) -> str:
    """Return what reading a library, or examining it, says to be wrong; nothing if all is well."""
    try:
        library = Library(home, WordEmbedder())
    except RetrievalError as problem:
        return str(problem)
    try:
        library.snapshot()
        contents(library)
        library.ledger.runs(-1)
        return "; ".join(faults(library))
    except RetrievalError as problem:
        return str(problem)
    finally:
        library.close()


def rows(home: Path) -> Rows:
    """Return all there is in the tables of a library."""
    with closing(sqlite3.connect(home / DATABASE)) as db:
        db.text_factory = bytes
        return {table: db.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("bench") / "bench"
    lay_out(folder)
    return Bench(folder, Shim())


@pytest.fixture(scope="module")
def patient(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Patient:
    """A library that was closed, so that its database is one file."""
    folder = tmp_path_factory.mktemp("patient")
    bench.arrive_at("erase")
    shutil.copytree(bench.home, folder / "library")
    assert not (folder / "library" / f"{DATABASE}-wal").exists()
    return Patient(folder / "library", folder / "copy")


def test_a_whole_library_has_nothing_to_tell(patient: Patient) -> None:
    patient.take_copy()

    assert not told(patient.copy)


def test_harm_to_the_database_is_told_of_or_changes_nothing(patient: Patient) -> None:
    silent = {
        harm: tables
        for harm in patient.harms(DATABASE, flips=200, cuts=20)
        if (tables := patient.unnoticed(DATABASE, harm))
    }

    assert not silent


def test_a_passage_whose_number_was_harmed_is_told_of(patient: Patient) -> None:
    patient.take_copy()
    with closing(sqlite3.connect(patient.copy / DATABASE)) as db:
        several = "SELECT max(id) FROM passage GROUP BY document_id ORDER BY count(*) DESC LIMIT 1"
        db.execute(f"UPDATE passage SET id = 1 << 46 WHERE id = ({several})")
        db.commit()

    assert told(patient.copy)


@pytest.mark.parametrize("folder", ["segments", "originals"])
def test_harm_to_a_segment_or_an_original_is_told_of(folder: str, patient: Patient) -> None:
    for name in patient.files(folder):
        for harm in patient.harms(name, flips=8, cuts=2):
            patient.take_copy()
            harm.do(patient.copy / name)

            assert told(patient.copy), (name, harm)


@pytest.mark.parametrize("folder", ["segments", "originals"])
def test_a_segment_or_an_original_that_is_gone_is_told_of(folder: str, patient: Patient) -> None:
    for name in patient.files(folder):
        patient.take_copy()
        (patient.copy / name).unlink()

        assert told(patient.copy), name


def test_harm_to_the_log_of_writes_leaves_an_older_state_whole(bench: Bench) -> None:
    """SQLite goes by checksums and drops what follows the harm, which is what a crash leaves."""
    step = bench.arrive_at("second ingest")
    library = Library(bench.home, WordEmbedder())
    before = contents(library)
    step.act(library, bench.base)
    copy = bench.base / "with log"
    shutil.copytree(bench.home, copy)
    after = contents(library)
    library.close()
    patient = Patient(copy, bench.base / "copy")

    for harm in patient.harms(f"{DATABASE}-wal", flips=100, cuts=20):
        patient.take_copy()
        (patient.copy / f"{DATABASE}-shm").unlink()
        harm.do(patient.copy / f"{DATABASE}-wal")
        library = Library(patient.copy, WordEmbedder())
        found = told_or_contents(library)
        library.close()

        assert isinstance(found, str) or found in (before, after), harm


def told_or_contents(library: Library) -> object:
    try:
        return contents(library)
    except RetrievalError as problem:
        return str(problem)
