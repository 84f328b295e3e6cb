"""Cutting a document into passages that the embedder sees whole.

A passage never crosses a heading, holds whole blocks where they fit, whole sentences where
a block is too long, and whole words where a sentence is. Put together, the passages of a
document hold all of its text but the white space between them.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ingest.types import Block, Extract, Range
from retrieval.sentences import sentence_spans, trim
from retrieval.types import Document, Passage, indexed_text

VERSION = 1
"""Goes up when the same text is cut differently, which makes the next ingest cut it again."""

BULLET = re.compile(r"[•‣◦▪·]\s+")

Tokens = Callable[[Sequence[str]], list[list[Range]]]
"""The embedder's tokenizer: for each text, the range of characters of each token."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence, or a part of one, with the markup before it: the least that is not cut.

    `begin` is where the piece before ended; `quote` is what can be quoted, None for a
    heading. `leads` marks the first piece of a block.
    """

    begin: int
    stop: int
    quote: Range | None
    tokens: int
    leads: bool


def cut(document: Document, extract: Extract, tokens: Tokens, chunk_tokens: int) -> list[Passage]:
    """Return the passages of a document, none longer than `chunk_tokens` where it is embedded.

    `chunk_tokens` counts the title and headings that are embedded with a passage.
    """
    passages: list[Passage] = []
    at = 0
    for path, blocks in _sections(extract.blocks):
        heading = tuple(name for name in path if name != document.title)
        place = tokens([indexed_text(document.title, heading, "")])[0]
        room = max(32, chunk_tokens - len(place))
        spans = _spans(extract.text, blocks, at)
        at = blocks[-1].stop
        if blocks[-1] is extract.blocks[-1]:
            spans.append(Piece(at, len(extract.text), None, 0, leads=True))
        pieces = list(_pieces(extract.text, spans, tokens, room))
        for group in _packed(pieces, room):
            passages.append(_passage(document, extract.text, heading, group))
    return passages


def _sections(blocks: Sequence[Block]) -> Iterator[tuple[tuple[str, ...], list[Block]]]:
    """Return runs of blocks with the path of headings above them.

    Headings that nothing stands under go with the section that follows.
    """
    path: list[Block] = []
    run: list[Block] = []
    for block in blocks:
        if block.level and any(not b.level for b in run):
            yield tuple(b.title for b in path), run
            run = []
        if block.level:
            path = [*(b for b in path if b.level < block.level), block]
        run.append(block)
    if run:
        yield tuple(b.title for b in path), run


def _spans(text: str, blocks: Sequence[Block], at: int) -> list[Piece]:
    """Return the sentences of blocks, each reaching back to the one before, not yet counted."""
    spans = []
    for block in blocks:
        for number, (start, stop) in enumerate(sentence_spans(text, block.start, block.stop)):
            first = BULLET.match(text, start, stop)
            quote = None if block.level else (first.end() if first else start, stop)
            spans.append(Piece(at, stop, quote, 0, leads=number == 0))
            at = stop
    return spans


def _pieces(text: str, spans: Sequence[Piece], tokens: Tokens, room: int) -> Iterator[Piece]:
    """Return pieces with their tokens counted, cut where one alone has no room."""
    tight = [(trim(text, (span.begin, span.stop)), span) for span in spans]
    counted = _counted([text[start:stop] for (start, stop), _ in tight], tokens)
    for ((start, stop), span), found in zip(tight, counted, strict=True):
        if len(found) <= room:
            if start < stop:
                yield replace(span, begin=start, stop=stop, tokens=len(found))
            continue
        for number, (a, b, size) in enumerate(_split(text, (start, stop), found, room)):
            yield Piece(a, b, _shared(span.quote, (a, b)), size, span.leads and number == 0)


def _counted(texts: Sequence[str], tokens: Tokens) -> Iterator[list[Range]]:
    """Tokenise some at a time: a section may be as long as its document."""
    for at in range(0, len(texts), 1000):
        yield from tokens(texts[at : at + 1000])


def _shared(quote: Range | None, part: Range) -> Range | None:
    """Return what of a quote lies in a part of its piece."""
    if quote is None:
        return None
    start, stop = max(quote[0], part[0]), min(quote[1], part[1])
    return (start, stop) if start < stop else None


def _split(text: str, span: Range, found: list[Range], room: int) -> Iterator[tuple[int, int, int]]:
    """Cut a range that is too long, at white space where there is any: (start, stop, tokens)."""
    start, stop = span
    first = 0
    while first < len(found):
        last = min(first + room, len(found))
        if last < len(found):
            last = _at_space(text, start, found, (first, last))
        a = start + found[first][0] if first else start
        b = start + found[last][0] if last < len(found) else stop
        a, b = trim(text, (a, b))
        yield a, b, last - first
        first = last


def _at_space(text: str, start: int, found: list[Range], part: Range) -> int:
    """Return the last token of a part that follows white space; the part's end if none does."""
    first, last = part
    for number in range(last, first + (last - first) // 2, -1):
        if text[start + found[number][0] - 1].isspace():
            return number
    return last


def _packed(pieces: Sequence[Piece], room: int) -> Iterator[list[Piece]]:
    """Gather pieces into passages, breaking between blocks rather than inside one."""
    group: list[Piece] = []
    for block in _by_block(pieces):
        parts = [block] if _size(block) <= room else [[piece] for piece in block]
        for part in parts:
            if group and _size(group) + _size(part) > room:
                yield group
                group = []
            group = [*group, *part]
    if group:
        yield group


def _by_block(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    block: list[Piece] = []
    for piece in pieces:
        if piece.leads and block:
            yield block
            block = []
        block.append(piece)
    if block:
        yield block


def _size(pieces: Sequence[Piece]) -> int:
    return sum(piece.tokens for piece in pieces)


def _passage(
    document: Document, text: str, heading: tuple[str, ...], group: Sequence[Piece]
) -> Passage:
    start, stop = group[0].begin, group[-1].stop
    return Passage(
        document_id=document.id,
        page=document.page_at(start),
        heading=heading,
        start=start,
        stop=stop,
        text=text[start:stop],
        sentences=tuple(piece.quote for piece in group if piece.quote),
    )
