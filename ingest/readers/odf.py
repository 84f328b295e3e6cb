"""OpenDocument texts, spreadsheets and presentations (.odt, .ods, .odp)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ingest.errors import Unreadable
from ingest.readers.items import Item, counted, quotable, row_items, said, unsaid
from ingest.readers.package import Element, Package, local, value
from ingest.readers.rows import Cell, Room, Row, add_rows
from ingest.readers.stated import stated
from ingest.types import Draft, Extract, File, Page, PageState, Stated

SKIPPED = frozenset(
    """tracked-changes annotation annotation-end note-citation ruby-text title desc notes
    sequence-decls variable-decls user-field-decls forms settings bookmark-start""".split()
)
TABLES = frozenset(("table-header-rows", "table-rows", "table-row-group"))
FLOATING = frozenset("frame custom-shape rect ellipse g line polygon path connector".split())
MOST_REPEATED = 1000
"""How often a row or cell with content is repeated at most; a spreadsheet can claim millions."""


@dataclass(slots=True)
class Line:
    """A paragraph being put together, and what hangs on it: text boxes and notes."""

    parts: list[str] = field(default_factory=list)
    hanging: list[Item] = field(default_factory=list)


def read(file: File) -> Extract:
    """Read an OpenDocument file; Unreadable if it is damaged, locked, or holds no text."""
    try:
        package = Package(file.data)
        _refuse_locked(package)
        return _Document(package).extract()
    except RecursionError as problem:
        raise Unreadable("Its parts are nested too deeply to be read. Is it damaged?") from problem


class _Document:
    """One document of whichever kind while it is read."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._draft = Draft()
        self._room = Room()
        self._comments = 0
        self._hidden_rows = 0
        self._images = 0
        self._changed = False

    def extract(self) -> Extract:
        root = self._package.tree("content.xml")
        self._comments = sum(1 for _ in root.iter("{*}annotation"))
        self._changed = next(root.iter("{*}tracked-changes"), None) is not None
        for body in root.iterfind("{*}body/*"):
            {"spreadsheet": self._sheets, "presentation": self._slides}.get(
                local(body), self._text
            )(body)
        extract = self._draft.finish(
            next(iter(self._properties("title")), ""),
            warnings=self._warnings(),
            unread=self._unread(),
            stated=self._stated(),
        )
        if not extract.blocks:
            raise Unreadable("It holds no text.")
        return quotable(extract)

    def _text(self, body: Element) -> None:
        items = list(self._items(body))
        seen = {said(item) for item in items}
        styles = self._package.optional("styles.xml")
        headers, footers = (self._running(styles, kind, seen) for kind in ("header", "footer"))
        for item in [*headers, *items, *footers]:
            self._draft.add(item.text, item.level)

    def _running(self, styles: Element | None, kind: str, seen: set[str]) -> list[Item]:
        nodes = styles.iter(f"{{*}}{kind}", f"{{*}}{kind}-first") if styles is not None else ()
        return unsaid([item for node in nodes for item in self._items(node)], seen)

    def _sheets(self, body: Element) -> None:
        for sheet in body.iterfind("{*}table"):
            rows = [row for row in self._rows(sheet) if row]
            if rows:
                self._draft.add(value(sheet, "name"), 1)
                self._draft.tables += add_rows(self._draft, rows, self._room)
            for shapes in sheet.iterfind("{*}shapes"):
                for item in self._items(shapes):
                    self._draft.add(item.text)

    def _rows(self, sheet: Element) -> Iterator[Row]:
        for node in _table_rows(sheet):
            row: dict[int, Cell] = {}
            column = 0
            for cell in _cells(node):
                times = _times(cell, "number-columns-repeated")
                content = self._sheet_cell(cell)
                for number in range(min(times, MOST_REPEATED) if content else 0):
                    row[column + number] = content or Cell("")
                column += times
            self._hidden_rows += bool(row) and value(node, "visibility") in ("collapse", "filter")
            yield from [row] * (
                min(_times(node, "number-rows-repeated"), MOST_REPEATED) if row else 0
            )

    def _sheet_cell(self, cell: Element) -> Cell | None:
        """Return what a cell shows, None if that is nothing."""
        if not len(cell):
            return None
        text = " ".join(item.text for item in self._items(cell))
        return Cell(text, word=value(cell, "value-type") in ("", "string")) if text else None

    def _slides(self, body: Element) -> None:
        for slide in body.iterfind("{*}page"):
            titles = [n for n in slide.iterfind("{*}frame") if value(n, "class") == "title"]
            title = " ".join(item.text for node in titles for item in self._items(node))
            rest = [n for n in slide if n not in titles and local(n) != "notes"]
            tables, images = self._draft.tables, self._images
            items = [item for item in self._below(rest) if item.text]
            state = PageState.TEXT if title or items else PageState.EMPTY
            if self._images > images and state == PageState.EMPTY:
                state = PageState.IMAGE
            self._draft.start_page(Page(state, tables=self._draft.tables - tables))
            self._draft.add(title, 1)
            for item in [*items, *self._speaker(slide)]:
                self._draft.add(item.text)

    def _speaker(self, slide: Element) -> list[Item]:
        frames = [n for n in slide.iterfind("{*}notes/{*}frame") if value(n, "class") == "notes"]
        first, *rest = [item for item in self._below(frames) if item.text] or [Item("")]
        return [Item(f"Notes: {first.text}"), *rest] if first.text else []

    def _items(self, parent: Element) -> Iterator[Item]:
        """Yield the blocks below an element in reading order."""
        return self._below(parent)

    def _below(self, nodes: Iterable[Element]) -> Iterator[Item]:
        for node in nodes:
            name = local(node)
            if name in ("p", "h"):
                yield from self._paragraph(node)
            elif name == "table":
                yield from self._table(node)
            elif name == "object":
                yield from self._object(node)
            elif name == "image":
                self._images += 1
            elif name not in SKIPPED:
                yield from self._below(node)

    def _paragraph(self, node: Element) -> Iterator[Item]:
        line = Line()
        self._inline(node, line)
        text = "".join(line.parts).strip()
        if text:
            yield Item(text, min(_times(node, "outline-level"), 6) if local(node) == "h" else 0)
        yield from line.hanging

    def _inline(self, parent: Element, line: Line) -> None:
        """Gather the text below an element of a paragraph, and what hangs on it."""
        line.parts.append(_folded(parent.text))
        for node in parent:
            name = local(node)
            if name == "s":
                line.parts.append(" " * min(_times(node, "c"), MOST_REPEATED))
            elif name in ("tab", "line-break"):
                line.parts.append("\t" if name == "tab" else "\n")
            elif name == "note":
                line.hanging += [Item(item.text, aside=True) for item in self._items(node)]
            elif name in FLOATING:
                line.hanging += [Item(i.text, i.level, aside=True) for i in self._below([node])]
            elif name not in SKIPPED:
                self._inline(node, line)
            line.parts.append(_folded(node.tail))

    def _table(self, table: Element) -> Iterator[Item]:
        self._draft.tables += 1
        for row in _table_rows(table):
            cells = [[item for item in self._items(cell) if item.text] for cell in _cells(row)]
            yield from row_items(cells)

    def _object(self, node: Element) -> Iterator[Item]:
        """Yield an equation, which is a document of its own; others are left out."""
        name = value(node, "href").removeprefix("./")
        root = self._package.optional(f"{name}/content.xml") if name else next(iter(node), None)
        if root is not None and local(root) == "math":
            for note in root.iter("{*}annotation"):
                note.clear()
            yield Item("".join("".join(str(t) for t in root.itertext()).split()))

    def _stated(self) -> Stated:
        dates = [*self._properties("date"), *self._properties("creation-date")]
        return stated(dates, self._properties("keyword"))

    def _properties(self, name: str) -> list[str]:
        root = self._package.optional("meta.xml")
        return [] if root is None else [found.text or "" for found in root.iter(f"{{*}}{name}")]

    def _warnings(self) -> list[str]:
        warnings = []
        if self._comments:
            warnings.append(f"It has {counted(self._comments, 'comment')}, which are not read.")
        if self._changed:
            warnings.append("It has tracked changes; it is read as if they were accepted.")
        if self._hidden_rows:
            warnings.append(f"It has hidden rows, which are read: {self._hidden_rows:,}.")
        return warnings

    def _unread(self) -> list[str]:
        return [*self._package.unread, *self._room.unread()]


def _refuse_locked(package: Package) -> None:
    manifest = package.optional("META-INF/manifest.xml")
    if manifest is not None and next(manifest.iter("{*}encryption-data"), None) is not None:
        raise Unreadable("It is locked with a password. Save it without one.")


def _table_rows(table: Element) -> Iterator[Element]:
    for node in table:
        if local(node) == "table-row":
            yield node
        elif local(node) in TABLES:
            yield from _table_rows(node)


def _cells(row: Element) -> Iterator[Element]:
    return (node for node in row if local(node) in ("table-cell", "covered-table-cell"))


def _times(node: Element, name: str) -> int:
    """Return a count that an attribute states, 1 if it states none."""
    text = value(node, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1


def _folded(text: str | None) -> str:
    """Return text with its white space as OpenDocument counts it: runs are one space."""
    if not text:
        return ""
    inner = " ".join(text.split())
    return f"{' ' * text[:1].isspace()}{inner}{' ' * (text[-1:].isspace() and bool(inner))}"
