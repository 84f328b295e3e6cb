"""Receipts of answers, on the real library: kept, checked again, and gone when they must be."""

import logging
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from answer import Answer, Answerer, Ask, Found, Status, prompt
from answer.engine import LlamaProcess
from answer.errors import ReceiptNotFound, ReceiptsUnavailable
from answer.evidence import FeatureScorer, Judgement
from answer.judge import judged_by
from answer.model import LanguageModel
from answer.prompt import Form
from answer.receipts import FILE, Check, Receipt, Receipts, State
from answer.receipts.record import OF_A_CITATION, OF_AN_ANSWER, sha256
from answer.types import Citation, Withheld
from ingest import Sandbox
from retrieval import Filters, SentenceTransformerEmbedder
from tests.conftest import JUDGE, ROOT, Shelf
from tests.test_answer_answerer import Parrot

FEE = "What is the yearly fee for a zebra licence?"
ABSENT = "Who won the 1998 World Cup?"
ZEBRAS = (
    "# Zebra licences\n\nThe yearly fee for a zebra licence is 47 crowns. It is paid in Vale"
    " Street.\n\nForm Z-9 asks for the zebra's quizzaciously striped portrait.\n"
)


class Office:
    """A library about zebras and its answers, which leave receipts."""

    def __init__(self, shelf: Shelf, docs: Path, answers: dict[str, Answer]) -> None:
        self.shelf, self.library, self.home, self.docs = shelf, shelf.library, shelf.home, docs
        self._answers = answers
        self._opened: list[Receipts] = []

    def close(self) -> None:
        for receipts in self._opened:
            receipts.close()
        self.library.close()

    def write(self, text: str) -> None:
        (self.docs / "zebras.md").write_text(text)
        self.shelf.ingest(self.docs)

    def receipts(self, *, days: int = 90, questions: bool = True) -> Receipts:
        receipts = Receipts(self.home, self.library, days=days, questions=questions)
        self._opened.append(receipts)
        return receipts

    def answerer(
        self, receipts: Receipts | None, model: LanguageModel | None = None, *, judge: bool = False
    ) -> Answerer:
        embedder = self.shelf.embedder
        return Answerer(
            self.library,
            model,
            judgement=judged_by(embedder, JUDGE) if judge else Judgement(FeatureScorer(embedder)),
            passages=10,
            threshold=0.5,
            receipts=receipts,
        )

    def ask(self, receipts: Receipts, question: str = FEE) -> Answer:
        """Keep the receipt of an answer, which is found once and given each time anew."""
        if question not in self._answers:
            self._answers[question] = self.answerer(None).answer(Ask(question))
        answer = replace(self._answers[question], id=str(uuid4()))
        receipts.record(answer, self.answerer(None).method(Ask(question)))
        return answer

    def zebras(self) -> str:
        return next(d.id for d in self.library.documents() if d.path == "zebras.md")

    def erase(self, receipts: Receipts) -> str:
        name = self.zebras()
        self.library.withdraw([name], erase=True)
        receipts.forget_erased()
        return name

    def holds(self, words: str) -> list[Path]:
        """Return the files of the library's folder in which words stand."""
        files = filter(Path.is_file, self.home.rglob("*"))
        return [path for path in files if words.encode() in path.read_bytes()]

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.home / FILE, isolation_level=None)) as db:
            yield db


@pytest.fixture(scope="module")
def answers() -> dict[str, Answer]:
    """What was answered from the library as it is at first, by question."""
    return {}


@pytest.fixture(scope="module")
def template(
    tmp_path_factory: pytest.TempPathFactory,
    embedder: SentenceTransformerEmbedder,
    sandbox: Sandbox,
) -> Path:
    """A folder with documents, and the library that they were read into."""
    top = tmp_path_factory.mktemp("office")
    (top / "docs").mkdir()
    (top / "docs" / "zebras.md").write_text(ZEBRAS)
    (top / "docs" / "bicycles.md").write_text("# Bicycles\n\nA bicycle permit costs 5 crowns.\n")
    shelf = Shelf(top / "library", embedder, sandbox)
    shelf.ingest(top / "docs")
    shelf.library.close()
    return top


