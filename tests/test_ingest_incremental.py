"""Run after run: what is new, moved, gone, withdrawn, cut off, and never done twice."""

import io
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import pytest

from ingest import Cancelled, Job, Options, Outcome, Progress, Report, Sandbox, Stage
from ingest.ledger import uncovered
from ingest.progress import Follow
from retrieval import Library, Passage, SentenceTransformerEmbedder, Standing
from retrieval.errors import DocumentNotFound, GenerationNotFound
from retrieval.types import FileState, RunState, Vectors
from tests.conftest import Shelf, with_graphs
from tests.test_ingest_readers_pdf import LOREM, drawn, needs_tesseract, scanned, typed


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    for name, text in files.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return folder


def outcomes(report: Report) -> dict[str, Outcome]:
    return {file.path: file.outcome for file in report.files}


def found(shelf: Shelf, query: str) -> set[str]:
    return {hit.document.path for hit in shelf.library.search(query)}


class Counting(SentenceTransformerEmbedder):
    """The bundled embedder, counting the texts it embeds."""

    texts = 0

    def embed(self, texts: list[str]) -> Vectors:  # type: ignore[override]
        self.texts += len(texts)
        return super().embed(texts)


@pytest.fixture(scope="module")
def counting() -> Counting:
    return Counting()


def job(shelf: Shelf, embedder: SentenceTransformerEmbedder, sandbox: Sandbox) -> Job:
    return Job(shelf.library, embedder, [sandbox], chunk_tokens=160)


