"""Several questions in one, and questions that lean on earlier ones."""

from pathlib import Path

import pytest

from answer import Answerer, Ask, Status
from answer.conversation import Conversations, rewritten
from answer.judge import judged_by
from answer.parts import parts_of
from tests.conftest import JUDGE, Shelf


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        (
            "What is the fee for a dog licence, and how long does it last?",
            ["What is the fee for a dog licence?", "how long does dog licence last?"],
        ),
        (
            "When is the office open? Who do I call?",
            ["When is the office open?", "Who do I call?"],
        ),
        (
            "When did Marie Curie die and where was she buried?",
            ["When did Marie Curie die?", "where was Marie Curie buried?"],
        ),
        (
            "How do I apply for leave and how long does it take?",
            [
                "How do I apply for leave?",
                "How do I apply for leave? how long does it take?",
            ],
        ),
        (
            "Who do I report a lost laptop to and when do I have to do it?",
            [
                "Who do I report a lost laptop to?",
                "Who do I report a lost laptop to? when do I have to do it?",
            ],
        ),
        (
            "What does the dog licence cost and who issues it?",
            ["What does the dog licence cost?", "who issues dog licence?"],
        ),
        (
            "What does a dog licence cost and which form do I need?",
            ["What does a dog licence cost?", "which form do I need?"],
        ),
        ("whats the fee? whens it due?", ["what is the fee?", "when is fee due?"]),
        (
            "1) How long must a password be? 2) Who do I call?",
            ["How long must a password be?", "Who do I call?"],
        ),
        (
            "How long must a password be; how many days of leave do I get?",
            ["How long must a password be?", "how many days of leave do I get?"],
        ),
        (
            "How long must a password be, when is it changed and who do I tell if it leaks?",
            [
                "How long must a password be?",
                "when is password changed?",
                "who do I tell if password leaks?",
            ],
        ),
        (
            "Who wrote the report and when was she hired?",
            ["Who wrote the report?", "Who wrote the report? when was she hired?"],
        ),
    ],
)
def test_several_questions_are_cut_apart_and_each_stands_alone(
    question: str, parts: list[str]
) -> None:
    assert parts_of(question) == parts


@pytest.mark.parametrize(
    "question",
    [
        "What is the difference between inference and serving?",
        "Who founded and led the society?",
        "What is the name of the man who lives here and who wrote the rules?",
        "I work part-time. How many days of leave do I get?",
        "How and when was the bridge built?",
        "What do managers and what do officers get?",
        "dog licence fee and form",
        "How many days of leave do officers get? And part-time?",
        "How many days of leave do officers get? What about managers?",
    ],
)
def test_one_question_stays_one(question: str) -> None:
    assert parts_of(question) == [question]


@pytest.mark.parametrize(
    ("earlier", "question", "meant"),
    [
        (
            ["How many days of leave does a full-time officer get?"],
            "and for part-timers?",
            "How many days of leave does part-timers get?",
        ),
        (
            ["How many days of leave do full-time officers get?"],
            "And part-time?",
            "How many days of leave do part-time officers get?",
        ),
        (["What was the budget in 2024?"], "And in 2025?", "What was the budget in 2025?"),
        (["What is the fee for a dog licence?"], "When is it due?", "When is dog licence due?"),
        (["Who is Anna Bell?", "Thanks"], "What does she do?", "What does Anna Bell do?"),
        (["How much leave do I get?"], "What is a GGUF file?", "What is a GGUF file?"),
        (["How much leave do I get?"], "What is retrieval?", "What is retrieval?"),
        (["How much leave do I get?"], "Where can I park?", "Where can I park?"),
        (
            ["How much leave do I get?"],
            "So how do I apply for a parking permit?",
            "How do I apply for a parking permit?",
        ),
        (
            ["How do I apply for a parking permit?"],
            "What is the deadline?",
            "What is the deadline (parking permit)?",
        ),
        (["What is batching?"], "How much does it cost?", "How much does batching cost?"),
        ([], "And then?", "And then?"),
        (["When's the deadline?"], "and for part-timers?", "When's the deadline for part-timers?"),
        (["Who is the mayor?"], "When was she elected?", "When was mayor elected?"),
        (["How much is a permit?"], "How do I get one?", "How do I get permit?"),
        (
            ["Who approves claims over £200?"],
            "What about under £200?",
            "Who approves claims under £200?",
        ),
        (
            ["What is the fee for a dog licence?", "When is dog licence due?"],
            "Is it refundable?",
            "Is dog licence refundable?",
        ),
        (["How much leave do officers get?"], "Who runs IT?", "Who runs IT?"),
        (
            ["How much leave do officers get?"],
            "Who is the IT manager?",
            "Who is the IT manager?",
        ),
        (["Who founded Apple?"], "When was it founded?", "When was Apple founded?"),
        (
            ["Who founded Apple?"],
            "When did he die?",
            "Who founded Apple? When did he die?",
        ),
        (["How much leave do officers get?"], "Thanks!", "Thanks!"),
        (
            ["How much annual leave do officers get?"],
            "What about sick leave?",
            "How much sick leave do officers get?",
        ),
        (
            ["What is the fee for a dog licence?"],
            "And a cat licence?",
            "What is the fee for a cat licence?",
        ),
        (["Can officers claim mileage?"], "And for mayors?", "Can mayors claim mileage?"),
        (
            ["Can a senior manager approve overtime?"],
            "And for directors?",
            "Can directors approve overtime?",
        ),
        (
            ["Can the night manager claim overtime?"],
            "And for directors?",
            "Can the night manager claim overtime? And for directors?",
        ),
        (
            ["What is inference?", "What is training?"],
            "What is the difference between them?",
            "What is the difference between inference and training?",
        ),
        (["Can sick leave be carried over?"], "When does it end?", "When does sick leave end?"),
        (["What is the parking fee?"], "Who is the mayor?", "Who is the mayor?"),
        (["What is the parking fee?"], "Is there a canteen?", "Is there a canteen?"),
        (
            ["What is the parking fee?"],
            "Is there a deadline?",
            "Is there a deadline (parking fee)?",
        ),
    ],
)
def test_a_follow_up_is_put_in_words_that_stand_alone(
    earlier: list[str], question: str, meant: str
) -> None:
    assert rewritten(question, earlier) == meant


