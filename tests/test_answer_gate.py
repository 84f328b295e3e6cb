"""The gate: what the cited words do not say is not published."""

import pytest

from answer.gate import Verdict, check
from answer.types import Evidence
from answer.values import dates_alike, names_in, neighbours
from retrieval import Document, Hit, Passage


def evidence(text: str, title: str = "Leave policy") -> Evidence:
    document = Document("d", "/d", "d.md", title, "", "text/markdown", 1, 1, (), "", "")
    passage = Passage("d", None, ("Annual leave",), 0, len(text), text)
    hit = Hit(passage, document, score=1.0, similarity=1.0)
    return Evidence(hit, 0, len(text), text, probability=0.9)


def judge(written: str, *quotes: str, question: str = "What does the policy say?") -> Verdict:
    return check(written, [evidence(quote) for quote in quotes], question)


def test_a_sentence_the_evidence_says_passes() -> None:
    verdict = judge("Officers get 28 days.", "Full-time officers get 28 days of annual leave.")

    assert verdict.reason is None
    assert verdict.support == 1.0


def test_a_sentence_rests_on_the_evidence_that_supports_it_best() -> None:
    verdict = judge("Dogs cost £12.", "Cats are free.", "The yearly fee for dogs: dogs cost £12.")

    assert (verdict.reason, verdict.evidence) == (None, 1)


def test_a_marker_says_which_evidence_is_meant_and_is_not_shown() -> None:
    verdict = judge("Dogs cost £12 [1].", "Cats are free.", "Dogs cost £12.")

    assert verdict.text == "Dogs cost £12."
    assert verdict.evidence == 0
    assert verdict.reason == "the number £12 is not in the cited words"


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("Officers get 30 days of annual leave.", "the number 30"),
        ("Officers get 28% of annual leave.", "the number 28%"),
        ("Officers get annual leave from Merrow Vale.", "the name Merrow Vale"),
        ("Officers do not get 28 days of annual leave.", "denies"),
        ("The moon is made of old cheese and dust.", "do not say it"),
        ("What does the policy say?", "no more than the question"),
    ],
)
def test_what_the_evidence_does_not_say_is_withheld(written: str, reason: str) -> None:
    verdict = judge(written, "Full-time officers get 28 days of annual leave.")

    assert verdict.reason is not None
    assert reason in verdict.reason


def test_a_number_must_belong_to_the_same_words() -> None:
    verdict = judge(
        "A full-time officer gets 31 days of annual leave.",
        "The leave year of a full-time officer runs from 1 April to 31 March.",
        question="How many days of annual leave does a full-time officer get?",
    )

    assert verdict.reason == "the number 31 belongs to something else in the cited words"


@pytest.mark.parametrize("date", ["3 March 2026", "March 3rd, 2026", "2026-03-03", "03/03/2026"])
def test_a_date_may_be_written_another_way(date: str) -> None:
    quote = f"The council met on {date} and closed the library."

    assert (
        judge("The library closed on 3 March 2026.", quote, question="When did it close?").reason
        is None
    )
    assert (
        judge("The library closed on 3 Mar 2026.", quote, question="When did it close?").reason
        is None
    )
    assert (
        judge("The library closed on 03/03.", quote, question="When did it close?").reason is None
    )


@pytest.mark.parametrize("date", ["4 March 2026", "3 May 2026", "3 March 2025", "05/03/2026"])
def test_another_date_is_withheld(date: str) -> None:
    quote = "The council met on 3 March 2026 and closed the library."

    assert (
        judge(f"The library closed on {date}.", quote, question="When did it close?").reason
        is not None
    )


def test_what_is_no_date_is_left_alone() -> None:
    for text in ("Rule 33/40 holds.", "Call 12/2026-7.", "You may 3 times.", "He got 7.5.2 marks."):
        assert dates_alike(text) == text


def test_a_row_about_something_else_does_not_answer() -> None:
    verdict = judge(
        "The bicycle rate is 24p.", "Motorcycle 24p", question="What is the bicycle rate?"
    )

    assert verdict.reason == "the cited words do not say it"


def test_an_echo_or_a_list_number_is_no_answer() -> None:
    quote = "1. Retrieval stops the model from guessing."

    echo = judge("Question: Does retrieval stop the model?", quote, question="Does retrieval help?")
    number = judge("1.", quote)

    assert echo.reason == number.reason == "it says no more than the question"


def test_a_condition_may_not_be_dropped() -> None:
    quote = "A part-time officer who works three days a week gets 16.8 days of annual leave."

    dropped = judge("A part-time officer gets 16.8 days of annual leave.", quote)
    kept = judge("An officer who works three days a week gets 16.8 days of annual leave.", quote)

    assert dropped.reason == "it leaves out a condition: “who works three days a week”"
    assert kept.reason is None


def test_a_clause_after_a_comma_only_adds_and_may_be_dropped() -> None:
    quote = "Gutenberg, who was a goldsmith, built the press in Mainz."

    assert judge("Gutenberg built the press in Mainz.", quote).reason is None


def test_no_may_open_an_answer_to_a_yes_or_no_question() -> None:
    quote = "Inference does not train the model: the weights stay as they are."

    verdict = judge(
        "No, inference does not train the model.", quote, question="Does inference train a model?"
    )

    assert verdict.reason in (None, "it says no more than the question")


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("1,200", "1200", True),
        ("three days", "3 days", True),
        ("15 per cent", "15%", True),
        ("15%", "15", False),
        ("16.80", "16.8", True),
        ("Form 12-B", "Form 12-C", True),
        ("2026", "2025", False),
        ("1.5", "15", False),
    ],
)
def test_numbers_are_compared_by_value(a: str, b: str, same: bool) -> None:
    assert (set(neighbours(a)) == set(neighbours(b))) is same


def test_names_are_capitalised_words_but_for_the_first_of_a_sentence() -> None:
    assert names_in("Officers of Merrow Vale met. They chose Anna.") == ["Merrow Vale", "Anna"]


@pytest.mark.parametrize(
    ("written", "quote"),
    [
        ("Claims must be filed before 30 June.", "Claims must be filed after 30 June."),
        ("Officers need more than 5 years.", "Officers need less than 5 years."),
        ("Leave may not be carried over.", "Leave may be carried over."),
        ("It costs $40.", "It costs £40."),
        ("It costs £5 in total.", "It costs £5 million in total."),
        ("Officers with sick leave may ask.", "Officers with annual leave may ask."),
    ],
)
def test_a_sentence_that_turns_the_evidence_around_is_withheld(written: str, quote: str) -> None:
    assert judge(written, quote).reason is not None
    assert judge(quote, quote).reason is None


def test_a_yes_or_no_of_the_models_own_is_not_published() -> None:
    verdict = judge("No, officers may carry over five days.", "Officers may carry over five days.")

    assert (verdict.text, verdict.reason) == ("Officers may carry over five days.", None)
