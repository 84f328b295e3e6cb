"""Plain text in any encoding. The extracted text is the file's own."""

import re
from collections.abc import Iterator
from itertools import pairwise

from ingest.readers import encoding
from ingest.types import Block, Extract, File, clean, hiding, hiding_warning

PARAGRAPH = re.compile(r"\S(?:.*?\S)?(?=[ \t]*\n[ \t]*\n|\s*\Z)", re.DOTALL)
UNDERLINED = re.compile(r"([^\n]{1,120})\n([=\-~^])\2{2,}[ \t]*(?:\n|\Z)")
ITEM = re.compile(r"^[ \t]*(?:[-*•–]|\d{1,3}[.)]|\([a-z0-9]{1,3}\))[ \t]+", re.MULTILINE)
LEVELS = {"=": 1, "-": 2, "~": 3, "^": 4}


def read(file: File) -> Extract:
    """Read plain text: paragraphs are set apart by blank lines, headings are underlined."""
    text, warnings = decode_warned(file.data)
    blocks: list[Block] = []
    for start, stop in paragraphs(text):
        blocks += _blocks(text, start, stop)
    title = next((b.title for b in blocks if b.level), "")
    return Extract(title, text, tuple(blocks), warnings=warnings)


def decode(data: bytes) -> str:
    """Return the clean text of a file in whatever encoding; Unreadable if it is not text."""
    return clean(encoding.decode(data))


def decode_warned(data: bytes) -> tuple[str, tuple[str, ...]]:
    """Return the clean text of a file, and what a reader should know about it."""
    raw = encoding.decode(data)
    text = clean(raw)
    lost = text.count("\ufffd")
    broken = (f"It holds {lost} characters that make no sense; they are shown as \ufffd.",)
    return text, (broken if lost else ()) + hiding_warning(hiding(raw))


def paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """Return where each paragraph begins and ends, without the white space around it."""
    for found in PARAGRAPH.finditer(text):
        yield found.span()


def _blocks(text: str, start: int, stop: int) -> list[Block]:
    """Return a paragraph as a heading and what follows, or as its list items."""
    heading = UNDERLINED.match(text, start, stop)
    if heading:
        title = heading[1].strip()
        blocks = [Block(start, start + len(heading[1].rstrip()), LEVELS[heading[2]], title)]
        rest = heading.end()
        while rest < stop and text[rest].isspace():
            rest += 1
        return blocks + (_blocks(text, rest, stop) if rest < stop else [])
    return split_items(text, start, stop)


def split_items(text: str, start: int, stop: int) -> list[Block]:
    """Return a range as one block a list item, and one for what stands before the first."""
    edges = [start, *(m.start() for m in ITEM.finditer(text, start, stop)), stop]
    ranges = [(a, a + len(text[a:b].rstrip())) for a, b in pairwise(edges)]
    return [Block(a, b) for a, b in ranges if text[a:b].strip()]