@pytest.fixture
def office(
    template: Path,
    answers: dict[str, Answer],
    tmp_path: Path,
    embedder: SentenceTransformerEmbedder,
    sandbox: Sandbox,
) -> Iterator[Office]:
    """A copy of that library; its documents have the same ids."""
    copy = shutil.copytree(template / "library", tmp_path / "library")
    with closing(Office(Shelf(copy, embedder, sandbox), template / "docs", answers)) as office:
        yield office
    (template / "docs" / "zebras.md").write_text(ZEBRAS)


@pytest.fixture
def receipts(office: Office) -> Receipts:
    return office.receipts()


def kept(receipts: Receipts, answer: Answer) -> Receipt:
    return Receipt.read(receipts.find(answer.id).content)


def check(receipts: Receipts, answer: Answer) -> Check:
    return receipts.verify(receipts.find(answer.id))


# What is kept


def test_a_receipt_holds_the_answer_and_how_it_was_made(
    office: Office, receipts: Receipts, model: LlamaProcess
) -> None:
    ask = Ask(FEE, Filters(folder="zebras.md"), top_k=4)

    answer = office.answerer(receipts, model, judge=True).answer(ask)

    receipt = kept(receipts, answer)
    assert receipt.answer == answer
    assert receipt.answer.model == model.card
    assert receipt.answer.read == (office.zebras(),)
    assert receipt.filters == ask.filters
    assert (receipt.method.passages, receipt.method.threshold) == (4, 0.5)
    assert receipt.method.judge.startswith(JUDGE.name)
    assert receipt.method.embedder == office.shelf.embedder.name
    assert receipt.method.prompt == prompt.version(Form.SHORT)
    assert datetime.now(UTC) - datetime.fromisoformat(receipt.answered_at) < timedelta(minutes=5)


@pytest.mark.parametrize("question", [FEE, ABSENT, f"{FEE} {ABSENT}"])
def test_every_kind_of_answer_leaves_one_also_when_it_is_streamed(
    question: str, office: Office, receipts: Receipts
) -> None:
    *_, answer = office.answerer(receipts).stream(Ask(question, conversation="c"))

    assert isinstance(answer, Answer)
    assert kept(receipts, answer).answer == answer
    assert check(receipts, answer).state is State.AS_IT_WAS


def test_it_is_there_when_the_reader_gets_the_answer_and_hangs_up(
    office: Office, receipts: Receipts
) -> None:
    events = office.answerer(receipts).stream(Ask(FEE))
    answer = next(event for event in events if isinstance(event, Answer))
    events.close()  # type: ignore[attr-defined]

    assert kept(receipts, answer).answer == answer


def test_a_reader_who_leaves_before_the_answer_leaves_no_receipt(
    office: Office, receipts: Receipts
) -> None:
    events = office.answerer(receipts).stream(Ask(FEE))
    assert isinstance(next(events), Found)
    events.close()  # type: ignore[attr-defined]

    assert receipts.count() == 0


def test_the_prompt_has_another_version_when_its_wording_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = prompt.version(Form.SHORT)
    assert prompt.version(Form.LONG) != before

    monkeypatch.setitem(prompt.INSTRUCTIONS, Form.SHORT, "Be brief.")
    assert prompt.version(Form.SHORT) != before


def test_without_questions_nothing_of_what_was_asked_is_kept(office: Office) -> None:
    receipts = office.receipts(questions=False)
    question = "What is the yearly fee for a zebra liccence? Who won the 1998 Xantippe Cup?"
    answer = office.ask(receipts, question)
    assert answer.searched_for
    assert answer.unanswered

    receipt = kept(receipts, answer).answer

    assert (receipt.question, receipt.searched_for, receipt.unanswered) == ("", None, ())
    assert receipt.citations == answer.citations
    assert not office.holds("Xantippe")
    assert check(receipts, answer).state is State.AS_IT_WAS


def test_many_readers_at_once_all_get_one(office: Office, receipts: Receipts) -> None:
    answer, method = office.ask(receipts), office.answerer(receipts).method(Ask(FEE))
    answers = [replace(answer, id=str(uuid4())) for _ in range(200)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: receipts.record(one, method), answers))

    assert {receipts.find(one.id).id for one in answers} == {one.id for one in answers}


