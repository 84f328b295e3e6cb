"""AsciiDoc, as the plain text it is: its headings are known, its markup stays."""

import re

from ingest.readers.text import decode_warned, paragraphs, split_items
from ingest.types import Block, Extract, File, or_all_text

HEADING = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S[^\n]*)")
VERBATIM = re.compile(r"^(-{4,}|\.{4,}|/{4,}|\+{4,})[ \t]*\n(?:.*?\n)??\1[ \t]*$", re.M | re.S)


def read(file: File) -> Extract:
    """Read AsciiDoc: paragraphs are set apart by blank lines, headings begin with =."""
    text, warnings = decode_warned(file.data)
    verbatim = [found.span() for found in VERBATIM.finditer(text)]
    blocks: list[Block] = []
    for start, stop in paragraphs(text):
        inside = any(a <= start < b for a, b in verbatim)
        blocks += split_items(text, start, stop) if inside else _blocks(text, start, stop)
    title = next((b.title for b in blocks if b.level), "")
    return Extract(title, text, or_all_text(blocks), warnings=warnings)


def _blocks(text: str, start: int, stop: int) -> list[Block]:
    """Return a paragraph as the text around the headings in it."""
    blocks: list[Block] = []
    at = start
    for line in re.finditer(r"^[^\n]*", text[start:stop], re.MULTILINE):
        found = HEADING.fullmatch(line[0].rstrip())
        if not found:
            continue
        begin = start + line.start()
        blocks += split_items(text, at, begin) if at < begin else []
        title = found[2].rstrip(" =#")
        blocks.append(Block(begin, begin + len(line[0].rstrip()), len(found[1]), title))
        at = begin + len(line[0])
    return blocks + _rest(text, at, stop)


def _rest(text: str, at: int, stop: int) -> list[Block]:
    while at < stop and text[at].isspace():
        at += 1
    return split_items(text, at, stop) if at < stop else []
