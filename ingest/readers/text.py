"""Plain text in any encoding. The extracted text is the file's own."""

import re
from itertools import pairwise

from charset_normalizer import from_bytes

from ingest.errors import Unreadable
from ingest.types import Block, Extract, File, clean

PARAGRAPH = re.compile(r"\S(?:.*?\S)?(?=[ \t]*\n[ \t]*\n|\s*\Z)", re.DOTALL)
UNDERLINED = re.compile(r"([^\n]{1,120})\n([=\-~^])\2{2,}[ \t]*(?:\n|\Z)")
ITEM = re.compile(r"^[ \t]*(?:[-*•–]|\d{1,3}[.)]|\([a-z0-9]{1,3}\))[ \t]+", re.MULTILINE)
LEVELS = {"=": 1, "-": 2, "~": 3, "^": 4}


def read(file: File) -> Extract:
    """Read plain text: paragraphs are set apart by blank lines, headings are underlined."""
    text = decode(file.data)
    blocks: list[Block] = []
    for found in PARAGRAPH.finditer(text):
        blocks += _blocks(text, found.start(), found.end())
    title = next((b.title for b in blocks if b.level), "")
    return Extract(title, text, tuple(blocks))


def decode(data: bytes) -> str:
    """Return the text of a file in whatever encoding; Unreadable if it is not text."""
    try:
        return clean(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        pass
    if b"\x00" in data and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable("It is not text: it holds NUL bytes.")
    best = from_bytes(data).best()
    if best is None:
        raise Unreadable("Its encoding cannot be told. Save it as UTF-8.")
    return clean(str(best))


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
