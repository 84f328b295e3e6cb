"""What a reader makes of a file."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

Range: TypeAlias = tuple[int, int]

SEPARATOR = "\n\n"


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list item, table row or heading: a range of the document's text.

    `level` is 0 for running text and 1 (outermost) to 6 for a heading. `title` is a
    heading's words without markup; a block of running text has none.
    """

    start: int
    stop: int
    level: int = 0
    title: str = ""


@dataclass(frozen=True, slots=True)
class Extract:
    """The text of a file and how it is built.

    Blocks are in order and do not overlap; what lies between them is white space or markup.
    `page_starts` holds the character each page begins at, empty for formats without pages.
    `warnings` say what could not be read.
    """

    title: str
    text: str
    blocks: tuple[Block, ...]
    page_starts: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data, for crossing to another process."""
        return {
            "title": self.title,
            "text": self.text,
            "blocks": [[b.start, b.stop, b.level, b.title] for b in self.blocks],
            "page_starts": list(self.page_starts),
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Extract":
        """Return what `to_json` was called on, its types and ranges checked.

        The data comes from a process that read an untrusted file; ValueError if it is odd.
        """
        text = _sound(data["text"])
        blocks = tuple(Block(int(a), int(b), int(c), _sound(d)) for a, b, c, d in data["blocks"])
        edges = [edge for block in blocks for edge in (block.start, block.stop)]
        if edges != sorted(edges) or (edges and not 0 <= edges[0] <= edges[-1] <= len(text)):
            raise ValueError("blocks out of order")
        pages = tuple(int(start) for start in data["page_starts"])
        if list(pages) != sorted(pages) or (pages and (pages[0] != 0 or pages[-1] > len(text))):
            raise ValueError("pages out of order")
        warnings = tuple(_sound(warning) for warning in data["warnings"])
        return cls(_sound(data["title"]), text, blocks, pages, warnings)


class Draft:
    """A text being put together from pieces, for formats that have no text of their own."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._blocks: list[Block] = []
        self._page_starts: list[int] = []
        self._length = 0

    def start_page(self) -> None:
        """Begin a page where the next block will stand."""
        self._page_starts.append(self._length)

    def add(self, text: str, level: int = 0) -> None:
        """Append a block, if there is anything to it; a level above 0 makes it a heading."""
        if not (text := clean(text).strip()):
            return
        start, stop = self._length, self._length + len(text)
        title = " ".join(text.split()) if level else ""
        self._blocks.append(Block(start, stop, level, title))
        self._parts.append(text)
        self._length = stop + len(SEPARATOR)

    def finish(self, title: str, warnings: Iterable[str] = ()) -> Extract:
        """Return the text and its blocks; the title falls back on the first heading."""
        text = SEPARATOR.join(self._parts)
        pages = tuple(min(start, len(text)) for start in self._page_starts)
        first = next((b.title for b in self._blocks if b.level), "")
        name = " ".join(clean(title).split()) or first
        return Extract(name, text, tuple(self._blocks), pages, tuple(warnings))


def _sound(text: object) -> str:
    """Return text that can be stored; ValueError for anything else."""
    if not isinstance(text, str) or clean(text) != text:
        raise ValueError("not clean text")
    return text


def clean(text: str) -> str:
    """Return text that SQLite and JSON keep as it is: no NUL, no lone surrogate."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    return text.encode("utf-8", "replace").decode("utf-8")
