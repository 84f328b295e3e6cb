"""Passages: nothing cut off, nothing lost, each knowing its place."""

import random

import pytest

from ingest.chunking import cut
from ingest.readers import MARKDOWN
from ingest.types import Draft, File
from retrieval import Document, Passage, SentenceTransformerEmbedder
from retrieval.sentences import sentence_spans
from retrieval.types import indexed_text

ROOM = 96


def document(title: str = "Handbook") -> Document:
    return Document(
        id="d1",
        source="/handbook.md",
        path="handbook.md",
        title=title,
        sha256="",
        media_type="text/markdown",
        size_bytes=0,
        characters=0,
        page_starts=(),
        reader="",
        added_at="",
    )


def passages_of(text: str, embedder: SentenceTransformerEmbedder) -> list[Passage]:
    return cut(document(), MARKDOWN.read(File("handbook.md", text.encode())), embedder.tokens, ROOM)


def long_text(seed: int) -> str:
    rng = random.Random(seed)
    words = ["inference", "latency", "the", "of", "a", "council", "£465", "Form 12-B", "naïve", "é"]
    parts = []
    for _ in range(40):
        kind = rng.random()
        if kind < 0.2:
            parts.append("#" * rng.randint(1, 4) + " " + " ".join(rng.choices(words, k=4)))
        elif kind < 0.26:
            parts.append("| a | b |\n|---|---|\n" + "| 465 | bin |\n" * rng.randint(1, 40))
        elif kind < 0.32:
            parts.append("\n".join(f"- {word} stays." for word in rng.choices(words, k=30)))
        elif kind < 0.36:
            parts.append("".join(rng.choices("abcdefgh123", k=rng.randint(50, 900))))
        else:
            count = rng.randint(1, 12)
            some = (" ".join(rng.choices(words, k=rng.randint(3, 60))) + "." for _ in range(count))
            parts.append(" ".join(some))
    return "\n\n".join(parts) + "\n"


@pytest.mark.parametrize("seed", range(4))
def test_passages_hold_all_text_and_each_is_its_slice(
    seed: int, embedder: SentenceTransformerEmbedder
) -> None:
    text = long_text(seed)

    passages = passages_of(text, embedder)

    assert all(text[p.start : p.stop] == p.text for p in passages)
    covered = bytearray(len(text))
    for passage in passages:
        assert not any(covered[passage.start : passage.stop]), "passages overlap"
        covered[passage.start : passage.stop] = b"\x01" * (passage.stop - passage.start)
    left = "".join(c for c, seen in zip(text, covered, strict=True) if not seen)
    assert not left.strip()


@pytest.mark.parametrize("seed", range(4))
def test_the_embedder_sees_every_passage_whole(
    seed: int, embedder: SentenceTransformerEmbedder
) -> None:
    passages = passages_of(long_text(seed), embedder)

    seen = embedder.tokens([indexed_text("Handbook", p.heading, p.text) for p in passages])

    assert max(len(tokens) for tokens in seen) <= ROOM


def test_a_passage_stays_under_its_headings(embedder: SentenceTransformerEmbedder) -> None:
    text = (
        "# Handbook\n\n## Leave\n\nTwenty-eight days.\n\n"
        "### Part-time\n\nPro rata.\n\n## Pay\n\nMonthly.\n"
    )

    passages = passages_of(text, embedder)

    assert [p.heading for p in passages] == [("Leave",), ("Leave", "Part-time"), ("Pay",)]


def test_sentences_can_be_quoted_and_headings_cannot(
    embedder: SentenceTransformerEmbedder,
) -> None:
    text = "# Leave\n\nOfficers get 28 days. Dr. Vale approves it.\n\n- Ask early.\n- Use Form 3.\n"

    (passage,) = passages_of(text, embedder)

    assert [text[a:b] for a, b in passage.sentences] == [
        "Officers get 28 days.",
        "Dr. Vale approves it.",
        "Ask early.",
        "Use Form 3.",
    ]


def test_a_long_text_is_cut_into_the_same_sentences_as_in_pieces() -> None:
    sentences = [f"Rule {n} says that Dr. Bell pays £{n}.50 (see p. {n})." for n in range(900)]
    text = " ".join(sentences)

    assert [text[a:b] for a, b in sentence_spans(text)] == sentences


def test_a_text_without_an_end_is_cut_all_the_same() -> None:
    text = "word " * 9000 + "“" * 9000

    spans = sentence_spans(text)

    assert "".join(text[a:b] for a, b in spans).replace(" ", "") == text.replace(" ", "")


def test_a_title_that_is_a_text_is_cut() -> None:
    draft = Draft()
    draft.add("Fees " * 200, level=1)
    draft.add("A dog costs £12.")

    extract = draft.finish("Fees of the council " * 100)

    assert len(extract.title) <= 301
    assert extract.title.endswith("…")
    assert len(extract.blocks[0].title) <= 301
    assert extract.text.startswith("Fees Fees")
