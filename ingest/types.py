"""What a reader makes of a file."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, TypeAlias

Range: TypeAlias = tuple[int, int]

SEPARATOR = "\n\n"
MOST_TABLES = 2**31


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
class File:
    """What a reader is given.

    `name` is the file's own, without folders, and as untrusted as its `data`. `passwords` are
    tried on what is locked. `ocr` holds the text that was recognised on pages, by their number
    from 1, when the file is read a second time.
    """

    name: str
    data: bytes
    passwords: Sequence[str] = ()
    ocr: Mapping[int, str] = field(default_factory=dict)


class PageState(StrEnum):
    """What became of one page."""

    TEXT = "text"
    EMPTY = "empty"  # nothing is on it
    IMAGE = "image"  # all there is to read is in images: not read
    OCR = "ocr"  # an image that was recognised
    FAILED = "failed"  # the page is damaged: not read


@dataclass(frozen=True, slots=True)
class Page:
    """What became of one page, and what is printed on it for a number (“iv”, “A-3”)."""

    state: PageState = PageState.TEXT
    label: str = ""
    tables: int = 0


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a file: of an archive, or attached to a message.

    `name` is what the container calls it, folders and all; it is never used as a path.
    `problem` says why it could not be taken out, and then `data` is empty.
    """

    name: str
    data: bytes
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Extract:
    """The text of a file and how it is built.

    Blocks are in order and do not overlap; what lies between them is white space or markup.
    `page_starts` holds the character each page begins at, empty for formats without pages;
    `pages` has an entry for each. `tables` counts those found. `warnings` are worth knowing;
    `unread` says what the file holds that is not in the text, and what to do about it: a file
    with any counts as not wholly read. `date` is the day the file says it is of, in ISO 8601, and
    `tags` are what it says it is about. `members` are the files inside, taken out one by one as
    they are asked for; they do not cross with `to_json`. Only a file with members may have no
    text.
    """

    title: str
    text: str
    blocks: tuple[Block, ...]
    page_starts: tuple[int, ...] = ()
    pages: tuple[Page, ...] = ()
    tables: int = 0
    warnings: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    date: str = ""
    tags: tuple[str, ...] = ()
    members: Iterable[Member] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data, for crossing to another process."""
        return {
            "title": self.title,
            "text": self.text,
            "blocks": [[b.start, b.stop, b.level, b.title] for b in self.blocks],
            "page_starts": list(self.page_starts),
            "pages": [[p.state, p.label, p.tables] for p in self.pages],
            "tables": self.tables,
            "warnings": list(self.warnings),
            "unread": list(self.unread),
            "date": self.date,
            "tags": list(self.tags),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Extract":
        """Return what `to_json` was called on, its types and ranges checked.

        The data comes from a process that read an untrusted file; ValueError if it is odd.
        """
        text = _sound(data["text"])
        blocks = tuple(
            Block(int(a), int(b), int(c), titled(_sound(d))) for a, b, c, d in data["blocks"]
        )
        edges = [edge for block in blocks for edge in (block.start, block.stop)]
        if edges != sorted(edges) or (edges and not 0 <= edges[0] <= edges[-1] <= len(text)):
            raise ValueError("blocks out of order")
        if not all(0 <= block.level <= 6 for block in blocks):
            raise ValueError("no such level of heading")
        pages = tuple(int(start) for start in data["page_starts"])
        if list(pages) != sorted(pages) or (pages and (pages[0] != 0 or pages[-1] > len(text))):
            raise ValueError("pages out of order")
        notes = tuple(Page(PageState(a), _sound(b), int(c)) for a, b, c in data["pages"])
        if len(notes) != len(pages):
            raise ValueError("not a note for each page")
        tables = int(data["tables"])
        if not all(0 <= count <= MOST_TABLES for count in (tables, *(n.tables for n in notes))):
            raise ValueError("no such number of tables")
        return cls(
            title=titled(_sound(data["title"])),
            text=text,
            blocks=blocks,
            page_starts=pages,
            pages=notes,
            tables=tables,
            warnings=tuple(_sound(warning) for warning in data["warnings"]),
            unread=tuple(_sound(what) for what in data["unread"]),
            date=_day(data["date"]),
            tags=tuple(_sound(tag) for tag in data["tags"]),
        )


@dataclass(frozen=True, slots=True)
class Stated:
    """What a file says of itself beside its title: the day it is of, and what it is about."""

    date: str = ""
    tags: tuple[str, ...] = ()


NOTHING_STATED = Stated()


LONGEST_TITLE = 300
"""Characters: it is stored and embedded with every passage and sentence."""


def titled(text: str) -> str:
    """Return a title on one line, cut at a word if it is too long."""
    title = " ".join(text.split())
    if len(title) <= LONGEST_TITLE:
        return title
    return f"{title[:LONGEST_TITLE].rpartition(' ')[0] or title[:LONGEST_TITLE]}…"


class Draft:
    """A text being put together from pieces, for formats that have no text of their own."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._blocks: list[Block] = []
        self._page_starts: list[int] = []
        self._pages: list[Page] = []
        self._length = 0
        self._hiding = 0
        self.tables = 0
        """How many tables were added; the reader counts."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added yet."""
        return not self._parts

    def start_page(self, page: Page | None = None) -> None:
        """Begin a page where the next block will stand."""
        self._page_starts.append(self._length)
        self._pages.append(page or Page())

    def add(self, text: str, level: int = 0) -> None:
        """Append a block, if there is anything to it; a level above 0 makes it a heading."""
        self._hiding += hiding(text)
        if not (text := clean(text).strip()):
            return
        start, stop = self._length, self._length + len(text)
        title = titled(text) if level else ""
        self._blocks.append(Block(start, stop, level, title))
        self._parts.append(text)
        self._length = stop + len(SEPARATOR)

    def run_on(self, whole: str, at: int, page: Page) -> None:
        """Let the last block go on over a page's end: `whole` takes its place.

        The page begins at character `at` of it.
        """
        last = self._blocks[-1]
        rest = clean(whole[at:])
        whole = clean(whole[:at]) + rest
        self._parts[-1] = whole
        self._blocks[-1] = Block(last.start, last.start + len(whole), last.level, last.title)
        self._length = last.start + len(whole) + len(SEPARATOR)
        self._page_starts.append(last.start + len(whole) - len(rest))
        self._pages.append(page)

    def finish(
        self,
        title: str,
        *,
        warnings: Iterable[str] = (),
        unread: Iterable[str] = (),
        stated: Stated = NOTHING_STATED,
        members: Iterable[Member] = (),
    ) -> Extract:
        """Return the text and its blocks; the title falls back on the first heading.

        Where there is nothing but headings they are the text.
        """
        text = SEPARATOR.join(self._parts)
        pages = tuple(min(start, len(text)) for start in self._page_starts)
        first = next((b.title for b in self._blocks if b.level), "")
        return Extract(
            title=titled(clean(title)) or first,
            text=text,
            blocks=or_all_text(self._blocks),
            page_starts=pages,
            pages=tuple(self._pages),
            tables=self.tables,
            warnings=(*map(clean, warnings), *hiding_warning(self._hiding)),
            unread=tuple(clean(what) for what in unread),
            date=stated.date,
            tags=stated.tags,
            members=members,
        )