def test_a_killed_process_leaves_every_receipt_it_wrote(tmp_path: Path) -> None:
    path = tmp_path / FILE
    script = (
        "import sys, itertools; from pathlib import Path\n"
        "from answer.receipts.store import Store, Stored\n"
        f"store = Store(Path({str(path)!r}))\n"
        "for n in itertools.count():\n"
        "    store.add(Stored(f'a{n}', '2026-01-01', 'x' * 3000, 'y'), ['d'], expired='')\n"
        "    print(n, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        written = [int(line) for _, line in zip(range(300), process.stdout, strict=False)]
        process.send_signal(signal.SIGKILL)

    with closing(sqlite3.connect(path)) as db:
        (count,) = db.execute("SELECT count(*) FROM receipt").fetchone()
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert count >= len(written) == 300


# Whether it still holds


def test_a_newer_revision_of_the_source_is_told_and_the_quote_still_stands(
    office: Office, receipts: Receipts
) -> None:
    answer = office.ask(receipts)
    office.write(ZEBRAS.replace("47", "52"))

    found = check(receipts, answer)

    assert found.state is State.CHANGED
    assert found.notes == (f"zebras.md: the source has a newer revision, {office.zebras()}",)


def test_a_withdrawn_source_is_told_until_it_is_restored(
    office: Office, receipts: Receipts
) -> None:
    answer, name = office.ask(receipts), office.zebras()

    office.library.withdraw([name])
    assert check(receipts, answer).notes == ("zebras.md: the source was withdrawn",)
    office.library.restore([name])
    assert check(receipts, answer).state is State.AS_IT_WAS


def test_an_erased_document_leaves_no_words_in_receipts(office: Office, receipts: Receipts) -> None:
    parrot = Parrot("The yearly fee for a zebra licence is 47 crowns. A quizzaciously big zebra.")
    answer = office.answerer(receipts, parrot).answer(Ask(FEE))
    other = office.ask(receipts, "What does a bicycle permit cost?")
    nearest = office.ask(receipts, "Which form asks for the giraffe's portrait?")
    assert answer.status is Status.ANSWERED
    assert answer.withheld
    assert any("quizzaciously" in c.quote for c in (*nearest.citations, *nearest.nearest))
    assert office.holds("quizzaciously")

    name = office.erase(receipts)

    assert not office.holds("quizzaciously")
    assert not office.holds("47 crowns")
    receipt = kept(receipts, answer)
    assert receipt.erased == (name,)
    assert receipt.answer.question == FEE
    (citation,) = receipt.answer.citations
    assert (citation.quote, citation.title, citation.heading) == ("", "", None)
    assert (citation.sha256, citation.start) == (
        answer.citations[0].sha256,
        answer.citations[0].start,
    )
    assert (receipt.answer.text, receipt.answer.withheld) == ("", ())
    found = check(receipts, answer)
    assert found.state is State.CHANGED
    assert found.notes[0].startswith("zebras.md: the document was erased")
    assert kept(receipts, other).answer.text == other.text


def test_what_else_an_answer_rests_on_stays_when_one_document_is_erased(
    office: Office, receipts: Receipts
) -> None:
    answer = office.ask(receipts, f"{FEE} What does a bicycle permit cost?")
    assert {citation.path for citation in answer.citations} == {"zebras.md", "bicycles.md"}

    office.erase(receipts)

    left = kept(receipts, answer).answer
    assert "bicycle permit costs 5" in left.text
    assert "zebra" not in left.text
    assert [c.quote for c in left.citations if c.path == "bicycles.md"] == [
        c.quote for c in answer.citations if c.path == "bicycles.md"
    ]


def test_what_was_withheld_goes_with_a_document_that_was_only_read(
    office: Office, receipts: Receipts
) -> None:
    bicycles = office.ask(receipts, "What does a bicycle permit cost?")
    strange = Withheld("A quizzaciously striped bicycle.", "it is not in the cited words")
    answer = replace(bicycles, id=str(uuid4()), withheld=(strange,), read=(office.zebras(),))
    receipts.record(answer, office.answerer(None).method(Ask(FEE)))
    assert check(receipts, answer).state is State.AS_IT_WAS

    office.erase(receipts)

    assert not office.holds("quizzaciously")
    assert kept(receipts, answer).answer.text == answer.text
    assert check(receipts, answer).state is State.CHANGED


def test_a_document_erased_while_it_is_answered_from_leaves_no_words(
    office: Office, receipts: Receipts
) -> None:
    events = office.answerer(receipts).stream(Ask(FEE))
    next(events)
    office.erase(receipts)

    *_, answer = events

    assert isinstance(answer, Answer)
    assert "47 crowns" in answer.text
    assert not office.holds("47 crowns")
    assert kept(receipts, answer).erased


def test_erasing_that_was_cut_off_is_told_and_made_up_for_when_a_service_starts(
    office: Office, receipts: Receipts
) -> None:
    answer = office.ask(receipts)
    office.library.withdraw([office.zebras()], erase=True)
    assert check(receipts, answer).state is State.BROKEN
    assert "1 erased documents" in next(receipts.faults()).problem

    receipts.tidy()

    assert not office.holds("47 crowns")
    assert not list(receipts.faults())


def test_it_is_decided_of_every_field_whether_it_outlives_an_erased_document() -> None:
    taken_out = {"withheld", "searched_for", "hint"}
    assert {f.name for f in fields(Answer)} == OF_AN_ANSWER | taken_out
    assert {f.name for f in fields(Citation)} == OF_A_CITATION | {
        *("title", "heading", "quote", "answer", "date")
    }


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_a_quote_that_was_tampered_with_is_noticed(
    signed: bool, office: Office, receipts: Receipts
) -> None:
    answer = office.ask(receipts)
    with office.database() as db:
        db.create_function("sha256", 1, sha256)
        db.execute("UPDATE receipt SET content = replace(content, '47 crowns', '99 crowns')")
        if signed:
            db.execute("UPDATE receipt SET sha256 = sha256(content)")

    found = check(receipts, answer)

    assert found.state is State.BROKEN
    assert ("the receipt is not what was written" in found.notes) is not signed
    assert any("the quote is not what the document says" in note for note in found.notes)
    assert signed or "1 receipts are not what" in next(receipts.faults()).problem


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("content = 'nonsense', sha256 = sha256('nonsense')", "cannot be read"),
        ("content = x'ff00ff'", "not what was written"),
        ("answered_at = '2999-01-01'", "of another time"),
        ("id = '00000000-0000-4000-8000-000000000000'", "of another answer"),
    ],
)
def test_whatever_else_is_changed_in_one_is_noticed(
    change: str, says: str, office: Office, receipts: Receipts
) -> None:
    office.ask(receipts)
    with office.database() as db:
        db.create_function("sha256", 1, sha256)
        db.execute(f"UPDATE receipt SET {change}")

    (found,) = receipts.verify_all()

    assert found.state is State.BROKEN
    assert any(says in note for note in found.notes)


