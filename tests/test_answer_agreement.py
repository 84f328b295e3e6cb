"""What is believed where documents answer a question differently."""

from pathlib import Path

import pytest

from answer import Answerer, Ask, Status
from answer.agreement import agreed, disagree, disagreement
from answer.features import candidates_of, echoes
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


def dated(shelf: Shelf, folder: Path, *said: tuple[str, str, str, float]) -> list[Evidence]:
    """Return evidence of documents: name, day they are of or none, fee, how probable."""
    for name, day, fee, _ in said:
        head = f"---\ndate: {day}\n---\n\n" if day else ""
        text = f"{head}# Fees of {name}\n\nThe yearly fee for a dog licence is {fee} ({name}).\n"
        (folder / f"{name}.md").write_text(text)
    shelf.ingest(folder)
    return evidence(shelf, *((name, fee, probable) for name, _, fee, probable in said))


def test_a_newer_answer_comes_before_an_older_one_that_more_documents_give(
    shelf: Shelf, tmp_path: Path
) -> None:
    found = dated(
        shelf,
        tmp_path,
        ("ash", "2022-04-01", "£12", 0.9),
        ("birch", "2021-04-01", "£12", 0.8),
        ("cedar", "2026-04-01", "£15", 0.7),
    )

    first, second, _ = agreed(found, "how much?")

    assert (first.date, second.date) == ("2026-04-01", "2022-04-01")


def test_what_is_of_a_day_to_come_does_not_hold_yet(shelf: Shelf, tmp_path: Path) -> None:
    found = dated(
        shelf, tmp_path, ("ash", "2022-04-01", "£12", 0.9), ("birch", "2999-01-01", "£15", 0.8)
    )

    assert agreed(found, "how much?")[0].hit.document.path.endswith("ash.md")


def test_of_answers_of_one_day_the_one_that_more_documents_give_comes_first(
    shelf: Shelf, tmp_path: Path
) -> None:
    found = dated(
        shelf,
        tmp_path,
        ("ash", "2026-04-01", "£12", 0.9),
        ("birch", "2026-04-01", "£15", 0.8),
        ("cedar", "2026-04-01", "£15", 0.7),
    )

    assert agreed(found, "how much?")[0].hit.document.path == "birch.md"


def test_what_is_unlikely_to_answer_is_not_put_first_for_its_day(
    shelf: Shelf, tmp_path: Path
) -> None:
    found = dated(
        shelf,
        tmp_path,
        ("ash", "2022-04-01", "£12", 0.9),
        ("cedar", "2026-04-01", "£15", 0.3),
    )

    assert agreed(found, "how much?") == found


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("£1,200", "£1200", False),
        ("three days", "3 days", False),
        ("3 March 2026", "03/03/2026", False),
        ("31 March 1889", "1889", False),
        ("Monday–Friday", "Monday to Friday", False),
        ("12-18 months", "12 to 18 months", False),
        ("O’Neill", "Jane O'Neill", False),
        ("the line manager", "your line manager", False),
        ("the finance director", "Finance directors", False),
        ("25 days a year", "25 days per year", False),
        ("before May", "after May", True),
        ("£12", "£12 million", True),
        ("15%", "15", True),
        ("permitted", "not permitted", True),
    ],
)
def test_values_are_compared_and_not_how_they_are_written(
    shelf: Shelf, tmp_path: Path, one: str, other: str, differ: bool
) -> None:
    found = dated(shelf, tmp_path, ("ash", "", one, 0.9), ("birch", "", other, 0.8))

    assert disagree(found) is differ


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
