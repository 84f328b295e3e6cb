"""HTML and XHTML as a run of events, and the blocks a reader sees in it.

A run rather than a tree: lxml cuts trees off at 2,048 levels, and pages nest deeper.
"""

import re
from array import array
from collections.abc import Collection, Mapping
from html.entities import html5
from typing import Any, TypeAlias, cast

from lxml import etree

from ingest.readers.tables import Cell, Table
from ingest.types import Draft

Tag: TypeAlias = tuple[str, Mapping[str, str]]
Event: TypeAlias = Tag | str | None
"""An opening tag with its attributes, text, or the end of what was opened last."""

HEADINGS = {f"h{level}": level for level in range(1, 7)}
BLOCKS = frozenset(
    """address article aside blockquote body caption center dd details dialog dir div dl dt
    fieldset figcaption figure footer form frameset header hgroup hr html legend li main menu nav
    noframes ol optgroup option p pre search section summary table tbody td tfoot th thead title
    tr ul""".split()
) | frozenset(HEADINGS)
AS_TYPED = frozenset(("pre", "listing", "xmp", "plaintext"))
CELLS = ("td", "th")

HEADING_CHARACTERS = 300
"""What is longer is no heading, whatever its tag."""
ROW_CHARACTERS = 1000
"""A row with more text than this is there for the layout: its cells are read one by one."""
BREAK = "\x1e"

INTERNAL_DTD = re.compile(r"\A([^\[]{0,2000}<!DOCTYPE[^>\[]{0,500})\[[^\]]*\]", re.IGNORECASE)
"""It can only define entities, as bombs do: pages have none of their own."""
ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)([A-Za-z][A-Za-z0-9]{1,31};)")


class Markup:
    """A page: its events, and for each opening tag where it ends."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.ends = array("q", [0]) * len(events)
        opened: list[int] = []
        for at, event in enumerate(events):
            if isinstance(event, tuple):
                opened.append(at)
            elif event is None:
                self.ends[opened.pop()] = at

    def text(self, start: int, stop: int, left_out: Collection[int] = ()) -> str:
        """Return the text between two events on one line."""
        pieces: list[str] = []
        opened: list[str] = []
        at = start
        while at < stop:
            event = self.events[at]
            if isinstance(event, str):
                pieces.append(event)
            elif event is None:
                if opened and opened.pop() in BLOCKS:
                    pieces.append(" ")
            elif at in left_out:
                at = self.ends[at]
            else:
                opened.append(event[0])
                if event[0] in BLOCKS or event[0] == "br":
                    pieces.append(" ")
            at += 1
        return _folded("".join(pieces))


def parse(text: str, *, xml: bool = False) -> Markup:
    """Return the events of a page, mended where it is broken; as XML if it asks for it and is."""
    text = INTERNAL_DTD.sub(r"\1", text.replace("\x00", ""), count=1)
    if xml:
        try:
            return Markup(_events(ENTITY.sub(_entity, text), _xml_parser()))
        except (etree.XMLSyntaxError, ValueError):
            pass  # it says XML and is not: read it as browsers do
    try:
        return Markup(_events(text, _html_parser()))
    except etree.XMLSyntaxError:  # nothing in it
        return Markup([])


def _events(text: str, parser: "etree._FeedParser") -> list[Event]:
    parser.feed(text.encode("utf-8", "replace"))
    return cast("list[Event]", parser.close())  # what the target's own `close` returns


def _html_parser() -> "etree._FeedParser":
    return etree.HTMLParser(
        target=_Recorder(), encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True
    )


def _xml_parser() -> "etree._FeedParser":
    return etree.XMLParser(
        target=_Recorder(),
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def _entity(found: re.Match[str]) -> str:
    return html5.get(found[1], found[0])


class _Recorder:
    """What lxml tells about a page, in order."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._bare: dict[str, Tag] = {}  # kept once each: most tags have no attributes
        self._open = 0

    def start(self, tag: str | bytes, attrib: Mapping[Any, Any]) -> None:
        name = str(tag).rpartition("}")[2].lower()
        bare = self._bare.setdefault(name, (name, {}))
        self._events.append((name, dict(attrib)) if attrib else bare)
        self._open += 1

    def end(self, tag: str | bytes) -> None:  # noqa: ARG002 - what was opened last closes
        self._events.append(None)
        self._open -= 1

    def data(self, data: str | bytes) -> None:
        self._events.append(str(data).replace(BREAK, " "))

    def comment(self, text: str | bytes) -> None:
        """Leave it out."""

    def close(self) -> list[Event]:
        return [*self._events, *[None] * self._open]


