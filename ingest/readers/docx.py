"""Word documents (.docx): headings, paragraphs, lists and table rows in reading order.

The document's XML is walked as it stands, because what a reader of it sees is more than its
paragraphs: text boxes, content controls, notes, equations, headers, and what was inserted but
not what was deleted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ingest.errors import Unreadable
from ingest.readers.drawing import graphics
from ingest.readers.equations import equation
from ingest.readers.items import Item, counted, quotable, row_items, said, unsaid
from ingest.readers.package import (
    Element,
    Package,
    child,
    chosen,
    is_on,
    local,
    value,
)
from ingest.readers.word_styles import Numbers, Styles
from ingest.types import Draft, Extract, File

SKIPPED = frozenset("pPr rPr sdtPr sdtEndPr instrText delText delInstrText rt fldData".split())
DELETED = frozenset(("del", "moveFrom"))
SYMBOLS = {"wingdings": {0x6F: "☐", 0xA8: "☐", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑", 0x78: "☒"}}


@dataclass(slots=True)
class Line:
    """A paragraph being put together, and what hangs on it: text boxes, charts and notes."""

    parts: list[str] = field(default_factory=list)
    hanging: list[Item] = field(default_factory=list)


def read(file: File) -> Extract:
    """Read a .docx; Unreadable if it is damaged, an attack, or holds no text."""
    try:
        return _Document(Package(file.data)).extract()
    except RecursionError as problem:
        raise Unreadable("Its parts are nested too deeply to be read. Is it damaged?") from problem


class _Document:
    """One document while it is read."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._name = package.main("word/document.xml")
        self._relations = package.relations(self._name)
        self._styles = Styles(package.optional(self._target("styles")))
        self._numbers = Numbers(package.optional(self._target("numbering")), self._styles)
        self._notes = {
            (kind, value(note, "id")): note
            for kind in ("footnote", "endnote")
            for note in self._children(self._target(f"{kind}s"))
        }
        self._tables = 0
        self._pictures = 0
        self._embedded = 0
        self._revised = False
        self._hidden = False

    def extract(self) -> Extract:
        body = child(self._package.tree(self._name), "body")
        if body is None:
            raise Unreadable("It is not a Word document: it has no body.")
        items = list(self._items(body))
        draft = Draft()
        seen = {said(item) for item in items}
        headers, footers = self._running("header", seen), self._running("footer", seen)
        for item in [*headers, *items, *footers]:
            draft.add(item.text, item.level)
        draft.tables = self._tables
        extract = draft.finish(
            self._package.title(),
            warnings=self._warnings(),
            unread=self._unread(),
            stated=self._package.stated(),
        )
        if not extract.blocks:
            raise Unreadable(self._nothing())
        return quotable(extract)

    def _nothing(self) -> str:
        if self._pictures:
            return "It holds no text, only pictures. Save it as PDF and run OCR over it."
        if self._embedded:
            return "It holds no text, only embedded files. Save each on its own."
        return "It holds no text."

    def _target(self, kind: str) -> str:
        found = (r.target for r in self._relations.values() if r.kind == kind)
        return next(found, "")

    def _children(self, name: str) -> Iterable[Element]:
        root = self._package.optional(name)
        return root if root is not None else ()

    def _warnings(self) -> list[str]:
        warnings = self._package.warnings()
        comments = sum(
            local(node) == "comment" for node in self._children(self._target("comments"))
        )
        if comments:
            warnings.append(f"It has {counted(comments, 'comment')}, which are not read.")
        if self._revised:
            warnings.append("It has tracked changes; it is read as if they were accepted.")
        if self._hidden:
            warnings.append("It has hidden text, which is not read.")
        return warnings

    def _unread(self) -> list[str]:
        embedded = self._embedded
        if not embedded:
            return self._package.unread
        what = (
            f"It holds {counted(embedded, 'embedded file')}. Save each on its own to have it read."
        )
        return [*self._package.unread, what]

    def _running(self, kind: str, seen: set[str]) -> list[Item]:
        """Return what headers or footers say that was not said yet."""
        found: list[Item] = []
        for part in [r.target for r in self._relations.values() if r.kind == kind]:
            root = self._package.optional(part)
            if root is not None:
                found += unsaid(self._within(part, root), seen)
        return found

    def _within(self, part: str, root: Element) -> list[Item]:
        """Return the items of another part, whose relations are its own."""
        ours, self._relations = self._relations, self._package.relations(part)
        try:
            return list(self._items(root))
        finally:
            self._relations = ours

    def _items(self, parent: Element) -> Iterator[Item]:
        """Yield the blocks below an element in reading order."""
        for node in parent:
            name = local(node)
            if name == "p":
                yield from self._paragraph(node)
            elif name == "tbl":
                yield from self._table(node)
            elif name == "altChunk":
                self._embedded += 1
            elif name == "AlternateContent":
                yield from next(filter(None, (list(self._items(o)) for o in chosen(node))), [])
            elif name in DELETED:
                self._revised = True
            elif name not in SKIPPED:
                yield from self._items(node)

    def _paragraph(self, node: Element) -> Iterator[Item]:
        line = Line()
        self._inline(node, line)
        text = "".join(line.parts).strip()
        if text:
            label = self._numbers.label(node)
            yield Item(f"{label} {text}" if label else text, self._styles.level(node))
        yield from line.hanging

    def _table(self, table: Element) -> Iterator[Item]:
        self._tables += 1
        for row in _rows(table):
            if child(row, "trPr", "del") is not None:
                self._revised = True
                continue
            yield from row_items([self._cell(cell) for cell in _cells(row)])

    def _cell(self, cell: Element) -> list[Item]:
        merge = child(cell, "tcPr", "vMerge")
        if merge is not None and value(merge) != "restart":
            return []
        return [item for item in self._items(cell) if item.text]

    def _inline(self, parent: Element, line: Line) -> None:
        """Gather the text below an element of a paragraph, and what hangs on it."""
        for node in parent:
            name = local(node)
            if name == "t":
                line.parts.append(node.text or "")
            elif name == "r":
                self._run(node, line)
            elif name in WRITTEN:
                line.parts.append(WRITTEN[name])
            elif name in DELETED:
                self._revised = True
            elif name in ("drawing", "pict", "object"):
                line.hanging += self._drawn(node)
            elif name in ("footnoteReference", "endnoteReference"):
                line.hanging += self._note(name.removesuffix("Reference"), value(node, "id"))
            elif name == "AlternateContent":
                self._alternative(node, line)
            elif name == "oMath":
                line.parts.append(_spaced(line, equation(node)))
            elif name == "sym":
                line.parts.append(_symbol(node))
            elif name == "fldChar":
                line.parts.append(_checkbox(node))
            elif name not in SKIPPED:
                self._revised |= name in ("ins", "moveTo")
                self._inline(node, line)

    def _run(self, node: Element, line: Line) -> None:
        if is_on(child(node, "rPr", "vanish")):
            self._hidden |= any(part.text and part.text.strip() for part in node.iter("{*}t"))
            return
        self._inline(node, line)

    def _alternative(self, node: Element, line: Line) -> None:
        for option in chosen(node):
            tried = Line()
            self._inline(option, tried)
            if tried.parts or tried.hanging:
                line.parts += tried.parts
                line.hanging += tried.hanging
                return

    def _drawn(self, node: Element) -> list[Item]:
        """Return what a drawing says: its text boxes, charts and diagrams."""
        self._pictures += any(True for _ in node.iter("{*}pic", "{*}imagedata"))
        self._embedded += any(True for _ in node.iter("{*}OLEObject"))
        found = [Item(text, aside=True) for text in self._graphics(node)]
        for box in _boxes(node):
            found += [Item(item.text, item.level, aside=True) for item in self._items(box)]
        return found

    def _graphics(self, node: Element) -> list[str]:
        return graphics(node, self._package, self._relations)

    def _note(self, kind: str, note_id: str) -> list[Item]:
        """Return a note where it is first referred to."""
        note = self._notes.pop((kind, note_id), None)
        if note is None:
            return []
        root = self._target(f"{kind}s")
        return [Item(item.text, aside=True) for item in self._within(root, note)]


