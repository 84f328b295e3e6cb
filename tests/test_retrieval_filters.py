"""Filters: what they mean, that a search obeys them exactly, and that labels stay with a file."""

import io
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest import Job, Options, Report
from ingest.readers.eml import read as read_eml
from ingest.readers.html import read as read_html
from ingest.readers.markdown import read as read_markdown
from ingest.readers.rtf import read as read_rtf
from ingest.types import File
from retrieval import Document, Filters, Library, Passage, Relabel, Revision
from retrieval.doctor import Part
from retrieval.errors import LabelRefused
from retrieval.labels import LONGEST_LABEL, MOST_TAGS, Labels, tidy
from retrieval.store.schema import connect
from retrieval.types import UPLOAD, Change, Dated
from tests.stand_ins import InlineSandbox, WordEmbedder

DOCUMENTS = 200
WORDS = "fee form dog lift rule leave night day officer council permit bee moth park road".split()


def document(number: int) -> Document:
    return Document(
        id=f"d{number}",
        source=f"/docs/{number}",
        path=f"{'half' if number % 2 else 'rest'}/{number}.txt",
        title=f"Paper {number}",
        sha256=f"{number:064}",
        media_type="text/plain",
        size_bytes=1,
        characters=1,
        page_starts=(),
        reader="text/plain;v=2",
        added_at="2026-01-01T00:00:00+00:00",
        date=f"2026-01-{number % 28 + 1:02}",
        keywords=("rare",) if number % 100 == 0 else (),
    )


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """Two hundred documents of five passages, in three segments; one of them withdrawn."""
    library = Library(tmp_path_factory.mktemp("large") / "library", WordEmbedder())
    dice = np.random.default_rng(0)
    for part in np.array_split(np.arange(DOCUMENTS), 3):
        revisions = []
        for number in part.tolist():
            texts = [" ".join(dice.choice(WORDS, 9)) for _ in range(5)]
            spans = [(n * 100, n * 100 + len(text)) for n, text in enumerate(texts)]
            passages = [
                Passage(f"d{number}", None, (), *span, text, (span,))
                for span, text in zip(spans, texts, strict=True)
            ]
            revisions.append(Revision(document(number), "\n".join(texts), passages))
        embedded = [f"{r.document.title}\n{p.text}" for r in revisions for p in r.passages]
        said = [f"{r.document.title}: {p.text}" for r in revisions for p in r.passages]
        library.stage(revisions, WordEmbedder().embed(embedded), WordEmbedder().embed(said))
        library.publish(Change(added=[r.document.id for r in revisions]))
    library.withdraw(["d7"])
    yield library
    library.close()


FILTERS = {
    "1 document": Filters(document_ids=("d150",)),
    "a withdrawn document": Filters(document_ids=("d7",)),
    "1 %": Filters(tags=("Rare",)),
    "4 %": Filters(date_from="2026-01-05", date_to="2026-01-05"),
    "50 %": Filters(folder="half"),
    "100 %": Filters(media_types=("text/plain",)),
    "nothing": Filters(groups=("none",)),
}


@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
def test_a_filtered_search_is_exact(filters: Filters, large: Library) -> None:
    """Words that stand nowhere leave the ranking to the vectors: compare with all there are."""
    allowed = {d.id: d for d in large.documents() if filters.allow(d)}
    passages = [p for name in allowed for p in large._store.revision(name).passages]
    texts = [f"{allowed[p.document_id].title}\n{p.text}" for p in passages]

    for query in ("xylophone", "quince zither", "yak"):
        rows = WordEmbedder().embed([query, *texts])
        nearest = sorted((rows[1:] @ rows[0]).tolist(), reverse=True)[:20]
        snapshot = large.snapshot()
        found = snapshot.nearest(snapshot.ask(query), filters)
        assert list(found.values())[:20] == pytest.approx(nearest, abs=1e-5)
        hits = snapshot.search(query, limit=20, filters=filters)
        assert {h.document.id for h in hits} <= allowed.keys()
        assert len({h.first for h in hits}) == len(hits)


@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
def test_words_are_looked_for_in_what_is_allowed(filters: Filters, large: Library) -> None:
    allowed = {d.id for d in large.documents() if filters.allow(d)}
    words = ["bee", "moth"]
    everywhere = large._store.lexical(words, None, 10_000)
    inside = np.sort(large._store.passage_ids(sorted(allowed)))

    found = large._store.lexical(words, inside, 30)

    expected = [one for one in everywhere if one[0] in inside.tolist()]
    assert found == expected[:30]
    hits = large.search("bee moth", limit=50, filters=filters)
    assert {h.document.id for h in hits} <= allowed
    assert bool(hits) == bool(allowed)