def test_a_damaged_one_goes_as_a_whole_when_its_document_is_erased(
    office: Office, receipts: Receipts
) -> None:
    answer = office.ask(receipts)
    with office.database() as db:
        db.execute("UPDATE receipt SET content = content || '47 crowns'")

    office.erase(receipts)

    assert not office.holds("47 crowns")
    with pytest.raises(ReceiptNotFound):
        receipts.find(answer.id)


# How long it is kept


def age(office: Office, answer: Answer, days: int) -> None:
    then = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
    with office.database() as db:
        db.execute("UPDATE receipt SET answered_at = ? WHERE id = ?", (then, answer.id))


def in_file(office: Office) -> int:
    with office.database() as db:
        return int(db.execute("SELECT count(*) FROM receipt").fetchone()[0])


def test_what_is_too_old_is_gone_when_a_service_starts(office: Office, receipts: Receipts) -> None:
    old, new = office.ask(receipts), office.ask(receipts)
    age(office, old, 91)

    with pytest.raises(ReceiptNotFound, match="90 days"):
        receipts.find(old.id)
    receipts.tidy()

    assert in_file(office) == 1
    assert receipts.find(new.id)


def test_a_service_removes_what_is_too_old_as_it_writes(office: Office, receipts: Receipts) -> None:
    receipts.tidy()
    age(office, office.ask(receipts), 91)

    new = office.ask(receipts)

    assert in_file(office) == 1
    assert receipts.find(new.id)


def test_a_command_with_other_settings_removes_nothing_by_itself(office: Office) -> None:
    old = office.ask(office.receipts(days=365))
    age(office, old, 91)

    office.ask(office.receipts(days=30))

    assert in_file(office) == 2
    assert office.receipts(days=365).find(old.id)


