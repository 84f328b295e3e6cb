"""From a question to a checked answer, on the real library and the real model."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from answer import Answer, Answerer, Ask, Found, Said, Status
from answer.conversation import Conversations
from answer.engine import LlamaProcess
from answer.errors import ModelBusy
from answer.judge import judged_by
from answer.model import LanguageModel, Message, Piece
from answer.quoting import quotes
from answer.types import ModelCard, Usage, Waiting
from retrieval import Filters
from retrieval.sentences import sentence_spans
from tests.conftest import JUDGE, Shelf

QUESTIONS = (
    "Does inference train the model?",
    "What is the difference between inference and serving?",
    "How many days of annual leave does a part-time officer get?",
    "How soon must a lost laptop be reported?",
    "What is batch inference?",
    "What is the mileage rate for a car?",
)


class Parrot:
    """Stands in for models that write what no bundled model can be made to write."""

    card = ModelCard("parrot", "0")
    ready = True
    parameters: int | None = 1

    def __init__(self, text: str, *, by: str = r"\S+\s*", cut_short: bool = False) -> None:
        """`by` is what it writes at a time."""
        self._pieces = re.findall(by, text)
        self._cut_short = cut_short

    def write(self, messages: list[Message], *, max_tokens: int) -> Iterator[Piece]:
        yield from self._pieces
        yield Usage(len(messages), 0, max_tokens, cut_short=self._cut_short)

    def close(self) -> None:
        return


def answerer(
    shelf: Shelf,
    model: LanguageModel | None,
    threshold: float = 0.5,
) -> Answerer:
    judgement = judged_by(shelf.embedder, JUDGE)
    return Answerer(shelf.library, model, judgement=judgement, passages=10, threshold=threshold)


@pytest.fixture
def fees(shelf: Shelf, tmp_path: Path) -> Shelf:
    """A library of one document about dogs."""
    (tmp_path / "fees.md").write_text(
        "# Dog licences\n\nThe yearly fee for a dog licence is £12. "
        "Guide dogs need no licence.\n\nLicences are renewed at the town hall in Vale Street.\n"
    )
    shelf.ingest(tmp_path / "fees.md")
    return shelf


@pytest.mark.parametrize("question", QUESTIONS)
def test_whatever_is_published_stands_in_the_document_it_names(
    question: str,
    sample_shelf: Shelf,
    model: LlamaProcess,
) -> None:
    answer = answerer(sample_shelf, model, threshold=0.0).answer(Ask(question))

    assert answer.status in (Status.ANSWERED, Status.QUOTED)
    numbers = {c.number for c in answer.citations}
    for citation in answer.citations:
        text = sample_shelf.library.text(citation.document_id)
        assert text[citation.start : citation.stop] == citation.quote
    for sentence in answer.sentences:
        assert sentence.citations
        assert set(sentence.citations) <= numbers
    if answer.status is Status.QUOTED:
        quotes = [" ".join(c.quote.split()) for c in answer.citations]
        shown = [s.text[s.text.index('"') :].strip('"… ') for s in answer.sentences]
        assert all(text in quote for text, quote in zip(shown, quotes, strict=True))


def test_a_quote_from_another_document_is_led_by_that(fees: Shelf, tmp_path: Path) -> None:
    other = "The yearly fee for a dog licence is £15."
    (tmp_path / "other.md").write_text(f"---\ndate: 2026-01-01\n---\n\n# Prices\n\n{other}\n")
    fees.ingest(tmp_path / "other.md")

    answer = answerer(fees, None).answer(Ask("What is the yearly fee for a dog licence?"))

    texts = [sentence.text for sentence in answer.sentences[:2]]
    assert sorted(texts) == [
        'Dog licences: "The yearly fee for a dog licence is £12."',
        f'Prices (2026-01-01): "{other}"',
    ]


def test_without_a_model_the_evidence_is_quoted(fees: Shelf) -> None:
    answer = answerer(fees, None).answer(Ask("What is the fee for a dog licence?"))

    assert answer.status is Status.QUOTED
    assert answer.text.startswith('"The yearly fee for a dog licence is £12." [1]')
    assert answer.reason == "no model is set up"


def test_what_the_model_makes_up_is_withheld_and_the_evidence_quoted(fees: Shelf) -> None:
    liar = Parrot("The yearly fee for a dog licence is £99. It is paid to Anna Bell.")

    answer = answerer(fees, liar).answer(Ask("What is the fee for a dog licence?"))

    assert answer.status is Status.QUOTED
    assert answer.withheld[0].reason == "the number £99 is not in the cited words"
    assert "99" not in answer.text


def test_what_is_true_and_leaves_out_the_answer_is_withheld(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "curie.md").write_text(
        "# Marie Curie\n\nMarie Curie was born in 1867 in Warsaw. She died in 1934.\n"
    )
    shelf.ingest(tmp_path / "curie.md")
    model = Parrot("Marie Curie was born in 1867. Marie Curie was born in 1867 in Warsaw.")

    asked = "In which city was Marie Curie born?"
    answer = answerer(shelf, model, threshold=0.2).answer(Ask(asked))

    assert answer.text == "Marie Curie was born in 1867 in Warsaw. [1]"
    assert [w.reason for w in answer.withheld] == [
        "it leaves out the words that answer the question"
    ]


def test_a_sentence_that_the_model_was_cut_off_in_is_withheld_and_named(fees: Shelf) -> None:
    model = Parrot("The yearly fee for a dog licence is £12. Guide dogs need no", cut_short=True)

    answer = answerer(fees, model).answer(Ask("What is the fee for a dog licence?"))

    assert answer.status is Status.ANSWERED
    assert [(w.text, "cut off" in w.reason) for w in answer.withheld] == [
        ("Guide dogs need no", True)
    ]


def test_what_the_model_says_truly_is_published_with_its_citation(fees: Shelf) -> None:
    honest = Parrot("A dog licence is £12 yearly. The yearly fee for a dog licence is £12.")

    answer = answerer(fees, honest).answer(Ask("What is the fee for a dog licence?"))

    assert answer.status is Status.ANSWERED
    assert answer.citations[0].quote == "The yearly fee for a dog licence is £12."
    assert answer.text.endswith("The yearly fee for a dog licence is £12. [1]")


@pytest.mark.parametrize("by", [".", r"\S+\s*", r"\s?\S"])
def test_a_source_named_after_the_full_stop_is_of_the_sentence_before(fees: Shelf, by: str) -> None:
    short, long = "The yearly fee is £12.", "The yearly fee for a dog licence is £12."
    model = Parrot(f"{short} [1] {short} [1] {long} [1]", by=by)

    answer = answerer(fees, model).answer(Ask("What is the fee for a dog licence?"))

    assert [sentence.text for sentence in answer.sentences] == [short, long], "and none twice"
    assert answer.withheld == ()


def test_a_question_the_documents_do_not_answer_is_refused_before_the_model_is_asked(
    fees: Shelf,
) -> None:
    events = list(answerer(fees, Parrot("Brazil.")).stream(Ask("Who won the 1998 World Cup?")))

    (answer,) = events
    assert isinstance(answer, Answer)
    assert answer.status is Status.NOT_FOUND
    assert answer.text == ""
    assert answer.nearest
    assert answer.usage == Usage()


class Busy(Parrot):
    """Stands in for a model that others keep busy: it lets one wait, and then gives up."""

    def write(self, *_: object, **__: object) -> Iterator[Piece]:
        yield Waiting(2, 3.5)
        raise ModelBusy("As many as may wait for the model do already.")


def test_who_waits_for_the_model_is_told_and_quoted_to_if_it_stays_busy(fees: Shelf) -> None:
    found, waiting, *_, answer = answerer(fees, Busy("")).stream(Ask("dog licence fee"))

    assert isinstance(found, Found)
    assert waiting == Waiting(2, 3.5)
    assert isinstance(answer, Answer)
    assert answer.status is Status.QUOTED
    assert answer.reason == "As many as may wait for the model do already."
    assert answer.usage.sources == 0


def test_who_wants_no_quotes_is_turned_away_by_a_busy_model(fees: Shelf) -> None:
    with pytest.raises(ModelBusy, match="As many as may wait"):
        answerer(fees, Busy("")).answer(Ask("dog licence fee", insist=True))


def test_an_empty_library_refuses(shelf: Shelf) -> None:
    answer = answerer(shelf, None).answer(Ask("Is anybody there?"))

    assert (answer.status, answer.reason) == (Status.NOT_FOUND, "there are no documents yet")


def test_events_come_in_the_order_a_reader_needs_them(fees: Shelf) -> None:
    found, *said, answer = answerer(fees, None).stream(Ask("dog licence fee"))

    assert isinstance(found, Found)
    assert said
    assert all(isinstance(event, Said) for event in said)
    assert isinstance(answer, Answer)


def test_a_filter_that_leaves_nothing_refuses(fees: Shelf) -> None:
    ask = Ask("What is the fee for a dog licence?", Filters(folder="elsewhere"))
    answer = answerer(fees, None).answer(ask)

    assert answer.status is Status.NOT_FOUND
    assert answer.hint == "Choose a wider filter, or none."


@pytest.mark.parametrize(
    ("question", "hint"),
    [
        ("Who won the Xantippe cup?", "No document has “won” or “xantippe” or “cup”."),
        ("parrots", "No document has “parrots”."),
        ("licences", "Ask a whole question: what would you like to know about “licences”?"),
        ("Who signs the dog licence?", "No document has “signs”."),
        ("Doesn't the dog's fee rise?", "No document has “rise”."),
        ("what's the yearly fee for dog licnece", "Try the words that the documents use"),
        ("Is the dog licence fee 10000 or £1,200?", "Try the words that the documents use"),
        ("犬の登録料はいくらですか", "Try the words that the documents use"),
        ("Is the guide dogs town hall street renewed?", "Try the words that the documents use"),
    ],
)
def test_who_is_refused_is_told_how_to_ask_instead(question: str, hint: str, fees: Shelf) -> None:
    answer = answerer(fees, None, threshold=1.0).answer(Ask(question))

    assert answer.status is Status.NOT_FOUND
    assert answer.hint is not None
    assert answer.hint.startswith(hint)


def test_a_filter_that_leaves_documents_out_is_named(fees: Shelf, tmp_path: Path) -> None:
    (tmp_path / "cats.md").write_text("Cats need no licence at all, wherever they live.\n")
    fees.ingest(tmp_path / "cats.md")
    ask = Ask("dog licence fee", Filters(document_ids=(fees.library.documents()[0].id,)))
    answer = answerer(fees, None, threshold=1.0).answer(ask)

    assert answer.hint == "1 document is left out by the filter: try without it."


def test_a_superseded_document_does_not_come_first(sample_shelf: Shelf) -> None:
    question = "How many days of annual leave does a part-time officer get?"

    now = answerer(sample_shelf, None, threshold=0.0).answer(Ask(question))
    then = answerer(sample_shelf, None, threshold=0.0).answer(
        Ask(f"Under the 2023 policy: {question}")
    )

    assert "superseded" not in now.citations[0].path
    assert "superseded" in then.citations[0].path


def test_conversations_are_kept_apart_and_the_oldest_forgotten() -> None:
    conversations = Conversations(remembered=2)
    for name in ("a", "b", "c"):
        conversations.follow(name, f"How much leave has {name}?")

    assert conversations.follow("a", "And then?") == "And then?"
    assert conversations.follow("c", "And then?") == "How much leave has c? And then?"


@pytest.mark.parametrize(
    "text", ["One. Two!  Three?\n\nFour", "  ", "", "Dr. Vale met J. R. Smith. They left."]
)
def test_sentences_hold_every_character_but_white_space(text: str) -> None:
    spans = sentence_spans(text)

    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())


def test_a_sentence_that_leans_on_the_one_before_is_quoted_with_it(
    shelf: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "mill.md").write_text(
        "# Cafés\n\nThe Old Mill is a café in Vale Street. It opens at 7 am on weekdays. "
        "Dogs are welcome.\n"
    )
    shelf.ingest(tmp_path / "mill.md")

    answer = answerer(shelf, None).answer(Ask("When does the Old Mill open on weekdays?"))

    assert answer.citations[0].quote == (
        "The Old Mill is a café in Vale Street. It opens at 7 am on weekdays."
    )


def test_what_is_quoted_twice_is_quoted_once(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "mill.md").write_text("# Cafés\n\nThe Old Mill is a café. It opens at 7 am.\n")
    shelf.ingest(tmp_path / "mill.md")
    snapshot = shelf.library.snapshot()
    asked = snapshot.ask("What is the Old Mill?")
    found = judged_by(shelf.embedder, JUDGE).select(asked, snapshot.search(asked), 4)
    named, leaning = sorted(found, key=lambda evidence: evidence.start)

    first_named = [quote.shown for quote in quotes([named, leaning])]
    first_leaning = [quote.shown for quote in quotes([leaning, named])]

    assert first_named == ["The Old Mill is a café.", "It opens at 7 am."]
    assert first_leaning == ["The Old Mill is a café. It opens at 7 am."]


def test_a_refusal_points_out_no_answer(fees: Shelf) -> None:
    answer = answerer(fees, None, threshold=1.0).answer(Ask("What is the yearly fee?"))

    assert answer.status == Status.NOT_FOUND
    assert answer.nearest
    assert not any(cited.answer for cited in answer.nearest)


def test_a_sentence_that_the_judge_does_not_see_borne_out_is_withheld(fees: Shelf) -> None:
    class Sceptic:
        def supports(self, claims: Sequence[tuple[str, str]]) -> list[float]:
            return [0.1 for _ in claims]

    judgement = judged_by(fees.embedder, JUDGE)
    parrot = Parrot("The yearly fee for a dog licence is £12. [1]")
    sceptical = Answerer(
        fees.library, parrot, judgement=judgement, passages=10, threshold=0.0, support=Sceptic()
    )

    answer = sceptical.answer(Ask("What is the yearly fee for a dog licence?"))

    assert answer.status == Status.QUOTED
    assert answer.withheld[0].reason == "the cited words do not bear it out"
