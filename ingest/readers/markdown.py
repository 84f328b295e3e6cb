"""Markdown. The extracted text is the source itself, so that a quote stands in the file."""

import re
from itertools import accumulate

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ingest.readers.stated import BETWEEN, stated
from ingest.readers.text import decode_warned
from ingest.types import Block, Extract, File, Stated, or_all_text

DEEPEST = 100
"""How deep lists and quotations may nest; each list counts twice. Deeper text is not parsed."""
PARSER = MarkdownIt("commonmark", {"maxNesting": DEEPEST}).enable("table")
LEAVES = frozenset(
    {"heading_open", "paragraph_open", "tr_open", "fence", "code_block", "html_block"}
)

FRONT_MATTER = re.compile(r"(---|\+\+\+)[ \t]*\n(?:.*?\n)??\1[ \t]*(?:\n|\Z)", re.DOTALL)
TITLE = re.compile(r"^title[ \t]*[:=][ \t]*(\S[^\n]*)", re.MULTILINE)
DATE = re.compile(r"^(?:date|last_?mod|updated)[ \t]*[:=][ \t]*[\"']?(\d[^\n]*)", re.MULTILINE)
TAGS = re.compile(
    r"^(?:tags|keywords)[ \t]*[:=][ \t]*(?:\[([^\]]*)\]|(\S[^\n]*)|((?:\n[ \t]*-[ \t][^\n]*)+))",
    re.MULTILINE,
)
ITEM = re.compile(r"\n[ \t]*-[ \t]")
COMMENTS = re.compile(r"(?:\s*<!--.*?-->)+\s*", re.DOTALL)

# What may stand before the words of a paragraph: quotation marks and list markers.
MARKS = re.compile(r"\s*(?:(?:>|[-*+](?=\s)|\d{1,9}[.)](?=\s))\s*)*")


def read(file: File) -> Extract:
    """Read Markdown: a block for each heading, paragraph, table row and piece of code."""
    text, warnings = decode_warned(file.data)
    body = _after_front_matter(text)
    lines = list(accumulate((len(line) + 1 for line in text[body:].split("\n")), initial=body))
    tokens = PARSER.parse(text[body:])
    blocks: list[Block] = []
    for token, inside in zip(tokens, [*tokens[1:], None], strict=False):
        if token.type in LEAVES and token.map:
            start, stop = lines[token.map[0]], lines[token.map[1]] - 1
            blocks += _block(text, start, min(stop, len(text)), token, inside)
    says = _stated(text[:body])
    title = _stated_title(text[:body]) or next((b.title for b in blocks if b.level), "")
    deepest = max((token.level for token in tokens), default=0)
    unread = ("Lists or quotations nest so deep that their text is left out.",)
    return Extract(
        title,
        text,
        or_all_text(blocks),
        warnings=warnings,
        unread=unread if deepest >= DEEPEST - 1 else (),
        date=says.date,
        tags=says.tags,
    )


def _block(text: str, start: int, stop: int, token: Token, inside: Token | None) -> list[Block]:
    start = MARKS.match(text, start, stop).end()  # type: ignore[union-attr]  # it always matches
    stop = start + len(text[start:stop].rstrip())
    if start >= stop or (token.type == "html_block" and COMMENTS.fullmatch(text, start, stop)):
        return []
    if token.type == "heading_open":
        return [Block(start, stop, int(token.tag[1]), _plain(inside))]
    return [Block(start, stop)]


def _plain(inline: Token | None) -> str:
    """Return a heading's words without markup."""
    pieces = inline.children or [] if inline else []
    return "".join(piece.content for piece in pieces if piece.content).strip()


def _after_front_matter(text: str) -> int:
    """Return where the Markdown begins: after a block of YAML or TOML between two like lines."""
    found = FRONT_MATTER.match(text)
    return found.end() if found else 0


def _stated_title(front_matter: str) -> str:
    """Return the title that front matter states, without its quotation marks."""
    found = TITLE.search(front_matter)
    return found[1].strip().strip("\"'") if found else ""


def _stated(front_matter: str) -> Stated:
    """Return the date that front matter states, and its tags: a list in brackets or of lines."""
    lists = (
        ITEM.sub("\n", found[1] or found[2] or found[3] or "")
        for found in TAGS.finditer(front_matter)
    )
    tags = (tag.strip().strip("\"'") for tags in lists for tag in BETWEEN.split(tags))
    return stated((found[1] for found in DATE.finditer(front_matter)), tags)