def test_what_an_ingest_has_staged_is_not_found_before_it_is_published(tmp_path: Path) -> None:
    library = Library(tmp_path / "library", WordEmbedder())
    for number, text in enumerate(("the dog fee is ten", "the dog fee is twelve"), start=1):
        passage = Passage(f"d{number}", None, (), 0, len(text), text, ((0, len(text)),))
        vectors = WordEmbedder().embed([text])
        library.stage([Revision(document(number), text, [passage])], vectors, vectors)
        if number == 1:
            library.publish(Change(added=["d1"]))
            library.search("dog fee")

    assert [hit.document.id for hit in library.search("dog fee")] == ["d1"]
    library.publish(Change(added=["d2"]))
    assert {hit.document.id for hit in library.search("dog fee")} == {"d1", "d2"}
    library.close()


def paper(**fields: Any) -> Document:
    return replace(document(1), **fields)


@pytest.mark.parametrize(
    ("filters", "fields", "allows"),
    [
        (Filters(), {}, True),
        (Filters(folder="a/b"), {"path": "a/b/c.txt"}, True),
        (Filters(folder="a/b/"), {"path": "a/b/c.txt"}, True),
        (Filters(folder="a/b"), {"path": "a/bc.txt"}, False),
        (Filters(folder="."), {"path": "a/b.txt"}, True),
        (Filters(folder="./a/"), {"path": "a/b.txt"}, True),
        (Filters(folder="/home/me/a"), {"path": "b.txt", "source": "/home/me/a/b.txt"}, True),
        (Filters(folder="/home/me/a"), {"path": "b.txt", "source": "/home/me/ab/b.txt"}, False),
        (Filters(date_from="2026-03-01"), {"date": "2026-03-01"}, True),
        (Filters(date_from="2026-03-01"), {"date": "2026-02-28"}, False),
        (Filters(date_to="2026-03-01"), {"date": "2026-03-01"}, True),
        (Filters(date_to="2026-03-01"), {"date": "2026-03-02"}, False),
        (Filters(date_to="2026-03-01"), {"date": ""}, False),
        (Filters(tags=("a", "b")), {"tags": ("c", "B")}, True),
        (Filters(tags=("a", "b")), {"tags": ()}, False),
        (Filters(groups=("hr",)), {"group": "HR"}, True),
        (Filters(groups=("hr",)), {"group": ""}, False),
        (Filters(groups=("HR",), tags=("x",)), {"group": "HR", "tags": ("y",)}, False),
    ],
)
def test_what_a_filter_lets_through(filters: Filters, fields: dict[str, Any], allows: bool) -> None:
    assert filters.allow(paper(**fields)) is allows


# Labels


def test_labels_are_limited_whatever_a_file_says() -> None:
    said = ["  two\n words ", "Two Words", "", "\x00", "x" * (LONGEST_LABEL + 1), "\u202edrow"]

    assert tidy(said) == ("two words", "drow")
    assert len(tidy(str(n) for n in range(1000))) == MOST_TAGS
    for bad in ("", " ", "x" * (LONGEST_LABEL + 1), "a,b"):
        with pytest.raises(LabelRefused):
            Relabel(add=(bad,))
    with pytest.raises(LabelRefused, match="both"):
        Relabel(add=("a",), remove=("A",))
    with pytest.raises(LabelRefused, match="may have"):
        Relabel(add=tuple(map(str, range(MOST_TAGS + 1)))).of(Labels())


def test_a_tag_of_the_file_can_be_taken_away_and_put_back() -> None:
    without = Relabel(add=("mine",), remove=("Theirs",)).of(Labels())

    assert without.tags_with(("theirs", "other")) == ("mine", "other")
    assert Relabel(add=("THEIRS",)).of(without).tags_with(("theirs",)) == ("mine", "THEIRS")


