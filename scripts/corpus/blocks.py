"""The block model: Markdown parsed into the few shapes every output format knows how to draw."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from scripts.corpus.source import SourceError


@dataclass(frozen=True)
class Run:
    """A stretch of text in one style."""

    text: str = ""
    bold: bool = False
    italic: bool = False
    code: bool = False
    href: str = ""


Runs = tuple[Run, ...]


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the document's title."""

    level: int
    runs: Runs


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of prose, or of a quotation."""

    runs: Runs
    quoted: bool = False


@dataclass(frozen=True)
class Item:
    """One list item: its marker is a number with a full stop, or empty for a bullet."""

    depth: int
    marker: str
    runs: Runs


@dataclass(frozen=True)
class Table:
    """A table; every row is as long as the header."""

    header: tuple[Runs, ...]
    rows: tuple[tuple[Runs, ...], ...]


Block = Heading | Paragraph | Item | Table


def markdown() -> MarkdownIt:
    """Return the one parser all formats share: CommonMark with GFM tables, no raw HTML."""
    return MarkdownIt("commonmark", {"html": False}).enable("table")


def plain(runs: Sequence[Run]) -> str:
    """Return the runs' text with the styles dropped."""
    return "".join(run.text for run in runs)


def parse_blocks(body: str) -> list[Block]:
    """Return the body's blocks in order; the body must open with its only level-1 heading."""
    tree = SyntaxTreeNode(markdown().parse(body))
    blocks = [block for node in tree.children for block in _blocks(node)]
    levels = [block.level for block in blocks if isinstance(block, Heading)]
    if not isinstance(blocks[0], Heading) or levels[0] != 1 or 1 in levels[1:]:
        raise SourceError("the body must open with its only level-1 heading")
    if any(after > before + 1 for before, after in pairwise(levels)):
        raise SourceError("a heading skips a level")
    return blocks


def _blocks(node: SyntaxTreeNode) -> Iterator[Block]:
    """Yield the blocks of one top-level node, or raise SourceError if the model has no such."""
    reader = _READERS.get(node.type)
    if reader is None:
        raise SourceError(f"Markdown of type {node.type} is not supported")
    yield from reader(node)


def _heading(node: SyntaxTreeNode) -> Iterator[Block]:
    """Yield the heading."""
    yield Heading(int(node.tag[1:]), _inline(node))


def _paragraph(node: SyntaxTreeNode) -> Iterator[Block]:
    """Yield the paragraph."""
    yield Paragraph(_inline(node))


def _quote(node: SyntaxTreeNode) -> Iterator[Block]:
    """Yield the quotation's paragraphs."""
    for child in node.children:
        yield Paragraph(_inline(child), quoted=True)


def _list(node: SyntaxTreeNode, depth: int = 0) -> Iterator[Block]:
    """Yield the list's items, each followed by the items of the lists inside it."""
    start = int(node.attrs.get("start", 1))
    for number, item in enumerate(node.children, start):
        marker = f"{number}." if node.type == "ordered_list" else ""
        for child in item.children:
            if child.type == "paragraph":
                yield Item(depth, marker, _inline(child))
            else:
                yield from _list(child, depth + 1)


def _table(node: SyntaxTreeNode) -> Iterator[Block]:
    """Yield the table."""
    rows = tuple(
        tuple(_inline(cell) for cell in row.children)
        for section in node.children
        for row in section.children
    )
    yield Table(rows[0], rows[1:])


def _inline(node: SyntaxTreeNode) -> Runs:
    """Return the runs of a node whose one child, if any, holds inline content."""
    return tuple(run for child in node.children for run in _runs(child, Run()))


def _runs(node: SyntaxTreeNode, style: Run) -> Iterator[Run]:
    """Yield the runs under an inline node, each in the style gathered on the way down."""
    for child in node.children:
        match child.type:
            case "text":
                yield replace(style, text=child.content)
            case "softbreak" | "hardbreak":
                yield replace(style, text=" ")
            case "code_inline":
                yield replace(style, text=child.content, code=True)
            case "strong":
                yield from _runs(child, replace(style, bold=True))
            case "em":
                yield from _runs(child, replace(style, italic=True))
            case "link":
                yield from _runs(child, replace(style, href=str(child.attrs["href"])))
            case other:
                raise SourceError(f"inline Markdown of type {other} is not supported")


_READERS: dict[str, Callable[[SyntaxTreeNode], Iterator[Block]]] = {
    "heading": _heading,
    "paragraph": _paragraph,
    "blockquote": _quote,
    "bullet_list": _list,
    "ordered_list": _list,
    "table": _table,
}