@pytest.mark.parametrize(
    ("question", "meant"),
    [
        ("and for \\1 staff?", "How many days does \\1 staff get in 2024?"),
        ("and in (2025)?", "How many days does a manager get in (2025)?"),
        ("and in(2025?", "How many days does a manager get in(2025?"),
    ],
)
def test_a_follow_up_may_hold_any_character(question: str, meant: str) -> None:
    assert rewritten(question, ["How many days does a manager get in 2024?"]) == meant


def test_follow_ups_that_are_led_by_a_question_are_not_led_by_each_other() -> None:
    conversations = Conversations()
    conversations.follow("a", "How many days of leave do officers get?")

    for kind in ("sick", "parental", "unpaid", "study", "jury", "moving", "garden", "shore"):
        asked = conversations.follow("a", f"and {kind}?")

        assert asked == f"How many days of leave do officers get? and {kind}?"


@pytest.fixture
def fees(shelf: Shelf, tmp_path: Path) -> Shelf:
    """A library of one document about dogs."""
    (tmp_path / "fees.md").write_text(
        "# Dog licences\n\nThe yearly fee for a dog licence is £12. "
        "Guide dogs need no licence.\n\nA dog licence lasts one year.\n"
    )
    shelf.ingest(tmp_path / "fees.md")
    return shelf


def test_one_sentence_that_answers_two_questions_is_quoted_once(fees: Shelf) -> None:
    answerer = Answerer(
        fees.library, None, judgement=judged_by(fees.embedder, JUDGE), passages=10, threshold=0.2
    )

    asked = "What is the fee for a dog licence? How much does a dog licence cost in a year?"
    answer = answerer.answer(Ask(asked))

    texts = [sentence.text for sentence in answer.sentences]
    assert "fee for a dog licence is £12" in texts[0]
    assert len(texts) == len(set(texts))


def test_each_of_several_questions_is_answered_on_its_own_evidence(fees: Shelf) -> None:
    answerer = Answerer(
        fees.library, None, judgement=judged_by(fees.embedder, JUDGE), passages=10, threshold=0.5
    )

    answer = answerer.answer(Ask("What is the fee for a dog licence, and how long does it last?"))

    quotes = [citation.quote for citation in answer.citations]
    assert "The yearly fee for a dog licence is £12." in quotes
    assert "A dog licence lasts one year." in quotes
    assert answer.unanswered == ()


@pytest.mark.parametrize("follow_up", ["bananas", "Why?", "Tell me more", "and a cat?"])
def test_what_a_follow_up_adds_is_not_answered_with_what_was_said_before(
    fees: Shelf, follow_up: str
) -> None:
    answerer = Answerer(
        fees.library, None, judgement=judged_by(fees.embedder, JUDGE), passages=10, threshold=0.5
    )
    before = "What is the yearly fee for a dog licence?"

    assert answerer.answer(Ask(before)).status is Status.QUOTED
    answer = answerer.answer(Ask(follow_up, earlier=(before,)))

    assert answer.status is Status.NOT_FOUND
    assert answer.hint is not None and "whole question" in answer.hint


def test_what_takes_up_what_a_follow_up_adds_is_quoted(fees: Shelf) -> None:
    answerer = Answerer(
        fees.library, None, judgement=judged_by(fees.embedder, JUDGE), passages=10, threshold=0.01
    )

    answer = answerer.answer(Ask("and guide dogs?", earlier=("Who needs a licence?",)))

    assert answer.citations[0].quote == "Guide dogs need no licence."


def test_what_the_documents_do_not_answer_of_several_questions_is_named(fees: Shelf) -> None:
    answerer = Answerer(
        fees.library, None, judgement=judged_by(fees.embedder, JUDGE), passages=10, threshold=0.5
    )

    answer = answerer.answer(
        Ask("What is the fee for a dog licence? Who won the 1998 World Cup in France?")
    )

    assert answer.status is Status.QUOTED
    assert answer.citations[0].quote == "The yearly fee for a dog licence is £12."
    assert answer.unanswered == ("Who won the 1998 World Cup in France?",)


def test_the_reader_is_told_what_was_searched_for_if_that_is_not_what_was_typed(
    fees: Shelf,
) -> None:
    answerer = Answerer(
        fees.library, None, judgement=judged_by(fees.embedder, JUDGE), passages=10, threshold=0.5
    )

    slipped = answerer.answer(Ask("What is the yearly fee for a dog lisence?"))
    plain = answerer.answer(Ask("What's the yearly fee for a dog licence?"))

    assert slipped.searched_for == "What is the yearly fee for a dog licence?"
    assert slipped.citations[0].quote == "The yearly fee for a dog licence is £12."
    assert plain.searched_for is None
