"""Cutting a document into passages that the embedder sees whole.

A passage never crosses a heading, holds whole blocks where they fit, whole sentences where
a block is too long, and whole words where a sentence is. Put together, the passages of a
document hold all of its text but the white space between them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ingest.types import Block, Extract, Range
from retrieval.sentences import sentence_spans, trim
from retrieval.types import Document, Passage, indexed_text

Tokens = Callable[[Sequence[str]], list[list[Range]]]
"""The embedder's tokenizer: for each text, the range of characters of each token."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence, or a part of one: the least that is not cut further.

    `leads` marks the first piece of a block. A heading's pieces cannot be quoted.
    """

    start: int
    stop: int
    tokens: int
    leads: bool
    heading: bool


def cut(document: Document, extract: Extract, tokens: Tokens, chunk_tokens: int) -> list[Passage]:
    """Return the passages of a document, none longer than `chunk_tokens` where it is embedded.

    `chunk_tokens` counts the title and headings that are embedded with a passage.
    """
    passages: list[Passage] = []
    for heading, blocks in _sections(extract.blocks):
        place = tokens([indexed_text(document.title, heading, "")])[0]
        room = max(32, chunk_tokens - len(place))
        pieces = list(_pieces(extract.text, blocks, tokens, room))
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
            path = [b for b in path if b.level < block.level] + [block]
        run.append(block)
    if run:
        yield tuple(b.title for b in path), run


def _pieces(text: str, blocks: Sequence[Block], tokens: Tokens, room: int) -> Iterator[Piece]:
    spans = [
        (span, block, place == 0)
        for block in blocks
        for place, span in enumerate(sentence_spans(text, block.start, block.stop))
    ]
    counted = tokens([text[start:stop] for (start, stop), _, _ in spans])
    for ((start, stop), block, leads), found in zip(spans, counted, strict=True):
        ranges = [(start, stop, len(found))]
        if len(found) > room:
            ranges = list(_split(text, (start, stop), found, room))
        for number, (a, b, size) in enumerate(ranges):
            yield Piece(a, b, size, leads and number == 0, bool(block.level))


def _split(text: str, span: Range, found: list[Range], room: int) -> Iterator[tuple[int, int, int]]:
    """Cut a sentence that is too long, at white space where there is any."""
    start, stop = span
    begin = 0
    while begin < len(found):
        end = min(begin + room, len(found))
        if end < len(found):
            end = _at_space(text, start, found, begin, end)
        a = start + found[begin][0] if begin else start
        b = start + found[end][0] if end < len(found) else stop
        a, b = trim(text, (a, b))
        yield a, b, end - begin
        begin = end


def _at_space(text: str, start: int, found: list[Range], begin: int, end: int) -> int:
    """Return the last token up to `end` that follows white space; `end` if none does."""
    for number in range(end, begin + (end - begin) // 2, -1):
        if text[start + found[number][0] - 1].isspace():
            return number
    return end


def _packed(pieces: Sequence[Piece], room: int) -> Iterator[list[Piece]]:
    """Gather pieces into passages, breaking between blocks rather than inside one.

    Special tokens and the line breaks between blocks cost nothing in a WordPiece count; a
    tokenizer that counts them loses at most a token a piece, so each is counted as one more.
    """
    group: list[Piece] = []
    for block in _by_block(pieces):
        size = _size(block)
        if group and _size(group) + size > room:
            yield group
            group = []
        if size <= room:
            group += block
            continue
        for piece in block:
            if group and _size([*group, piece]) > room:
                yield group
                group = []
            group.append(piece)
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
    start, stop = group[0].start, group[-1].stop
    return Passage(
        document_id=document.id,
        page=document.page_at(start),
        heading=heading,
        start=start,
        stop=stop,
        text=text[start:stop],
        sentences=tuple((p.start, p.stop) for p in group if not p.heading),
    )