def test_a_renamed_file_keeps_its_document(shelf: Shelf, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", old="# Fees\n\nThe dog fee is £10.")
    shelf.ingest(docs)
    before = shelf.library.documents()[0]
    (docs / "sub").mkdir()
    (docs / "old.md").rename(docs / "sub" / "new.md")

    report = shelf.ingest(docs)

    assert outcomes(report) == {"sub/new.md": Outcome.MOVED}
    (after,) = shelf.library.documents()
    assert (after.id, after.path) == (before.id, "sub/new.md")
    assert list(shelf.library.doctor().examine()) == []
    assert outcomes(shelf.ingest(docs)) == {"sub/new.md": Outcome.UNCHANGED}


def test_a_copy_is_no_move(shelf: Shelf, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", one="# Fees\n\nThe dog fee is £10.")
    shelf.ingest(docs)
    write(docs, two="# Fees\n\nThe dog fee is £10.")

    report = shelf.ingest(docs)

    assert outcomes(report) == {"one.md": Outcome.UNCHANGED, "two.md": Outcome.ADDED}


def test_a_file_named_for_its_title_is_read_again_under_its_new_name(
    shelf: Shelf, tmp_path: Path
) -> None:
    docs = write(tmp_path / "docs", draft="The dog fee is £10.")
    shelf.ingest(docs)
    (docs / "draft.md").rename(docs / "dog-fees.md")

    shelf.ingest(docs, prune=True)

    assert [(d.title, d.path) for d in shelf.library.documents()] == [("dog-fees", "dog-fees.md")]


def test_a_new_file_at_the_place_of_a_moved_one_is_another_document(
    shelf: Shelf, tmp_path: Path
) -> None:
    text = "# Fees\n\nThe dog fee is £10."
    docs = write(tmp_path / "docs", a=text)
    shelf.ingest(docs)
    (docs / "a.md").rename(docs / "b.md")
    shelf.ingest(docs)
    write(docs, a=text)

    shelf.ingest(docs)

    assert [d.path for d in shelf.library.documents()] == ["a.md", "b.md"]
    assert len({d.id for d in shelf.library.documents()}) == 2


def test_a_vanished_file_answers_until_it_is_pruned(shelf: Shelf, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", dogs="Dogs bark.", cats="Cats purr.")
    shelf.ingest(docs)
    (docs / "cats.md").unlink()

    kept = shelf.ingest(docs)
    assert outcomes(kept)["cats.md"] is Outcome.GONE
    assert "--prune" in next(f.reason for f in kept.files if f.path == "cats.md")
    assert "cats.md" in found(shelf, "cats")

    pruned = shelf.ingest(docs, prune=True)
    assert outcomes(pruned)["cats.md"] is Outcome.GONE
    assert "cats.md" not in found(shelf, "cats")


def test_pruning_one_folder_leaves_the_files_of_others(shelf: Shelf, tmp_path: Path) -> None:
    one, two = write(tmp_path / "one", a="Dogs bark."), write(tmp_path / "one two", b="Cats purr.")
    shelf.ingest(one, two)
    (two / "b.md").unlink()

    shelf.ingest(one, prune=True)

    assert "b.md" in {d.path for d in shelf.library.documents()}


def test_what_lies_behind_a_closed_folder_is_not_pruned(shelf: Shelf, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root opens every folder")
    docs = write(tmp_path / "docs", a="Dogs bark.")
    write(docs / "closed", b="Cats purr.")
    shelf.ingest(docs)
    (docs / "closed").chmod(0)

    report = shelf.ingest(docs, prune=True)
    (docs / "closed").chmod(0o700)

    assert not report.complete
    assert "closed/b.md" in {d.path for d in shelf.library.documents()}


def test_a_dry_run_tells_what_would_happen_and_changes_nothing(
    shelf: Shelf, tmp_path: Path
) -> None:
    docs = write(tmp_path / "docs", a="Dogs bark.", b="# Cats\n\nCats purr.", c="Cows moo.")
    shelf.ingest(docs)
    write(docs, a="Dogs bite.", d="Ducks quack.")
    (docs / "b.md").rename(docs / "e.md")
    (docs / "c.md").unlink()
    files = sorted(p.name for p in shelf.home.rglob("*"))

    report = shelf.ingest(docs, dry=True, prune=True)

    assert outcomes(report) == {
        "a.md": Outcome.CHANGED,
        "c.md": Outcome.GONE,
        "d.md": Outcome.ADDED,
        "e.md": Outcome.MOVED,
    }
    assert report.generation == shelf.library.generation == 1
    assert [d.path for d in shelf.library.documents()] == ["a.md", "b.md", "c.md"]
    assert sorted(p.name for p in shelf.home.rglob("*")) == files


def test_only_what_changed_in_a_document_is_embedded_again(
    shelf: Shelf, tmp_path: Path, counting: Counting, sandbox: Sandbox
) -> None:
    parts = [f"## Part {n}\n\nRule {n} is about thing {n}." for n in range(20)]
    docs = write(tmp_path / "docs", rules="# Rules\n\n" + "\n\n".join(parts))
    worker = job(shelf, counting, sandbox)
    worker.run([docs], lambda _: None)
    counting.texts = 0
    parts[7] = "## Part 7\n\nRule 7 is another now."
    write(docs, rules="# Rules\n\n" + "\n\n".join(parts))

    worker.run([docs], lambda _: None)

    assert counting.texts == 2  # the passage and its sentence
    (hit, *_) = shelf.library.search("Rule 7 is another")
    assert "another now" in hit.passage.text


def test_a_run_that_was_cancelled_goes_on_where_it_was(
    shelf: Shelf,
    tmp_path: Path,
    counting: Counting,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ingest.job.STAGE_AT_ONCE", 1)
    names = "abcdef"
    docs = write(tmp_path / "docs", **{n: f"Letter {n} is number {ord(n)}." for n in names})
    worker = job(shelf, counting, sandbox)
    counting.texts = 0

    def stop(progress: Progress) -> None:
        if progress.files_done == 4:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        worker.run([docs], stop, Options(id="first"))
    done = counting.texts
    assert done >= 3
    assert shelf.library.documents() == []
    run = shelf.library.ledger.run("first")
    assert run is not None
    assert run.state is RunState.CANCELLED

    report = worker.run([docs], lambda _: None)

    assert counting.texts == 2 * len(names)  # passages, and a sentence of each
    assert report.count(Outcome.ADDED) == len(names)
    assert len(shelf.library.documents()) == len(names)


def test_another_process_cancels_a_run_through_the_library(shelf: Shelf, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", a="Dogs bark.", b="Cats purr.")
    other = Library(shelf.home, SentenceTransformerEmbedder())

    def cancel(_: Progress) -> None:
        other.ledger.cancel("r1")

    with pytest.raises(Cancelled):
        shelf.job.run([docs], cancel, Options(id="r1"))
    other.close()
    assert shelf.library.generation == 0


def test_what_a_given_up_run_left_behind_is_deleted(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.job.STAGE_AT_ONCE", 1)
    docs = write(tmp_path / "docs", a="Dogs bark.", b="Cats purr.")

    def stop(progress: Progress) -> None:
        if progress.files_done == 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        shelf.job.run([docs], stop)
    assert list((shelf.home / "segments").iterdir())
    (docs / "a.md").unlink()

    shelf.ingest(docs)

    assert len(list((shelf.home / "segments").iterdir())) == 1
    assert len(list((shelf.home / "originals").iterdir())) == 1
    assert found(shelf, "dogs bark") == {"b.md"}


def test_a_withdrawn_document_is_gone_with_the_next_question_and_stays_gone(
    shelf: Shelf, tmp_path: Path
) -> None:
    docs = write(tmp_path / "docs", dogs="Dogs bark.", cats="Cats purr.")
    shelf.ingest(docs)
    cats = next(d for d in shelf.library.documents() if d.path == "cats.md")

    shelf.library.withdraw([cats.id])
    assert found(shelf, "cats purr") == {"dogs.md"}
    assert shelf.library.standing(cats.id) is Standing.WITHDRAWN
    write(docs, cats="Cats purr and scratch.")
    report = shelf.ingest(docs)
    assert outcomes(report)["cats.md"] is Outcome.WITHDRAWN
    assert found(shelf, "cats purr") == {"dogs.md"}

    shelf.library.restore([cats.id])
    assert "cats.md" in found(shelf, "cats purr")
    assert outcomes(shelf.ingest(docs))["cats.md"] is Outcome.CHANGED


def test_a_file_is_one_document_whichever_way_it_is_named(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = write(tmp_path / "docs", dogs="Dogs bark.")
    (tmp_path / "link").symlink_to(docs)
    monkeypatch.chdir(write(tmp_path / "elsewhere", cats="Cats purr."))

    for name in (Path("../docs"), Path("../docs/dogs.md"), tmp_path / "link" / "dogs.md"):
        shelf.ingest(name)

    assert [d.source for d in shelf.library.documents()] == [str((docs / "dogs.md").resolve())]


def test_names_may_hold_the_spaces_that_systems_put_into_them(shelf: Shelf, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", **{"at 5\u202fpm": "Dogs bark.", "犬\u3000一": "Cats purr."})

    report = shelf.ingest(docs)

    assert report.complete
    assert {d.path for d in shelf.library.documents()} == {"at 5 pm.md", "犬 一.md"}


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="other file systems refuse such times")
def test_a_file_from_a_year_that_no_calendar_has_is_read(shelf: Shelf) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        docs = write(Path(folder), dogs="Dogs bark.")
        os.utime(docs / "dogs.md", (2**40, 2**40))

        assert shelf.ingest(docs).complete


def test_folders_without_end_are_named_and_the_rest_is_read(shelf: Shelf, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", dogs="Dogs bark.")
    deep = docs
    for _ in range(250):
        deep /= "d"
        deep.mkdir()

    report = shelf.ingest(docs)

    assert {d.path for d in shelf.library.documents()} == {"dogs.md"}
    (refused,) = [file for file in report.files if file.path != "dogs.md"]
    assert "folders deep" in refused.reason


def test_an_erased_document_leaves_no_trace_of_its_text(shelf: Shelf, tmp_path: Path) -> None:
    secret = "The vault opens with xylophone47."
    docs = write(tmp_path / "docs", dogs="Dogs bark.", vault=secret)
    shelf.ingest(docs)
    write(docs, vault=secret + " It is blue.")
    shelf.ingest(docs)
    vault = next(d for d in shelf.library.documents() if d.path == "vault.md")

    shelf.library.withdraw([vault.id], erase=True)

    assert shelf.library.standing(vault.id) is Standing.ERASED
    with pytest.raises(DocumentNotFound):
        shelf.library.text(vault.id)
    shelf.library.close()
    for path in (p for p in shelf.home.rglob("*") if p.is_file()):
        data = path.read_bytes()
        assert b"xylophone47" not in data, path
        assert b"xylophon47" not in data, path
    library = Library(shelf.home, SentenceTransformerEmbedder())
    assert list(library.doctor().examine()) == []
    assert {hit.document.path for hit in library.search("vault xylophone47")} == {"dogs.md"}
    library.close()


def test_rolling_back_answers_from_an_older_generation_again(shelf: Shelf, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", fee="The dog fee is £10.")
    shelf.ingest(docs)
    write(docs, fee="The dog fee is £12.", more="The cat fee is £3.")
    shelf.ingest(docs)
    write(docs, last="The cow fee is £90.")
    shelf.ingest(docs)

    assert shelf.library.rollback() == 2
    assert found(shelf, "fee") == {"fee.md", "more.md"}
    assert shelf.library.rollback() == 1
    assert [hit.passage.text for hit in shelf.library.search("fee")] == ["The dog fee is £10."]
    with pytest.raises(GenerationNotFound):
        shelf.library.rollback()
    assert shelf.library.rollback(to=3) == 3
    assert found(shelf, "fee") == {"fee.md", "more.md", "last.md"}
    assert shelf.library.generation == 6


def test_small_segments_are_merged_and_answers_stay_the_same(shelf: Shelf, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    for number in range(12):
        shelf.ingest(write(docs, **{f"d{number}": f"Topic {number} is about the word w{number}."}))
    segments = list((shelf.home / "segments").iterdir())

    assert len(segments) <= 8
    for number in range(12):
        assert shelf.library.search(f"w{number} topic")[0].document.path == f"d{number}.md"
    assert list(shelf.library.doctor().examine()) == []
    assert shelf.library.rollback(to=3) == 3
    assert len(shelf.library.documents()) == 3


def test_a_file_left_alone_is_not_even_opened(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = write(tmp_path / "docs", a="Dogs bark.")
    time.sleep(2.1)  # a file that was changed within two seconds is looked into again
    shelf.ingest(docs)

    def refuse(_: Path) -> None:
        raise AssertionError("it was opened")

    monkeypatch.setattr("ingest.intake._opened", refuse)

    assert shelf.ingest(docs).count(Outcome.UNCHANGED) == 1


def test_files_in_an_archive_are_documents_of_their_own(shelf: Shelf, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", plain="Dogs bark.")
    pack(docs / "more.zip", {"in/cats.md": "Cats purr.", "in/cows.md": "Cows moo.", "x.bin": "\0"})

    report = shelf.ingest(docs)

    assert outcomes(report) == {
        "more.zip": Outcome.ADDED,
        "more.zip/in/cats.md": Outcome.ADDED,
        "more.zip/in/cows.md": Outcome.ADDED,
        "more.zip/x.bin": Outcome.FAILED,
        "plain.md": Outcome.ADDED,
    }
    assert "more.zip/in/cats.md" in found(shelf, "cats purr")

    pack(docs / "more.zip", {"in/cats.md": "Cats purr.", "in/hens.md": "Hens cluck."})
    report = shelf.ingest(docs)
    assert outcomes(report)["more.zip/in/cats.md"] is Outcome.UNCHANGED
    assert outcomes(report)["more.zip/in/hens.md"] is Outcome.ADDED
    assert "more.zip/in/cows.md" not in found(shelf, "cows moo")

    unchanged = shelf.ingest(docs)
    assert unchanged.complete
    assert set(outcomes(unchanged).values()) == {Outcome.UNCHANGED}
    assert len(unchanged.files) == 4

    (docs / "more.zip").unlink()
    shelf.ingest(docs, prune=True)
    assert found(shelf, "cats purr hens cluck") == {"plain.md"}


def pack(path: Path, files: dict[str, str]) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    path.write_bytes(out.getvalue())


def test_an_upload_waits_for_the_next_ingest_and_replaces_the_one_before(shelf: Shelf) -> None:
    shelf.library.receive("fees.md", io.BytesIO(b"# Fees\n\nThe dog fee is 10."))
    waiting = shelf.library.ledger.file("upload:fees.md")
    assert waiting is not None
    assert waiting.state is FileState.WAITING

    assert outcomes(shelf.ingest()) == {"fees.md": Outcome.ADDED}
    shelf.library.receive("fees.md", io.BytesIO(b"# Fees\n\nThe dog fee is 12."))
    assert outcomes(shelf.ingest()) == {"fees.md": Outcome.CHANGED}

    assert [hit.passage.text for hit in shelf.library.search("dog fee")] == [
        "# Fees\n\nThe dog fee is 12."
    ]
    assert shelf.ingest().files == []


@needs_tesseract
def test_images_are_read_by_the_first_ingest_that_can(shelf: Shelf, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs")
    (docs / "deer.pdf").write_bytes(drawn(typed(*LOREM), scanned("All deer are counted in May")))
    with Sandbox(ocr=False) as blind:
        worker = Job(shelf.library, SentenceTransformerEmbedder(), [blind], chunk_tokens=160)
        assert worker.run([docs], lambda _: None).partly_read == 1

    report = shelf.ingest(docs)

    assert outcomes(report) == {"deer.pdf": Outcome.CHANGED}
    assert report.complete
    assert "counted in May" in shelf.library.search("When are deer counted?")[0].passage.text
    assert outcomes(shelf.ingest(docs)) == {"deer.pdf": Outcome.UNCHANGED}


def stop_at(stage: Stage) -> Follow:
    def stop(progress: Progress) -> None:
        if progress.stage is stage:
            raise Cancelled("enough")

    return stop


@needs_tesseract
def test_images_that_hold_no_words_are_tried_again_without_harm(
    shelf: Shelf, tmp_path: Path
) -> None:
    docs = write(tmp_path / "docs")
    (docs / "deer.pdf").write_bytes(drawn(typed(*LOREM), scanned("All deer are counted in May")))
    with Sandbox(ocr=False) as blind:
        worker = Job(shelf.library, SentenceTransformerEmbedder(), [blind], chunk_tokens=160)
        with pytest.raises(Cancelled):
            worker.run([docs], stop_at(Stage.PUBLISHING))  # it is stored, and not yet shown
        for _ in range(2):
            report = worker.run([docs], lambda _: None)

    assert report.partly_read == 1
    assert report.count(Outcome.FAILED) == 0
    assert len(shelf.library.documents()) == 1
    assert list(shelf.library.doctor().examine()) == []


def test_a_watched_folder_is_kept_in_step(tmp_path: Path) -> None:
    docs, home = write(tmp_path / "docs", a="Dogs bark."), with_graphs(tmp_path / "library")
    command = [sys.executable, "-m", "web.cli", "ingest", str(docs), "--watch", "--home", str(home)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stderr is not None
        assert "Watching" in watching.stderr.readline()
        write(docs, b="Cats purr.")
        library = Library(home, SentenceTransformerEmbedder())
        deadline = time.monotonic() + 60
        while len(library.documents()) < 2 and time.monotonic() < deadline:
            (docs / "b.md").touch()  # again, lest it was written before the watching began
            time.sleep(1)
        watching.terminate()

    assert [d.path for d in library.documents()] == ["a.md", "b.md"]
    library.close()


def test_characters_in_no_passage_are_counted() -> None:
    text = "One two. Three four."
    passage = Passage("d", None, (), 0, 8, "One two.")

    assert uncovered(text, [passage]) == len("Threefour.")
    assert uncovered(text, [passage, Passage("d", None, (), 9, 20, "Three four.")]) == 0
    assert uncovered(text, [Passage("d", None, (), 0, 20, "another text, not it")]) > 0
