"""Questions as people type them, in the words of a real library."""

from pathlib import Path

import pytest

from retrieval import SentenceTransformerEmbedder
from retrieval.query import Correction, Query
from retrieval.ranking import asked_stems
from retrieval.vocabulary import definitions
from retrieval.words import content_words, indexed, stem, words
from tests.conftest import Shelf

TEXT = """# Staff handbook

Annual leave is granted by the head of office. A part-time officer gets 20 days of annual leave.

Personal Protective Equipment (PPE) is worn in the workshop. The PPE is kept in a locker.

Claims are made on Form 12-B by 3 March 2026. The most that is paid is £1,200.

The government sets the mileage rate. A level crossing has a level surface, on this level.
"""


@pytest.fixture
def handbook(shelf: Shelf, tmp_path: Path) -> Shelf:
    """A library of one document about the rules of an office."""
    (tmp_path / "handbook.md").write_text(TEXT)
    shelf.ingest(tmp_path / "handbook.md")
    return shelf


def understood(shelf: Shelf, question: str) -> Query:
    return shelf.library.snapshot().understand(question)


def test_a_slip_becomes_the_word_that_stands_beside_its_neighbour(handbook: Shelf) -> None:
    query = understood(handbook, "how much anual leve?")

    assert query.text == "how much annual leave?"
    assert query.corrections == (Correction("anual", "annual"), Correction("leve", "leave"))
    assert query.text in query.embedded
    assert {"annual", "leave"} <= set(query.lookups)


def test_two_words_typed_as_one_are_parted(handbook: Shelf) -> None:
    assert understood(handbook, "partime officer").text == "part time officer"


@pytest.mark.parametrize(
    "question", ["Who chairs the parliament?", "Form 12C", "XQZT", "the lef", "Who is Zelensky?"]
)
def test_words_numbers_and_names_that_are_no_slips_are_left_alone(
    question: str, handbook: Shelf
) -> None:
    query = understood(handbook, question)

    assert (query.text, query.corrections) == (question, ())


def test_a_short_form_is_looked_up_with_what_the_documents_say_it_means(handbook: Shelf) -> None:
    query = understood(handbook, "Where is the PPE kept?")

    assert "personal protective equipment" in query.lookups
    assert query.text == "Where is the PPE kept?"
    assert "Personal Protective Equipment (PPE)" in query.embedded


@pytest.mark.parametrize("question", ["what ppe do i need", "WHAT PPE DO I NEED"])
def test_a_short_form_is_known_in_a_question_that_has_no_capitals_to_tell_it_by(
    question: str, handbook: Shelf
) -> None:
    assert "personal protective equipment" in understood(handbook, question).lookups


def test_a_word_made_of_one_that_stands_there_is_no_slip(handbook: Shelf) -> None:
    assert understood(handbook, "and for part-timers?").corrections == ()


def test_neither_months_nor_what_is_said_in_greeting_is_called_unknown(handbook: Shelf) -> None:
    said = understood(handbook, "hi, im asking if leave is paid 3 Mar pls").text

    assert handbook.library.snapshot().unknown(said) == ["asking"]


def test_a_short_form_inside_a_longer_word_is_left_as_it_is(handbook: Shelf) -> None:
    query = understood(handbook, "Is the XPPEX beside the PPE?")

    assert query.embedded == "Is the XPPEX beside the Personal Protective Equipment (PPE)?"


def test_no_word_is_mended_with_one_that_stands_only_in_what_was_withdrawn(
    handbook: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "secret.md").write_text("# Plans\n\nProject Zonquark is not for everyone.\n")
    handbook.ingest(tmp_path / "secret.md")
    assert understood(handbook, "what is zonquarck").text == "what is zonquark"
    (secret,) = [d for d in handbook.library.documents() if d.title == "Plans"]

    handbook.library.withdraw([secret.id])

    assert understood(handbook, "what is zonquarck").text == "what is zonquarck"
    assert understood(handbook, "what is projectzonquark").text == "what is projectzonquark"
    assert handbook.library.snapshot().unknown("what is zonquark") == ["zonquark"]


