"""Blocks to be, of text documents: what word processors agree on, whatever their format."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ingest.types import Block, Extract

PAGE_NUMBER = re.compile(r"\W*(?:(?:page|seite|of|von|p|s|\d{1,9})(?:\W+|$))*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Item:
    """A block to be; one set `aside` stands by itself even if it was found within a table cell."""

    text: str
    level: int = 0
    aside: bool = False


def row_line(cells: Iterable[str]) -> str:
    """Return cells on one line, "" if there is nothing in them."""
    folded = [" ".join(cell.split()) for cell in cells]
    while folded and not folded[-1]:
        folded.pop()
    return " | ".join(folded)


def row_items(cells: Sequence[Sequence[Item]]) -> Iterator[Item]:
    """Yield a row as one block, then what stands aside in its cells.

    A row with one cell in use is a frame round what is in it.
    """
    filled = [cell for cell in cells if cell]
    if len(filled) == 1:
        yield from filled[0]
        return
    line = row_line(" ".join(item.text for item in cell if not item.aside) for cell in cells)
    if line:
        yield Item(line, aside=True)
    for cell in cells:
        yield from (item for item in cell if item.aside)


def unsaid(items: Iterable[Item], seen: set[str]) -> list[Item]:
    """Return what headers or footers say that was not said yet, page numbers left out.

    `seen` holds the keys of what was said, and is added to.
    """
    found = []
    for item in items:
        if (key := said(item)) not in seen and not PAGE_NUMBER.fullmatch(item.text):
            seen.add(key)
            found.append(Item(item.text))
    return found


def said(item: Item) -> str:
    """Return what two printings of the same words share."""
    return " ".join(item.text.split()).casefold()


def quotable(extract: Extract) -> Extract:
    """Return an extract whose headings are running text if it has no other.

    Headings cannot be quoted, so a deck that is all titles would answer nothing.
    """
    if any(not block.level for block in extract.blocks):
        return extract
    return replace(extract, blocks=tuple(Block(b.start, b.stop) for b in extract.blocks))


def counted(number: int, what: str) -> str:
    """Return “1 comment” or “3 comments”."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