def test_of_removed_ones_no_words_stay_on_the_disk(office: Office, receipts: Receipts) -> None:
    office.ask(receipts, "Quizzaciously: what does a bicycle permit cost, asks Xantippe?")
    kept_one = office.ask(receipts)
    assert office.holds("Xantippe")

    assert receipts.prune(days=0) == 2

    assert not office.holds("Xantippe")
    with pytest.raises(ReceiptNotFound):
        receipts.find(kept_one.id)


def test_hundreds_go_at_once_and_give_their_room_back(office: Office, receipts: Receipts) -> None:
    for _ in range(250):
        office.ask(receipts)
    before = (office.home / FILE).stat().st_size

    office.erase(receipts)
    assert not office.holds("47 crowns")
    assert {check.state for check in receipts.verify_all()} == {State.CHANGED}
    assert receipts.prune(days=0) == 250

    assert receipts.count() == 0
    assert (office.home / FILE).stat().st_size < before / 5


def test_named_ones_can_be_removed(office: Office, receipts: Receipts) -> None:
    one, other = office.ask(receipts), office.ask(receipts)

    assert receipts.remove([one.id]) == 1

    assert receipts.find(other.id)
    with pytest.raises(ReceiptNotFound):
        receipts.remove([one.id])


def test_where_none_are_kept_there_is_no_file(office: Office) -> None:
    receipts = office.receipts(days=0)
    answer = office.ask(receipts)
    receipts.tidy()

    assert answer.text
    assert not list(receipts.faults())
    assert not (office.home / FILE).exists()
    with pytest.raises(ReceiptNotFound, match="switched off"):
        receipts.find(answer.id)


# What stands in the way


@contextmanager
def garbage(path: Path) -> Iterator[None]:
    path.write_bytes(b"no database at all" * 1000)
    yield
    path.unlink()


@contextmanager
def folder(path: Path) -> Iterator[None]:
    path.mkdir()
    yield
    path.rmdir()


@contextmanager
def full_disk(_: Path) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@contextmanager
def newer(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    yield
    path.unlink()


OBSTACLES = [garbage, folder, full_disk, newer]


@pytest.mark.parametrize("obstacle", OBSTACLES, ids=lambda o: o.__name__)
def test_a_file_that_cannot_be_used_costs_no_answer_and_is_told_once(
    obstacle: Callable[[Path], AbstractContextManager[None]],
    office: Office,
    receipts: Receipts,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    with obstacle(office.home / FILE):
        answers = [office.answerer(receipts).answer(Ask(FEE)), office.ask(receipts)]
        problems = [fault.problem for fault in receipts.faults()]

    assert all("47 crowns" in answer.text for answer in answers)
    assert [str(office.home / FILE) in record.getMessage() for record in caplog.records] == [True]
    assert len(problems) == 1
    assert str(office.home / FILE) in problems[0]
    assert kept(receipts, office.ask(receipts)), "it goes on when it is mended"
    assert all(kept(receipts, answer) for answer in answers), "and nothing was lost"


def test_one_that_another_holds_costs_no_answer_either(
    office: Office, receipts: Receipts, caplog: pytest.LogCaptureFixture
) -> None:
    first = office.ask(receipts)
    with office.database() as other:
        other.execute("BEGIN IMMEDIATE")
        second = office.ask(receipts)
        assert second.text == first.text
        assert kept(receipts, first), "it can still be read"

    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "Another program holds" in caplog.records[0].getMessage()
    assert kept(receipts, second), "it is written with the next look"


def test_erasing_fails_aloud_if_receipts_cannot_be_reached(
    office: Office, receipts: Receipts
) -> None:
    office.ask(receipts)
    receipts.close()
    name = office.zebras()
    office.library.withdraw([name], erase=True)
    os.truncate(office.home / FILE, 100)

    with pytest.raises(ReceiptsUnavailable, match=r"may still stand.* damaged.* receipts prune"):
        receipts.forget_erased()


def test_only_its_owner_may_read_the_file(office: Office, receipts: Receipts) -> None:
    office.ask(receipts)

    modes = {path.name: path.stat().st_mode & 0o777 for path in office.home.glob(f"{FILE}*")}
    assert set(modes.values()) == {0o600}, modes