class Writer:
    """Adds what stands between events to a draft: a block a heading, paragraph, item and row."""

    def __init__(self, page: Markup, draft: Draft, left_out: Collection[int]) -> None:
        self._page = page
        self._draft = draft
        self._left_out = left_out
        self._line: list[str] = []
        self._level = 0
        self._typed = 0
        self._tables: list[Table] = []
        self.added = 0
        """How many blocks were added."""

    def write(self, start: int, stop: int) -> None:
        """Add the blocks between two events, in reading order."""
        opened: list[str] = []
        at = start
        while at < stop:
            event = self._page.events[at]
            if isinstance(event, str):
                self._line.append(event)
            elif event is None:
                if opened:
                    self._close(opened.pop())
            elif at in self._left_out or (event[0] == "tr" and self._row(at)):
                at = self._page.ends[at]
            else:
                opened.append(event[0])
                self._open(event[0])
            at += 1
        self._flush()

    def _open(self, tag: str) -> None:
        if tag in BLOCKS or tag in AS_TYPED:
            self._flush()
        if tag in HEADINGS:
            self._level = HEADINGS[tag]
        elif tag in AS_TYPED:
            self._typed += 1
        elif tag == "table":
            self._tables.append(Table())
        elif tag == "br":
            self._line.append("\n" if self._typed else BREAK)

    def _close(self, tag: str) -> None:
        if tag in BLOCKS or tag in AS_TYPED:
            self._flush()
        if tag in HEADINGS:
            self._level = 0
        elif tag in AS_TYPED:
            self._typed -= 1
        elif tag == "table" and self._tables:
            self._draft.tables += self._tables.pop().rows > 0

    def _row(self, at: int) -> bool:
        """Add a table row as one block, if it is one: not a row that only lays out the page."""
        cells = self._cells(at)
        table = self._tables[-1] if self._tables else Table()
        if len(cells) + len(table.kept) < 2 or self._lays_out(at):
            return False
        texts = [self._page.text(c + 1, self._page.ends[c], self._left_out) for c in cells]
        if sum(map(len, texts)) > ROW_CHARACTERS:
            return False
        self._flush()
        tags = (cast("Tag", self._page.events[cell]) for cell in cells)
        row = table.add([Cell.of(text, tag[1]) for text, tag in zip(texts, tags, strict=True)])
        if any(texts):
            self._add(" | ".join(row), 0)
        return True

    def _cells(self, row: int) -> list[int]:
        """Return where the cells of a row open, not those of tables within."""
        cells = []
        at, stop = row + 1, self._page.ends[row]
        while at < stop:
            event = self._page.events[at]
            if isinstance(event, tuple) and (event[0] in CELLS or at in self._left_out):
                if at not in self._left_out:
                    cells.append(at)
                at = self._page.ends[at]
            at += 1
        return cells

    def _lays_out(self, row: int) -> bool:
        inside = (self._page.events[at] for at in range(row + 1, self._page.ends[row]))
        return any(isinstance(e, tuple) and (e[0] in HEADINGS or e[0] == "table") for e in inside)

    def _flush(self) -> None:
        text = "".join(self._line)
        self._line.clear()
        if self._typed:
            self._add(text.strip("\n"), self._level)
            return
        lines = [_folded(line) for line in text.split(BREAK)]
        if self._level:
            lines = [_folded(" ".join(lines))]
        for paragraph in "\n".join(lines).split("\n\n"):
            self._add(paragraph.strip("\n"), self._level)

    def _add(self, text: str, level: int) -> None:
        if not text.strip():
            return
        level = level if len(text) <= HEADING_CHARACTERS else 0
        self._draft.add(text, level)
        self.added += 1
        self._level = 0


def _folded(text: str) -> str:
    return " ".join(text.split())
