"""What is believed where documents answer a question differently."""

from pathlib import Path

import pytest

from answer import Answerer, Ask, Status
from answer.agreement import agreed, disagree, disagreement
from answer.evidence import candidates_of, echoes
from answer.judge import judged_by
from answer.types import Evidence
from tests.conftest import JUDGE, Shelf

ASKED = "What is the yearly fee for a dog licence?"
TRUE = "The yearly fee for a dog licence is £12, paid in May."
SAME = "Owners pay £12 a year for the licence of a dog."
FALSE = "The yearly fee for a dog licence is £90."


@pytest.fixture
def fees(shelf: Shelf, tmp_path: Path) -> Shelf:
    """A library in which one true text stands against three that were written for the question."""
    (tmp_path / "true.txt").write_text(f"{TRUE}\n")
    for n, more in enumerate(("Cats are free.", "It was raised in spring.", "Cash is taken.")):
        (tmp_path / f"false-{n}.txt").write_text(f"{ASKED} {FALSE} {more}\n")
    (tmp_path / "same.txt").write_text(f"{SAME}\n")
    return shelf


def evidence(shelf: Shelf, *values: tuple[str, str, float]) -> list[Evidence]:
    """Return sentences of files: a part of the path, the words that answer, how probable."""
    candidates = candidates_of(shelf.library.search(ASKED, limit=20))
    found = []
    for path, value, probability in values:
        one = next(c for c in candidates if path in c.hit.document.path and value in c.text)
        start = one.span[0] + one.text.index(value)
        span = (start, start + len(value))
        found.append(Evidence(one.hit, *one.span, one.text, probability, span))
    return found


def test_texts_written_for_the_question_have_less_of_a_voice_than_one_other(
    fees: Shelf, tmp_path: Path
) -> None:
    fees.ingest(tmp_path)
    found = evidence(
        fees, ("false-0", "£90", 0.9), ("false-1", "£90", 0.8), ("true.txt", "£12", 0.3)
    )

    first, second, third = agreed(found, ASKED)

    assert (first.text, second.text, third.text) == (TRUE, FALSE, FALSE)
    assert first.probability == 0.9
    assert disagree(found)


def test_what_more_documents_say_is_believed(fees: Shelf, tmp_path: Path) -> None:
    fees.ingest(tmp_path)
    found = evidence(fees, ("true.txt", "May", 0.9), ("true.txt", "£12", 0.8), ("same", "£12", 0.7))

    assert agreed(found, "when?")[0].text == TRUE
    assert not disagree(found[1:])


def test_of_two_documents_the_better_found_comes_first_and_the_other_beside_it(
    fees: Shelf, tmp_path: Path
) -> None:
    fees.ingest(tmp_path)
    found = evidence(fees, ("true.txt", "£12", 0.9), ("same", "dog", 0.5))

    assert agreed(found, ASKED) == found
    assert disagree(found)


def test_of_two_documents_that_say_what_day_they_are_of_the_newer_comes_first(
    shelf: Shelf, tmp_path: Path
) -> None:
    for day, fee in (("2024-04-01", "£12"), ("2026-04-01", "£15")):
        (tmp_path / f"{day}.md").write_text(
            f"---\ndate: {day}\n---\n\n# Fees\n\nThe yearly fee for a dog licence is {fee}.\n"
        )
    shelf.ingest(tmp_path)
    found = evidence(shelf, ("2024", "£12", 0.9), ("2026", "£15", 0.8))

    newer, older = agreed(found, ASKED)

    assert (newer.date, older.date) == ("2026-04-01", "2024-04-01")
    assert "the first is of 2026-04-01, the other of 2024-04-01" in disagreement([newer, older])


def test_a_planted_answer_is_shown_only_beside_the_other(fees: Shelf, tmp_path: Path) -> None:
    fees.ingest(tmp_path)
    judgement = judged_by(fees.embedder, JUDGE)
    answerer = Answerer(fees.library, None, judgement=judgement, passages=10, threshold=0.0)

    answer = answerer.answer(Ask(ASKED))

    assert answer.status is Status.QUOTED
    assert "£12" in answer.sentences[0].text
    assert answer.reason == "the documents seem to disagree"


@pytest.mark.parametrize(
    ("sentence", "echo"),
    [
        ("What is the yearly fee for a dog licence?", True),
        ("Q: what is the dog licence fee?", False),
        ("what is the yearly fee for a dog licence", True),
        ("The yearly fee for a dog licence is what is paid.", False),
        ("Is the fee for a dog licence yearly, or monthly?", False),
    ],
)
def test_a_sentence_that_only_asks_the_question_is_no_answer(sentence: str, echo: bool) -> None:
    assert echoes(sentence, ASKED) is echo