class Desk:
    """A library, a folder, and what is done with them."""

    def __init__(self, folder: Path) -> None:
        self.docs = folder / "docs"
        self.docs.mkdir()
        self.library = Library(folder / "library", WordEmbedder())
        self._job = Job(self.library, WordEmbedder(), [InlineSandbox()], chunk_tokens=40)

    def write(self, name: str, text: str) -> Path:
        file = self.docs / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return file

    def ingest(self, relabel: Relabel | None = None, *, prune: bool = True) -> Report:
        options = Options(prune=prune, relabel=relabel or Relabel())
        return self._job.run([self.docs], lambda _: None, options)

    def __getitem__(self, path: str) -> Document:
        return next(d for d in self.library.documents() if d.path == path)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.library.close()


LEAVE = "---\ntitle: Leave\ndate: 2024-05-01\ntags: [policy, Staff]\n---\nLeave is 28 days.\n"


def test_a_document_has_the_date_and_tags_its_file_states(desk: Desk) -> None:
    desk.write("leave.md", LEAVE)
    desk.ingest()

    leave = desk["leave.md"]
    assert (leave.date, leave.dated) == ("2024-05-01", Dated.DOCUMENT)
    assert leave.tags == ("policy", "Staff")
    assert leave.group == ""


def test_else_it_has_the_date_of_its_file_and_else_the_day_it_was_added(desk: Desk) -> None:
    then = datetime(2019, 3, 4, 12, tzinfo=UTC).timestamp()
    os.utime(desk.write("lift.txt", "The lift is old."), (then, then))
    desk.library.receive("upload.txt", io.BytesIO(b"An upload."))
    desk.ingest()

    assert (desk["lift.txt"].date, desk["lift.txt"].dated) == ("2019-03-04", Dated.FILE)
    uploaded = desk["upload.txt"]
    assert (uploaded.date, uploaded.dated) == (uploaded.added_at[:10], Dated.ADDED)


def test_labels_show_at_once_and_are_searched_by(desk: Desk) -> None:
    desk.write("leave.md", LEAVE)
    desk.write("lift.txt", "The lift is old.")
    desk.ingest()
    assert not desk.library.search("lift", filters=Filters(groups=("Estates",)))

    generation = desk.library.relabel([desk["lift.txt"].id], Relabel(group="Estates", add=("x",)))

    hits = desk.library.search("leave", filters=Filters(groups=("estates",)))
    assert {hit.document.path for hit in hits} == {"lift.txt"}
    assert {h.document.path for h in desk.library.search("x", filters=Filters(tags=("X", "y")))}
    assert desk.library.generation == generation == 2
    assert desk.library.relabel([desk["lift.txt"].id], Relabel(group="Estates")) == 2


def test_labels_stay_with_a_file_whatever_becomes_of_it(desk: Desk) -> None:
    desk.write("leave.md", LEAVE)
    desk.ingest(Relabel(add=("mine",), remove=("staff",), group="HR"))
    first = desk["leave.md"].id

    def labels(path: str = "leave.md") -> tuple[tuple[str, ...], str]:
        return desk[path].tags, desk[path].group

    assert labels() == (("mine", "policy"), "HR")
    desk.write("leave.md", LEAVE.replace("28", "29").replace("policy", "rules"))
    desk.ingest()
    assert labels() == (("mine", "rules"), "HR")
    desk.library.rollback()
    assert desk["leave.md"].id == first
    assert labels() == (("mine", "policy"), "HR")
    desk.library.withdraw([first])
    desk.library.restore([first])
    assert labels() == (("mine", "policy"), "HR")
    desk.ingest()
    (desk.docs / "leave.md").rename(desk.docs / "holidays.md")
    desk.ingest()
    assert labels("holidays.md") == (("mine", "rules"), "HR")
    assert not desk.library.labels().keys() & {str(desk.docs / "leave.md")}


def test_labels_go_along_when_a_renamed_file_is_read_again(desk: Desk) -> None:
    """Its title is the file's name, so the document is another."""
    file = desk.write("lift.txt", "The lift is old.")
    desk.ingest(Relabel(group="Estates"))
    file.rename(desk.docs / "elevator.txt")
    desk.ingest()

    assert [d.group for d in desk.library.documents()] == ["Estates"]
    assert desk["elevator.txt"].title == "elevator"


def test_an_ingest_labels_the_files_it_finds_once(desk: Desk) -> None:
    desk.write("lift.txt", "The lift is old.")
    desk.library.receive("upload.txt", io.BytesIO(b"An upload."), Relabel(add=("sent",)))
    change = Relabel(add=("handbook",))
    first = desk.ingest(change).generation

    assert desk.ingest(change).generation == first
    assert desk["lift.txt"].tags == ("handbook",)
    assert desk["upload.txt"].tags == ("sent",)
    desk.write("new.txt", "New.")
    desk.ingest(change)
    assert desk["new.txt"].tags == ("handbook",)


