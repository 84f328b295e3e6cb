"""What comes first, and what is said only once."""

from pathlib import Path

import pytest

from retrieval import Document, Filters, Hit, Passage
from retrieval import snapshot as searching
from retrieval.folding import with_neighbours
from tests.conftest import Shelf

PARKING = (
    "Residents may park in Vale Street with a permit. The permit costs £40 a year and is sold at"
    " the town hall on weekday mornings."
)


def put(shelf: Shelf, folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    shelf.ingest(*(folder / f"{name}.md" for name in texts))


def test_the_passage_with_the_sentence_that_answers_comes_before_one_about_the_subject(
    shelf: Shelf, tmp_path: Path
) -> None:
    about = (
        "# Dog licences\n\nDog licences are a very old kind of licence. A dog licence is about"
        " dogs. Many people have opinions on the dog licence, and the dog licence on people.\n"
    )
    answers = (
        "# Fees\n\nThe council publishes its fees each spring after the budget is set. The yearly"
        " fee for a dog licence is £12. Payment by cheque has ended.\n"
    )
    put(shelf, tmp_path, about=about, answers=answers)

    first, *_ = shelf.library.search("How much is the yearly fee for a dog licence?")

    assert first.document.path.endswith("answers.md")
    assert first.sentences.index(max(first.sentences)) == 1


def test_what_another_document_repeats_is_folded_into_the_better_hit(
    shelf: Shelf, tmp_path: Path
) -> None:
    put(shelf, tmp_path, one=f"# Parking\n\n{PARKING}\n", two=f"# Old leaflet\n\n{PARKING}\n")

    hits = shelf.library.search("What does a parking permit cost?")

    assert len(hits) == 1
    assert [Path(other.path).name for other in hits[0].also_in] == ["two.md"]


@pytest.mark.parametrize(
    ("said", "also"),
    [
        ("£40", "£55"),
        ("may", "must"),
        ("two", "three"),
        ("is sold", "is not sold"),
        ("12-A", "12-B"),
        ("weekday", "Sunday"),
        ("weeks", "months"),
        ("wardens", "cleaners"),
        ("costs", "cost"),
    ],
)
def test_documents_that_differ_in_what_matters_are_both_shown(
    said: str, also: str, shelf: Shelf, tmp_path: Path
) -> None:
    rest = (
        " A new one is sent by post within two weeks of the day on which Form 12-A came in, with a"
        " disc that is put behind the windscreen where the wardens of the council can read it."
    )
    one, other = PARKING + rest, (PARKING + rest).replace(said, also, 1)
    assert one != other
    put(shelf, tmp_path, one=f"# Parking\n\n{one}\n", two=f"# Parking\n\n{other}\n")

    hits = shelf.library.search("What does a parking permit cost?")

    assert len(hits) == 2
    assert not any(hit.also_in for hit in hits)


def test_of_copies_the_newest_is_shown(shelf: Shelf, tmp_path: Path) -> None:
    days = {"old": "2020-01-01", "new": "2026-01-01", "next": "2999-01-01"}
    copies = {name: f"---\ndate: {day}\n---\n\n# Fees\n\n{PARKING}\n" for name, day in days.items()}
    put(shelf, tmp_path, **copies)

    (hit,) = shelf.library.search("What does a parking permit cost?")

    assert Path(hit.document.path).name == "new.md"
    assert len(hit.also_in) == 2


def test_passages_that_follow_each_other_are_one_hit_with_the_text_between(
    shelf: Shelf, tmp_path: Path
) -> None:
    paragraphs = [
        f"Bees of kind {n} visit the apple orchard. " + f"They hum, rest and fly on {n}. " * 12
        for n in range(3)
    ]
    put(shelf, tmp_path, bees="# Bees\n\n" + "\n\n".join(paragraphs) + "\n")
    snapshot = shelf.library.snapshot()
    assert len(snapshot.search("bees in the apple orchard")) > 1

    (hit,) = shelf.library.search("bees in the apple orchard")

    text = shelf.library.text(hit.document.id)
    assert hit.passage.text == text[hit.passage.start : hit.passage.stop]
    assert len(hit.sentences) == len(hit.passage.sentences)
    assert "kind 0" in hit.passage.text
    assert "kind 2" in hit.passage.text


def test_a_passage_between_two_that_were_found_before_makes_them_one() -> None:
    text = "one two six"
    document = Document("d", "/d", "d", "D", "0", "text/plain", 1, 11, (), "none", "")

    def hit(number: int) -> Hit:
        span = (4 * number, 4 * number + 3)
        passage = Passage("d", None, (), *span, text[slice(*span)], (span,))
        return Hit(passage, document, 1.0, 1.0, (0.5,), (), number, number)

    hits = [hit(2), hit(0), hit(1)]
    (one,) = with_neighbours(hits, 3, lambda _, start, stop: text[start:stop])

    assert (one.passage.text, one.first, one.last) == (text, 0, 2)
    assert one.passage.sentences == ((0, 3), (4, 7), (8, 11))


def test_common_words_are_left_out_of_a_search_that_would_cost_too_much_and_still_count(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(
        shelf,
        tmp_path,
        **{f"d{n}": f"# Note {n}\n\nThe harbour has a crane.\n" for n in range(6)},
        rare="# Tide tables\n\nThe sluice opens at low water.\n",
        both="# Sluices\n\nThe sluice in the harbour opens at high water.\n",
    )
    monkeypatch.setattr(searching, "POSTINGS", 3)
    snapshot = shelf.library.snapshot()

    found = snapshot.wordy(snapshot.ask("sluice harbour"))
    hits = snapshot.search("When does the sluice in the harbour open?")

    assert len(found) == 2
    assert hits[0].document.path.endswith("both.md")


def test_a_document_can_be_left_out(shelf: Shelf, tmp_path: Path) -> None:
    put(shelf, tmp_path, one=f"# Parking\n\n{PARKING}\n", two="# Bins\n\nBins go out on Monday.\n")
    (parking,) = [d for d in shelf.library.documents() if d.title == "Parking"]

    hits = shelf.library.search("parking permit", filters=Filters(except_ids=(parking.id,)))

    assert [hit.document.title for hit in hits] == ["Bins"]