def or_all_text(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Return blocks as they are or, where all are headings, as running text."""
    if any(not block.level for block in blocks):
        return tuple(blocks)
    return tuple(Block(block.start, block.stop) for block in blocks)


def _day(text: object) -> str:
    """Return a day in ISO 8601, or nothing; ValueError for anything else."""
    if text != "" and str(text) != date.fromisoformat(str(text)).isoformat():
        raise ValueError("no such day")
    return str(text)


def _sound(text: object) -> str:
    """Return text that can be stored; ValueError for anything else."""
    if not isinstance(text, str) or clean(text) != text:
        raise ValueError("not clean text")
    return text


_FLAG = "\U0001f3f4[\U000e0030-\U000e007a]{2,6}\U000e007f"
"""The flag of a part of a country, as of Scotland: the one good use of tag characters."""
_TERMINAL = "\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b\n]{0,500}(?:\x07|\x1b\\\\))"
_NOT_SHOWN = re.compile(
    f"{_TERMINAL}|[\x00-\x08\x0e-\x1f\x7f-\x9f\ufffe\uffff]|({_FLAG})|[\U000e0000-\U000e007f]"
)
_HIDING = re.compile(
    f"{_FLAG}|([\U000e0000-\U000e007f]+|[\u202d\u202e]"
    "|[\u200b-\u200d\u2060-\u2064\ufeff]{8,}|[\U000e0100-\U000e01ef]{2,})"
)


def clean(text: str) -> str:
    """Return what a reader sees of a text, and SQLite and JSON keep as it is.

    Lines end in a line feed. Control characters, terminal codes and invisible tag characters
    are left out; a lone surrogate becomes a replacement character. All else stays: soft
    hyphens, ligatures, the direction of writing. Cleaning twice changes nothing.
    """
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    for end in ("\r\n", "\r", "\x0b", "\x0c", "\x85"):
        text = text.replace(end, "\n")
    return _NOT_SHOWN.sub(lambda found: found[1] or "", text)


def hiding(text: str) -> int:
    """Return how many characters may hide words: tags, overridden directions, invisible runs.

    Ask before `clean`, which leaves tags out.
    """
    return sum(len(found[1] or "") for found in _HIDING.finditer(text))


def hiding_warning(count: int) -> tuple[str, ...]:
    """Return what to say about so many hiding characters: nothing if there are none."""
    if not count:
        return ()
    return (f"It holds {count} invisible characters, which may hide instructions.",)
