"""Markdown. The extracted text is the source itself, so that a quote stands in the file."""

import re
from itertools import accumulate

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ingest.readers.text import decode
from ingest.types import Block, Extract, File

PARSER = MarkdownIt("commonmark", {"maxNesting": 20}).enable("table")
LEAVES = frozenset(
    {"heading_open", "paragraph_open", "tr_open", "fence", "code_block", "html_block"}
)

# What may stand before the words of a paragraph: quotation marks and list markers.
MARKS = re.compile(r"\s*(?:(?:>|[-*+](?=\s)|\d{1,9}[.)](?=\s))\s*)*")


def read(file: File) -> Extract:
    """Read Markdown: a block for each heading, paragraph, table row and piece of code."""
    text = decode(file.data)
    body = _after_front_matter(text)
    lines = list(accumulate((len(line) + 1 for line in text[body:].split("\n")), initial=body))
    tokens = PARSER.parse(text[body:])
    blocks: list[Block] = []
    for token, inside in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type in LEAVES and token.map:
            start, stop = lines[token.map[0]], lines[token.map[1]] - 1
            blocks += _block(text, start, min(stop, len(text)), token, inside)
    title = next((b.title for b in blocks if b.level), "")
    return Extract(title, text, tuple(blocks))


def _block(text: str, start: int, stop: int, token: Token, inside: Token | None) -> list[Block]:
    start = MARKS.match(text, start, stop).end()  # type: ignore[union-attr]  # it always matches
    stop = start + len(text[start:stop].rstrip())
    if start >= stop:
        return []
    if token.type == "heading_open":
        return [Block(start, stop, int(token.tag[1]), _plain(inside))]
    return [Block(start, stop)]


def _plain(inline: Token | None) -> str:
    """Return a heading's words without markup."""
    pieces = inline.children or [] if inline else []
    return "".join(piece.content for piece in pieces if piece.content).strip()


def _after_front_matter(text: str) -> int:
    """Return where the Markdown begins: after a YAML block between two lines of ---."""
    if text.startswith("---\n") and (end := text.find("\n---\n", 3)) > 0:
        return end + len("\n---\n")
    return 0