def test_a_run_of_letters_that_is_no_word_costs_no_search_for_one(
    handbook: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def near(word: str) -> list[tuple[str, int]]:
        looked.append(word)
        return []

    monkeypatch.setattr(handbook.library.snapshot()._vocabulary, "near", near)

    understood(handbook, "dogtrainxs" * 200 + " leeve")

    assert looked == ["leeve"]


@pytest.mark.parametrize(
    "question",
    [
        *("", "a", "who is the", "?", "\u200b", "🦄", "leave\x00", "1 ſep 2020", "9" * 5000),
        *('"leave" OR fee*', "NEAR(leave, 2)", "text: leave", "-leave ^leave", "leave'", '"'),
        *("leave " * 400, "x" * 2000, "HR IT PPE " * 200),
    ],
    ids=lambda question: ascii(question)[:20],
)
def test_whatever_is_typed_is_searched_for(question: str, handbook: Shelf) -> None:
    assert handbook.library.search(question) or question.strip()


def test_a_name_is_looked_up_with_its_short_form(handbook: Shelf) -> None:
    assert "ppe" in understood(handbook, "Who wears personal protective equipment?").lookups


@pytest.mark.parametrize(
    ("question", "phrase"),
    [
        ("form 12b", "12 b"),
        ("Form 12-B", "12b"),
        ("form 12 b", "12b"),
        ("ISO 27001", "iso27001"),
        ("the 3rd of May", "3"),
        ("the IT policy", "it"),
        ("limit of 1200", "1 200"),
        ("limit of 1,200", "1200"),
        ("two days", "2"),
        ("the 1st day", "first"),
        ("due 03/03/2026", "3 march 2026"),
        ("due 2026-03-03", "march 3 2026"),
        ("due March 3rd, 2026", "2026 03 03"),
        ("due 03-03-2026", "3 march 2026"),
        ("due 3/3/26", "3 march 2026"),
        ("due Sept 3, 2026", "03 september 2026"),
        ("on 3 Mar", "3 march"),
        ("over £75k", "75 000"),
        ("fourteen days", "14"),
    ],
)
def test_numbers_dates_and_identifiers_are_looked_up_however_they_are_written(
    question: str, phrase: str, handbook: Shelf
) -> None:
    assert phrase in understood(handbook, question).lookups


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("why cant officers claim", "why cannot officers claim"),
        ("it wont open", "it will not open"),
        ("shouldnt officers claim", "should not officers claim"),
        ("Dont officers claim", "Do not officers claim"),
    ],
)
def test_a_denial_without_its_apostrophe_is_one(typed: str, meant: str, handbook: Shelf) -> None:
    assert understood(handbook, typed).text == meant


def test_what_is_left_of_a_possessive_weighs_nothing() -> None:
    assert asked_stems("What is the company's refund policy?") == ["compani", "refund", "polici"]
    assert asked_stems("Is there an OS by 5 pm?") == ["os", "5", "pm"]


@pytest.mark.parametrize("question", ["when's it due", "whens it due", "When’s it due"])
def test_short_forms_of_speech_are_spelt_out(question: str, handbook: Shelf) -> None:
    assert understood(handbook, question).text.lower() == "when is it due"


def test_a_definition_is_found_on_either_side_of_its_short_form() -> None:
    text = "Wear Personal Protective Equipment (PPE). An SLA (service level agreement) is signed."

    assert definitions("PPE", text) == ["Personal Protective Equipment"]
    assert definitions("SLA", text) == ["service level agreement"]
    assert definitions("XYZ", "Something else (XYZ)") == []


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("图书馆星期一关闭。", "图书馆什么时候关闭？"),
        ("ห้องสมุดปิดวันจันทร์", "ห้องสมุดปิดวันไหน"),
        ("Η βιβλιοθήκη κλείνει τη Δευτέρα.", "Πότε κλείνει η βιβλιοθήκη;"),
        ("Библиотеки закрыты в понедельник.", "Когда закрыта библиотека?"),
        ("पुस्तकालय सोमवार को बंद रहता है।", "पुस्तकालय कब बंद होता है?"),
        ("المكتبة مغلقة يوم الاثنين.", "متى تغلق المكتبة؟"),
        ("도서관은 월요일에 닫습니다.", "도서관 월요일"),
    ],
)
def test_documents_in_other_scripts_are_found_by_their_words(
    text: str, question: str, handbook: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "other.txt").write_text(text, encoding="utf-8")
    handbook.ingest(tmp_path / "other.txt")

    best = handbook.library.search(question)[0]

    assert best.document.path.endswith("other.txt")
    assert set(map(stem, content_words(question))) & set(map(stem, words(text)))


def test_text_in_latin_letters_is_indexed_as_it_is() -> None:
    assert indexed("Café “Größe” – 12 µm") == "Café “Größe” – 12 µm"


def test_the_index_of_words_is_whole_with_documents_in_other_scripts(
    handbook: Shelf, tmp_path: Path, embedder: SentenceTransformerEmbedder
) -> None:
    del embedder
    (tmp_path / "other.txt").write_text("图书馆 Библиотеки α", encoding="utf-8")
    handbook.ingest(tmp_path / "other.txt")
    from retrieval.store import Store

    store = Store(handbook.home / "library.sqlite3")

    assert store.index_is_whole()
    store.rebuild_index()
    assert store.index_is_whole()
    store.close()