def test_going_back_steps_over_changes_of_labels(desk: Desk) -> None:
    desk.write("lift.txt", "The lift is old.")
    desk.ingest()
    desk.write("lift.txt", "The lift is new.")
    desk.ingest()
    desk.library.relabel([desk["lift.txt"].id], Relabel(group="Estates"))

    assert desk.library.rollback() == 1
    assert "old" in desk.library.text(desk["lift.txt"].id)
    assert desk["lift.txt"].group == "Estates"


def test_erasing_leaves_no_tag_of_the_file(desk: Desk) -> None:
    desk.write("leave.md", LEAVE)
    desk.ingest()
    name = desk["leave.md"].id

    desk.library.withdraw([name], erase=True)

    assert desk.library.document(name).tags == ()
    assert not list(desk.library.doctor().examine())


def test_changed_dates_and_labels_are_noticed(desk: Desk) -> None:
    desk.write("leave.md", LEAVE)
    desk.write("lift.txt", "The lift is old.")
    desk.ingest(Relabel(group="HR"))
    assert not list(desk.library.doctor().examine())

    db = connect(desk.library.home / "library.sqlite3")
    db.execute("UPDATE label SET \"group\" = 'IT' WHERE file LIKE '%leave.md'")
    db.execute("UPDATE document SET date = '2020-01-01' WHERE path = 'lift.txt'")
    db.close()

    found = list(desk.library.doctor().examine())
    assert [damage.part for damage in found] == [Part.LABELS, Part.DOCUMENT]
    assert desk.library.doctor().repair(found[0])
    assert desk["leave.md"].group == ""
    assert UPLOAD not in found[0].name


# What files say of themselves


def said_by_markdown(front: str) -> tuple[str, tuple[str, ...]]:
    extract = read_markdown(File("a.md", f"---\n{front}\n---\n\nText.\n".encode()))
    return extract.date, extract.tags


@pytest.mark.parametrize(
    ("front", "date", "tags"),
    [
        ("date: 2024-05-01", "2024-05-01", ()),
        ('date: "2024-05-01T23:30:00-05:00"', "2024-05-01", ()),
        ("lastmod: 2024-05-01 10:00", "2024-05-01", ()),
        ("date: yesterday", "", ()),
        ("date: 2024-13-01", "", ()),
        ("date: 2024-05", "", ()),
        ("tags: a, b c", "", ("a", "b c")),
        ("tags: [a, 'b', \"c\"]\nkeywords: d", "", ("a", "b", "c", "d")),
        ("tags:\n  - a\n  - b\ntitle: x", "", ("a", "b")),
        ("tags:\n- a\n- 'b'", "", ("a", "b")),
        ("tags:\ntitle: x", "", ()),
        ("tags: []", "", ()),
    ],
)
def test_front_matter(front: str, date: str, tags: tuple[str, ...]) -> None:
    assert said_by_markdown(front) == (date, tags)


def test_what_a_web_page_states() -> None:
    page = (
        "<head><meta name='keywords' content='bees, moths'>"
        "<meta property='article:published_time' content='2023-01-02T03:04:05Z'>"
        "<meta name='DCTERMS.modified' content='2024-06-07'></head><p>Text.</p>"
    )
    extract = read_html(File("a.html", page.encode()))

    assert (extract.date, extract.tags) == ("2024-06-07", ("bees", "moths"))


def test_a_message_is_of_the_day_it_was_sent_on() -> None:
    message = "From: a@b.c\nSubject: Hi\nDate: Tue, 05 Mar 2024 23:59:00 -0500\n\nHello.\n"

    assert read_eml(File("a.eml", message.encode())).date == "2024-03-05"


def test_what_rich_text_states() -> None:
    info = r"{\info{\keywords bees; moths}{\creatim\yr2020\mo1\dy2}{\revtim\yr2021\mo11\dy3\hr4}}"
    extract = read_rtf(File("a.rtf", rf"{{\rtf1\ansi{info} Text.\par}}".encode()))

    assert (extract.date, extract.tags) == ("2021-11-03", ("bees", "moths"))
