"""The database: libraries of older versions, and what the doctor finds and mends."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest

from ingest import Sandbox
from ingest.mending import mend
from retrieval import Library, SentenceTransformerEmbedder
from retrieval.doctor import Damage, Part
from retrieval.errors import LibraryUnreadable
from retrieval.files import write_durably
from retrieval.store.schema import MIGRATIONS, connect, migrate
from retrieval.types import Passage, indexed_text
from tests.conftest import Shelf


@pytest.fixture
def oldest(tmp_path: Path, embedder: SentenceTransformerEmbedder) -> Path:
    """A library as version 1 of the schema left it: two documents, the first withdrawn."""
    first = tmp_path / "first"
    first.mkdir()
    shutil.copy(MIGRATIONS / "0001_library.sql", first)
    home = tmp_path / "old"
    home.mkdir()
    db = connect(home / "library.sqlite3")
    migrate(db, first)
    db.execute("INSERT INTO setting VALUES ('embedder', ?)", (embedder.name,))
    texts = ("Dogs bark at night.", "Cats purr all day.")
    db.execute("INSERT INTO generation VALUES (1, '2026-01-01'), (2, '2026-01-02')")
    for number, text in enumerate(texts, start=1):
        name = f"d{number}"
        row = (name, f"/docs/{name}.txt", f"{name}.txt", name, "0" * 64, "text/plain", 1, len(text))
        db.execute(
            "INSERT INTO document VALUES"
            " (?, ?, ?, ?, ?, ?, ?, ?, '[]', 'text/plain;v=1', '', ?, ?)",
            (*row, number, 2 if number == 1 else None),
        )
        db.execute("INSERT INTO document_text VALUES (?, ?)", (name, text))
        spans = f"[[0,{len(text)}]]"
        db.execute(
            "INSERT INTO passage VALUES (?, ?, NULL, '[]', 0, ?, ?, ?)",
            (number, name, len(text), text, spans),
        )
        db.execute(
            "INSERT INTO passage_index (rowid, title, heading, text) VALUES (?, ?, '[]', ?)",
            (number, name, text),
        )
        index = faiss.IndexIDMap2(faiss.IndexFlatIP(embedder.dimensions))
        index.add_with_ids(embedder.embed([indexed_text(name, (), text)]), np.array([number]))
        data = faiss.serialize_index(index).tobytes()
        segment = home / "segments" / f"{number:010d}-x.faiss"
        write_durably(segment, data)
        digest = hashlib.sha256(data).hexdigest()
        db.execute("INSERT INTO segment VALUES (?, ?, 1, ?)", (segment.name, digest, number))
    db.close()
    return home


def test_a_library_of_the_oldest_version_goes_on_answering(
    oldest: Path, embedder: SentenceTransformerEmbedder
) -> None:
    library = Library(oldest, embedder)

    assert [d.id for d in library.documents()] == ["d2"]
    assert [hit.passage.text for hit in library.search("what do cats do")] == ["Cats purr all day."]
    assert library.rollback() == 1
    assert [hit.passage.text for hit in library.search("dogs")] == ["Dogs bark at night."]
    library.close()


def test_the_sentences_of_an_old_library_are_embedded_by_the_doctor(
    oldest: Path, embedder: SentenceTransformerEmbedder
) -> None:
    library = Library(oldest, embedder)
    text = "Cats purr all day."
    cats = Passage("d2", None, (), 0, len(text), text, ((0, len(text)),))
    assert library.snapshot().sentence_vectors([2]) == {}
    assert library.known_vectors([("d2", cats)]) == [None]

    with library.writing():
        repaired = {d.part for d in library.doctor().examine() if library.doctor().repair(d)}
        library.tidy()

    assert repaired == {Part.SEGMENT}
    assert {d.part for d in library.doctor().examine()} == {Part.ORIGINAL}  # it never had any
    library.close()
    library = Library(oldest, embedder)
    (sentence,) = library.snapshot().sentence_vectors([2])[2]
    assert sentence @ embedder.embed([f"d2: {text}"])[0] > 0.995
    (known, unknown) = library.known_vectors([("d2", cats), ("d3", cats)])
    assert known is not None
    assert unknown is None
    library.close()


def test_a_passage_that_is_cut_into_other_sentences_is_embedded_again(
    shelf: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "pets.md").write_text("Cats purr. Dogs bark.")
    shelf.ingest(tmp_path / "pets.md")
    ((passage, document),) = [(h.passage, h.document) for h in shelf.library.search("cats")]
    uncut = replace(passage, sentences=((passage.start, passage.stop),))

    (known, other) = shelf.library.known_vectors(
        [(document.title, passage), (document.title, uncut)]
    )

    assert known is not None
    assert len(known[1]) == 2
    assert other is None


def test_a_library_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    db = connect(tmp_path / "library.sqlite3")
    db.execute("PRAGMA user_version = 99")
    db.close()

    with pytest.raises(LibraryUnreadable, match="newer Footnote"):
        Library(tmp_path, SentenceTransformerEmbedder())


def harm_text(shelf: Shelf) -> None:
    execute(shelf, "UPDATE document_text SET text = replace(text, '10', '99')")


def harm_passage(shelf: Shelf) -> None:
    execute(shelf, "UPDATE passage SET stop = stop - 1 WHERE id = 1")


def harm_words(shelf: Shelf) -> None:
    execute(shelf, "DELETE FROM passage_index_docsize WHERE id = 1")


def harm_ledger(shelf: Shelf) -> None:
    execute(shelf, "UPDATE file SET sha256 = 'x'")


def harm_history(shelf: Shelf) -> None:
    execute(shelf, "UPDATE presence SET withdrawn_in = 1")


def harm_segment(shelf: Shelf) -> None:
    (segment,) = (shelf.home / "segments").iterdir()
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)


def harm_original(shelf: Shelf) -> None:
    for original in (shelf.home / "originals").iterdir():
        original.write_bytes(original.read_bytes()[:-1])


def execute(shelf: Shelf, statement: str) -> None:
    db = connect(shelf.home / "library.sqlite3")
    db.execute(statement)
    db.close()


@pytest.mark.parametrize(
    ("harm", "part"),
    [
        (harm_text, Part.DOCUMENT),
        (harm_passage, Part.DOCUMENT),
        (harm_words, Part.INDEX),
        (harm_ledger, Part.LEDGER),
        (harm_segment, Part.SEGMENT),
        (harm_original, Part.ORIGINAL),
    ],
)
def test_what_is_damaged_is_found_and_made_again(
    harm: Callable[[Shelf], None],
    part: Part,
    shelf: Shelf,
    tmp_path: Path,
    embedder: SentenceTransformerEmbedder,
    sandbox: Sandbox,
) -> None:
    (tmp_path / "fee.md").write_text("# Fees\n\nThe dog fee is £10.\n\nThe cat fee is £3.")
    shelf.ingest(tmp_path / "fee.md")
    (document,) = shelf.library.documents()
    text = shelf.library.text(document.id)
    harm(shelf)

    found = list(shelf.library.doctor().examine())
    assert {damage.part for damage in found} == {part}
    with shelf.library.writing():
        for damage in found:
            repair(shelf.library, embedder, sandbox, damage)

    assert list(shelf.library.doctor().examine()) == []
    assert shelf.library.text(document.id) == text
    assert shelf.library.search("dog fee")[0].document.id == document.id


def test_who_searched_before_a_repair_searches_what_was_repaired_after_it(
    shelf: Shelf, tmp_path: Path, embedder: SentenceTransformerEmbedder, sandbox: Sandbox
) -> None:
    (tmp_path / "fee.md").write_text("# Fees\n\nThe dog fee is £10.")
    shelf.ingest(tmp_path / "fee.md")
    service = Library(shelf.home, embedder)
    before = service.search("dog fee")[0].document
    with shelf.library.writing():
        mend(shelf.library, embedder, sandbox, before.id, chunk_tokens=160)

    assert service.search("dog fee")[0].document.id == before.id
    assert shelf.library.generations()[0].cause == "repair"
    service.close()


def repair(
    library: Library, embedder: SentenceTransformerEmbedder, sandbox: Sandbox, damage: Damage
) -> None:
    if damage.part is Part.DOCUMENT:
        mend(library, embedder, sandbox, damage.name, chunk_tokens=160)
    else:
        assert library.doctor().repair(damage)


def test_a_history_that_was_tampered_with_is_told(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "fee.md").write_text("# Fees\n\nThe dog fee is £10.")
    shelf.ingest(tmp_path / "fee.md")
    harm_history(shelf)

    assert [d.part for d in shelf.library.doctor().examine()] == [Part.GENERATION]


def test_a_damaged_passage_is_never_shown(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "fee.md").write_text("# Fees\n\nThe dog fee is £10.")
    shelf.ingest(tmp_path / "fee.md")
    execute(shelf, "UPDATE passage SET text = replace(text, '10', '99')")

    with pytest.raises(LibraryUnreadable, match="footnote doctor"):
        shelf.library.search("dog fee")