WRITTEN = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}


def _rows(table: Element) -> Iterator[Element]:
    """Yield a table's rows, also those in content controls."""
    for node in table:
        if local(node) == "tr":
            yield node
        elif local(node) in ("sdt", "sdtContent", "customXml", "ins", "moveTo"):
            yield from _rows(node)


def _cells(row: Element) -> Iterator[Element]:
    for node in row:
        if local(node) == "tc":
            yield node
        elif local(node) in ("sdt", "sdtContent", "customXml"):
            yield from _cells(node)


def _boxes(node: Element) -> Iterator[Element]:
    """Yield the text boxes of a drawing, of alternatives only those of the first with any."""
    for part in node:
        name = local(part)
        if name == "txbxContent":
            yield part
        elif name == "AlternateContent":
            yield from next(filter(None, (list(_boxes(option)) for option in chosen(part))), [])
        else:
            yield from _boxes(part)


def _symbol(node: Element) -> str:
    """Return a character of a symbol font; those in the private area mean nothing elsewhere."""
    try:
        code = int(value(node, "char"), 16)
    except ValueError:
        return ""
    font = value(node, "font").lower().rstrip(" 23")
    if code < 0xF000 and not 0xD800 <= code < 0xE000:
        return chr(code)
    return SYMBOLS.get(font, {}).get(code - 0xF000, "•")


def _checkbox(node: Element) -> str:
    """Return the box of an old form field, ticked or not."""
    box = child(node, "ffData", "checkBox")
    if box is None:
        return ""
    state = child(box, "checked")
    return "☒" if is_on(state if state is not None else child(box, "default")) else "☐"


def _spaced(line: Line, text: str) -> str:
    """Set an equation apart from what stands before it."""
    return f" {text}" if line.parts and not line.parts[-1].endswith((" ", "\n")) else text
