"""The ingest job: what is read, what is skipped, what is reported."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ingest import Outcome
from ingest.errors import NothingToIngest
from retrieval import SentenceTransformerEmbedder, Standing
from retrieval.errors import (
    EmbedderMismatch,
    LibraryBusy,
    LibraryMissing,
    LibraryUnreadable,
    LibraryUnwritable,
)
from retrieval.library import Library
from tests.conftest import Shelf, with_graphs


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return folder


def test_an_unchanged_file_is_skipped_by_its_content(shelf: Shelf, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", a="# A\n\nApples are red.", b="# B\n\nBananas are bent.")
    shelf.ingest(docs)
    os.utime(docs / "a.md", (1, 1))

    again = shelf.ingest(docs)

    assert again.count(Outcome.UNCHANGED) == 2
    assert again.generation == 1


def test_a_changed_file_takes_the_place_of_its_old_revision(shelf: Shelf, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", fee="# Fee\n\nThe dog fee is £10.")
    shelf.ingest(docs)
    old = shelf.library.documents()[0]
    write(docs, fee="# Fee\n\nThe dog fee is £12.")

    report = shelf.ingest(docs)

    assert report.count(Outcome.CHANGED) == 1
    texts = [hit.passage.text for hit in shelf.library.search("dog fee")]
    assert any("£12" in text for text in texts)
    assert not any("£10" in text for text in texts)
    assert "£10" in shelf.library.text(old.id), "an old citation must still open"
    assert shelf.library.standing(old.id) is not Standing.CURRENT


def test_going_back_to_an_older_content_answers_from_it_again(shelf: Shelf, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", fee="# Fee\n\nThe dog fee is £10.")
    shelf.ingest(docs)
    write(docs, fee="# Fee\n\nThe dog fee is £12.")
    shelf.ingest(docs)
    write(docs, fee="# Fee\n\nThe dog fee is £10.")
    shelf.ingest(docs)

    hits = shelf.library.search("dog fee")

    assert [hit.passage.text for hit in hits] == ["# Fee\n\nThe dog fee is £10."]


def test_a_bad_file_is_named_and_does_not_stop_the_others(shelf: Shelf, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", good="# Good\n\nThis can be read.")
    (docs / "bad.pdf").write_bytes(b"%PDF-1.7 nonsense")
    (docs / "empty.txt").write_bytes(b"")

    report = shelf.ingest(docs)

    failed = {f.path: f.reason for f in report.files if f.outcome is Outcome.FAILED}
    assert set(failed) == {"bad.pdf", "empty.txt"}
    assert failed["empty.txt"] == "It is empty."
    assert not report.complete
    assert [d.path for d in shelf.library.documents()] == ["good.md"]


def test_a_failed_file_is_tried_again_next_time(shelf: Shelf, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", good="# Good\n\nThis can be read.")
    (docs / "late.txt").write_bytes(b"")
    shelf.ingest(docs)
    (docs / "late.txt").write_text("Now it says something.")

    report = shelf.ingest(docs)

    assert report.complete
    assert report.count(Outcome.ADDED) == 1


def test_the_original_is_kept_byte_for_byte(shelf: Shelf, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", a="# A\n\nApples are red.")
    shelf.ingest(docs)
    document = shelf.library.documents()[0]

    assert shelf.library.original(document.id).read_bytes() == (docs / "a.md").read_bytes()


def test_a_path_that_does_not_exist_is_refused_before_anything_is_read(shelf: Shelf) -> None:
    with pytest.raises(NothingToIngest, match="no file or folder"):
        shelf.ingest(Path("does-not-exist"))


def test_a_second_ingest_at_the_same_time_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", a="# A\n\nApples are red.")

    with shelf.library.writing(), pytest.raises(LibraryBusy, match="Another ingest"):
        shelf.ingest(docs)


def test_another_embedder_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    class Renamed(SentenceTransformerEmbedder):
        @property
        def name(self) -> str:
            return "another@0"

    shelf.ingest(write(tmp_path / "docs", a="# A\n\nApples are red."))
    library = Library(shelf.home, Renamed())

    with pytest.raises(EmbedderMismatch, match="another@0"):
        library.search("apples")
    library.close()


@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_segment_is_refused(
    harm: str, shelf: Shelf, tmp_path: Path, embedder: SentenceTransformerEmbedder
) -> None:
    shelf.ingest(write(tmp_path / "docs", a="# A\n\nApples are red."))
    (segment,) = (shelf.home / "segments").iterdir()
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1
    if harm == "remove":
        segment.unlink()
    else:
        segment.write_bytes(data if harm == "flip" else data[:-1])
    library = Library(shelf.home, embedder)

    with pytest.raises(LibraryUnreadable):
        library.search("apples")
    library.close()


def test_a_database_that_is_no_database_is_refused(
    tmp_path: Path, embedder: SentenceTransformerEmbedder
) -> None:
    (tmp_path / "library.sqlite3").write_bytes(b"not a database" * 100)

    with pytest.raises(LibraryUnreadable, match="cannot be"):
        Library(tmp_path, embedder)


def test_readers_hold_one_generation_while_another_is_published(
    shelf: Shelf, tmp_path: Path
) -> None:
    docs = write(tmp_path / "docs", fee="# Fee\n\nThe dog fee is £10.")
    shelf.ingest(docs)
    held = shelf.library.snapshot()
    write(docs, fee="# Fee\n\nThe dog fee is £12.")
    shelf.ingest(docs)

    assert "£10" in held.search("dog fee")[0].passage.text
    assert "£12" in shelf.library.search("dog fee")[0].passage.text


def test_the_command_exits_non_zero_when_a_file_was_not_read(tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", good="# Good\n\nThis can be read.")
    (docs / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    command = [sys.executable, "-m", "web.cli", "ingest", str(docs), "--json"]

    done = subprocess.run(
        [*command, "--home", str(with_graphs(tmp_path / "library"))], capture_output=True, text=True
    )

    report = json.loads(done.stdout)
    assert done.returncode == 1
    counts = {name: count for name, count in report["counts"].items() if count}
    assert counts == {"added": 1, "failed": 1}
    assert "photo.jpg" in {f["path"] for f in report["files"] if f["outcome"] == "failed"}


def test_many_threads_search_while_an_ingest_publishes(shelf: Shelf, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", a="# A\n\nApples are red.")
    shelf.ingest(docs)
    wrong: list[object] = []

    def search() -> None:
        for _ in range(20):
            try:
                hits = shelf.library.search("apples")
                wrong.extend(hit for hit in hits[:1] if "Apples" not in hit.passage.text)
            except Exception as problem:
                wrong.append(problem)

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(3):
        shelf.ingest(write(docs, **{f"n{number}": f"# N\n\nNumber {number} is here."}))
    for thread in threads:
        thread.join()

    assert not wrong


def test_a_name_that_is_turned_around_is_shown_as_it_is(shelf: Shelf, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs")
    (docs / "\u202etxt.fdp\u202c.txt").write_text("A text, not a PDF.")

    report = shelf.ingest(docs)

    assert [file.path for file in report.files] == ["\ufffdtxt.fdp\ufffd.txt"]
    assert report.complete


def test_odd_names_and_links_are_named_and_stop_nothing(shelf: Shelf, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", good="# Good\n\nThis can be read.")
    Path(os.fsdecode(bytes(docs) + b"/r\xe9sum\xe9.txt")).write_text("Latin-1 name.")
    (docs / "two\nlines.txt").write_text("A line break in its name.")
    (docs / "loop.txt").symlink_to("loop.txt")
    (docs / "gone.txt").symlink_to("nowhere.txt")
    (docs / "folder").symlink_to(tmp_path)
    os.mkfifo(docs / "pipe.txt")

    report = shelf.ingest(docs)

    failed = {f.path: f.reason for f in report.files if f.outcome is Outcome.FAILED}
    assert len(failed) == 6
    assert "Rename it" in failed["two\nlines.txt"]
    assert "link to a folder" in failed["folder"]
    assert "not an ordinary file" in failed["pipe.txt"]
    assert report.count(Outcome.ADDED) == 1
    json.dumps([f.path for f in report.files]).encode()


def test_a_home_that_cannot_be_written_to_is_one_clear_error(
    tmp_path: Path, embedder: SentenceTransformerEmbedder
) -> None:
    (tmp_path / "file").write_text("not a folder")

    with pytest.raises(LibraryUnwritable, match="cannot be written to"):
        Library(tmp_path / "file", embedder)


def test_looking_does_not_create_a_library(
    tmp_path: Path, embedder: SentenceTransformerEmbedder
) -> None:
    with pytest.raises(LibraryMissing, match="footnote ingest"):
        Library(tmp_path / "typo", embedder, create=False)
    assert not (tmp_path / "typo").exists()
