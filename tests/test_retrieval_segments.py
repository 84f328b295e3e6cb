"""Segments: files that stay on disk, and finding the nearest of what they hold."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval import nearest, segments
from retrieval.errors import LibraryUnreadable
from retrieval.rows import Ids, Rows, Selection
from retrieval.segments import Segment, Segments, merged, write_segment
from retrieval.types import SegmentRecord, Vectors

SIZE = 3000
DIMENSIONS = 48
TOPICS = 30


@pytest.fixture(autouse=True, params=["codes", "lists"])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments get codes, or lists, at a size that is made in a moment."""
    monkeypatch.setattr(nearest, "EXACT_UP_TO", 300)
    monkeypatch.setattr(nearest, "CODES_UP_TO", 300 if request.param == "lists" else 10_000)


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    """Rows around topics, one topic after the other, as documents come."""
    dice = np.random.default_rng(0)
    topics = unit(dice.standard_normal((TOPICS, DIMENSIONS), np.float32))
    return nearest.questions_near(np.repeat(topics, SIZE // TOPICS, axis=0), dice, 1.0)


@pytest.fixture(scope="module")
def questions(vectors: Vectors) -> Vectors:
    dice = np.random.default_rng(1)
    return nearest.questions_near(vectors[dice.choice(SIZE, 100)], dice, 1.5)


def unit(rows: Vectors) -> Vectors:
    found: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


def numbered(count: int, first: int = 1) -> Ids:
    return np.arange(first, first + count, dtype=np.int64)


def written(folder: Path, vectors: Vectors, first: int = 1) -> SegmentRecord:
    """Write a segment of passages that have none, one or two sentences, in turn."""
    counts = [number % 3 for number in range(len(vectors))]
    sentences = np.repeat(vectors, counts, axis=0)
    rows = Rows.of(numbered(len(vectors), first), vectors, counts, sentences)
    return write_segment(folder, [Selection.all_of(rows)])


@pytest.mark.parametrize("left_out", [(), (7,), (0, 1, 2, 900), tuple(range(0, 1000, 3))], ids=str)
def test_the_nearest_of_some_rows_are_the_same_however_those_lie(
    vectors: Vectors, questions: Vectors, left_out: tuple[int, ...]
) -> None:
    among = np.setdiff1d(np.arange(1000), left_out)
    for question in questions[:10]:
        scores, positions = nearest.exact(vectors, question[None], 10, among)

        true = among[np.argsort(-(vectors[among] @ question), kind="stable")[:10]]
        assert positions.tolist() == true.tolist()
        assert np.allclose(scores, vectors[true] @ question, atol=1e-6)


def recall(found: Segments, asked: Vectors, vectors: Vectors, allowed: Ids | None = None) -> float:
    """Return how many of the ten nearest, of all or of those allowed, a search finds."""
    ids = numbered(len(vectors)) if allowed is None else np.sort(allowed)
    hits = 0
    for question in asked:
        true = ids[np.argsort(-(vectors[ids - 1] @ question))[:10]]
        hits += len({i for i, _ in found.search(question[None], 10, allowed)} & set(true.tolist()))
    return hits / (10 * len(asked))


def test_a_search_finds_nearly_all_that_is_nearest(
    tmp_path: Path, vectors: Vectors, questions: Vectors
) -> None:
    record = written(tmp_path, vectors)
    tuning = Segment(tmp_path, record).tuning

    assert tuning is not None
    assert tuning.probes < int(2 * SIZE**0.5), "all lists are read"
    assert tuning.recall >= nearest.RECALL
    assert recall(Segments(tmp_path, [record]), questions, vectors) > 0.99


def test_an_index_that_finds_too_little_is_left_out(
    tmp_path: Path, vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = nearest.build

    def blurred(read: nearest.Read, count: int) -> tuple[Any, nearest.Tuning]:
        index, tuning = build(read, count)
        return index, nearest.Tuning(tuning.probes, 0.9)

    monkeypatch.setattr(nearest, "build", blurred)
    record = written(tmp_path, vectors)

    assert Segment(tmp_path, record).tuning is None
    assert Segments(tmp_path, [record]).recall is None


def test_what_is_found_has_its_exact_cosine(
    tmp_path: Path, vectors: Vectors, questions: Vectors
) -> None:
    found = Segments(tmp_path, [written(tmp_path, vectors)]).search(questions[:1], 10, None)

    cosines = vectors[[number - 1 for number, _ in found]] @ questions[0]
    assert [cosine for _, cosine in found] == pytest.approx(cosines.tolist(), abs=1e-6)
    assert sorted(found, key=lambda pair: -pair[1]) == found


@pytest.mark.parametrize("share", [0.001, 0.05, 0.3, 0.9])
def test_a_filter_finds_the_nearest_of_what_it_lets_through(
    share: float, tmp_path: Path, vectors: Vectors, questions: Vectors
) -> None:
    allowed = np.random.default_rng(2).permutation(numbered(SIZE))[: max(3, int(share * SIZE))]
    found = Segments(tmp_path, [written(tmp_path, vectors)])

    assert recall(found, questions, vectors, allowed) >= min(0.99, len(allowed) / 10)
    assert {i for i, _ in found.search(questions[:1], 50, allowed)} <= set(allowed.tolist())


@pytest.mark.parametrize("cut", [0.5, 0.8, 0.88])
def test_a_filter_that_leaves_only_far_topics_finds_the_nearest_of_those(
    cut: float, tmp_path: Path, vectors: Vectors
) -> None:
    found = Segments(tmp_path, [written(tmp_path, vectors)])
    asked = vectors[: SIZE // TOPICS : 5]

    assert recall(found, asked, vectors, numbered(SIZE)[int(cut * SIZE) :]) > 0.99


def test_what_is_not_live_is_never_found(
    tmp_path: Path, vectors: Vectors, questions: Vectors
) -> None:
    record = written(tmp_path, vectors)
    live = numbered(SIZE)[numbered(SIZE) % 4 != 0]
    found = Segments(tmp_path, [record], live)

    for question in questions:
        true = live[np.argsort(-(vectors[live - 1] @ question))[:10]]
        ids = [number for number, _ in found.search(question[None], 10, None)]
        assert not any(number % 4 == 0 for number in ids)
        assert len(set(ids) & set(true.tolist())) >= 8
    assert Segments(tmp_path, [record], live[:0]).search(questions[:1], 10, None) == []


def test_a_merge_keeps_what_is_live_with_its_sentences(
    tmp_path: Path, vectors: Vectors, questions: Vectors
) -> None:
    records = [written(tmp_path, part, 1 + 1000 * n) for n, part in enumerate(np.split(vectors, 3))]
    before = Segments(tmp_path, records)
    kept = numbered(SIZE)[numbered(SIZE) % 5 != 0]

    record = merged(tmp_path, records, kept)

    assert record is not None
    assert (record.passages, record.first, record.last) == (len(kept), 1, SIZE - 1)
    after = Segments(tmp_path, [record])
    assert recall(after, questions, vectors, kept) > 0.99
    ids = kept[::50].tolist()
    old, new = before.sentence_vectors(ids), after.sentence_vectors([*ids, 5])
    assert new.keys() == old.keys() == set(ids)
    for number in ids:
        np.testing.assert_array_equal(new[number], old[number])
    assert merged(tmp_path, records, kept[:0]) is None


def test_sentences_come_back_nearly_as_they_were(tmp_path: Path, vectors: Vectors) -> None:
    found = Segments(tmp_path, [written(tmp_path, vectors)])

    sentences = found.sentence_vectors([1, 2, 3, 99_999])

    assert {n: len(rows) for n, rows in sentences.items()} == {1: 0, 2: 1, 3: 2}
    for row in sentences[3]:
        assert row.dtype == np.float32
        assert abs(row @ vectors[2] - 1) < 0.005


def test_the_same_vectors_make_the_same_file(tmp_path: Path, vectors: Vectors) -> None:
    first, second = written(tmp_path / "a", vectors), written(tmp_path / "b", vectors)

    assert first == second


def test_harm_to_any_part_of_a_file_is_told(tmp_path: Path, vectors: Vectors) -> None:
    record = written(tmp_path, vectors)
    path = tmp_path / record.name
    data = path.read_bytes()

    for at in np.linspace(0, len(data) - 1, 40).astype(int):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(LibraryUnreadable, match="footnote doctor"):
            Segments(tmp_path, [record])


def test_what_is_open_is_not_read_again(tmp_path: Path, vectors: Vectors) -> None:
    first = written(tmp_path, vectors[:1000])
    opened = Segments(tmp_path, [first])
    second = written(tmp_path, vectors[1000:], first=1001)
    (tmp_path / first.name).unlink()

    both = Segments(tmp_path, [first, second], opened=opened)

    assert both.passages == SIZE
    assert both.search(vectors[:1], 1, None)[0][0] == 1


def test_segments_are_merged_up_to_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "LARGEST_SEGMENT", 100)
    records = [SegmentRecord(str(n), "", 30, n, n) for n in range(12)]

    assert len(segments.to_merge(records)) == 3
