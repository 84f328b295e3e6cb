"""Excel workbooks (.xlsx): each sheet a heading, each row a line with its columns' names.

Sheets are read row by row from their XML: openpyxl keeps hidden rows and formulas without a
result to itself when it reads that way, and fills what a wrong dimension claims with empty rows.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ingest.errors import Unreadable
from ingest.readers.drawing import graphics, paragraphs
from ingest.readers.number_formats import builtin, shown
from ingest.readers.package import Element, Package, child, link, local, value
from ingest.readers.rows import Cell, Room, Row, add_rows
from ingest.types import Draft, Extract, File

REFERENCE = re.compile(r"([A-Z]{1,3})[1-9]\d{0,6}")


def read(file: File) -> Extract:
    """Read an .xlsx; Unreadable if it is damaged, an attack, or has nothing in its cells."""
    try:
        return _Workbook(Package(file.data)).extract()
    except RecursionError as problem:
        raise Unreadable("Its parts are nested too deeply to be read. Is it damaged?") from problem


@dataclass(slots=True)
class Seen:
    """What was met on the way and is worth a word."""

    hidden_sheets: list[str] = field(default_factory=list)
    hidden_rows: int = 0
    formulas: int = 0
    comments: int = 0


class _Workbook:
    """One workbook while it is read."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._name = package.main("xl/workbook.xml")
        if self._name not in package and "xl/workbook.bin" in package:
            raise Unreadable("It is a binary workbook (.xlsb). Save it as .xlsx.")
        self._root = package.tree(self._name)
        self._relations = package.relations(self._name)
        self._from_1904 = value(child(self._root, "workbookPr"), "date1904") in ("1", "true")
        self._strings = self._shared_strings()
        self._formats = _formats(package.optional(self._target("styles")))
        self._seen = Seen()
        self._room = Room()

    def extract(self) -> Extract:
        draft = Draft()
        found = [
            self._add_sheet(draft, sheet) for sheet in self._root.iterfind("{*}sheets/{*}sheet")
        ]
        if not any(found):
            damage = " ".join(self._package.unread)
            raise Unreadable(damage or "It holds no text: no cell has anything in it.")
        unread = [*self._package.unread, *self._room.unread(), *self._missing()]
        return draft.finish(
            self._package.title(),
            warnings=self._warnings(),
            unread=unread,
            stated=self._package.stated(),
        )

    def _add_sheet(self, draft: Draft, sheet: Element) -> bool:
        """Add a sheet that has anything on it, and return whether it has."""
        relation = self._relations.get(link(sheet))
        if relation is None or relation.target not in self._package:
            return False
        name = sheet.get("name") or ""
        rows = self._rows(relation.target)
        first = next((row for row in rows if row), None)
        drawn = self._drawn(relation.target)
        if first is None and not drawn:
            return False
        if sheet.get("state", "visible") != "visible":
            self._seen.hidden_sheets.append(name)
        draft.add(name, 1)
        if first is not None:
            draft.tables += add_rows(draft, _after(first, rows), self._room)
        for line in drawn:
            draft.add(line)
        return True

    def _rows(self, part: str) -> Iterator[Row]:
        """Yield a sheet's rows; where it is damaged it ends, which is noted."""
        try:
            for node in self._package.rows(part, "row"):
                row = self._row(node)
                if row and value(node, "hidden") in ("1", "true"):
                    self._seen.hidden_rows += 1
                yield row
        except Unreadable as problem:
            self._package.unread.append(str(problem))

    def _row(self, node: Element) -> Row:
        row: dict[int, Cell] = {}
        column = -1
        for cell in node:
            found = REFERENCE.fullmatch(cell.get("r") or "")
            column = _column(found[1]) if found else column + 1
            if len(cell) and (content := self._cell(cell)) is not None:
                row[column] = content
        return row

    def _cell(self, node: Element) -> Cell | None:
        """Return what a cell shows, None if that is nothing."""
        kind = node.get("t") or "n"
        if kind == "inlineStr":
            return _cell(_string(child(node, "is")))
        stored = child(node, "v")
        text = (stored.text or "") if stored is not None else ""
        if not text:
            self._seen.formulas += kind != "str" and child(node, "f") is not None
            return None
        if kind == "s":
            return _cell(self._shared(text))
        if kind == "b":
            return _cell("TRUE" if text == "1" else "FALSE")
        return self._number(text, node.get("s") or "0") if kind == "n" else _cell(text)

    def _shared(self, text: str) -> str:
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
        return self._strings[number] if 0 <= number < len(self._strings) else ""

    def _number(self, text: str, style: str) -> Cell | None:
        try:
            number = float(text)
        except ValueError:
            return _cell(text)
        if not math.isfinite(number):
            return Cell(text, word=False)
        code = self._formats.get(style, "General")
        content = shown(number, code, from_1904=self._from_1904)
        return Cell(content, word=False) if content else None

    def _drawn(self, part: str) -> list[str]:
        """Return what text boxes and charts on a sheet say, and count its comments."""
        lines: list[str] = []
        for relation in self._package.relations(part).values():
            if relation.kind == "comments":
                root = self._package.optional(relation.target)
                self._seen.comments += len(list(root.iter("{*}comment"))) if root is not None else 0
            if relation.kind != "drawing":
                continue
            root = self._package.optional(relation.target)
            if root is not None:
                for box in root.iter("{*}txBody"):
                    lines += paragraphs(box)
                inside = self._package.relations(relation.target)
                lines += graphics(root, self._package, inside)
        return lines

    def _target(self, kind: str) -> str:
        return next((r.target for r in self._relations.values() if r.kind == kind), "")

    def _shared_strings(self) -> list[str]:
        part = self._target("sharedStrings")
        if part not in self._package:
            return []
        return [_string(node) for node in self._package.rows(part, "si")]

    def _warnings(self) -> list[str]:
        warnings = self._package.warnings()
        if names := self._seen.hidden_sheets:
            warnings.append(f"It has hidden sheets, which are read: {', '.join(names)}.")
        if rows := self._seen.hidden_rows:
            warnings.append(f"It has hidden rows, which are read: {rows:,}.")
        if comments := self._seen.comments:
            warnings.append(f"It has comments, which are not read: {comments:,}.")
        return warnings

    def _missing(self) -> list[str]:
        formulas = self._seen.formulas
        if not formulas:
            return []
        return [
            f"Its formulas without a stored result were not read: {formulas:,}. Open it in a"
            " spreadsheet program and save it again."
        ]


def _after(first: Row, rest: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rest


def _cell(text: str) -> Cell | None:
    text = re.sub(r"_x([0-9A-Fa-f]{4})_", lambda found: _escaped(found[1]), text).strip()
    return Cell(text) if text else None


def _escaped(code: str) -> str:
    """Return a character that XML has no room for; control characters become a space."""
    letter = chr(int(code, 16))
    return letter if letter.isprintable() else " "


def _string(node: Element | None) -> str:
    """Return a string without its phonetic guides."""
    if node is None:
        return ""
    parts = (
        part if local(part) == "t" else child(part, "t") for part in node if local(part) in "rt"
    )
    return "".join(part.text or "" for part in parts if part is not None)


def _column(letters: str) -> int:
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - ord("A") + 1
    return column - 1


def _formats(root: Element | None) -> dict[str, str]:
    """Return the format code of each cell style, by its number."""
    if root is None:
        return {}
    own = {n.get("numFmtId"): n.get("formatCode") or "" for n in root.iterfind("{*}numFmts/*")}
    styles = [x.get("numFmtId") or "0" for x in root.iterfind("{*}cellXfs/{*}xf")]
    codes = (own.get(i) or builtin(int(i) if i.isdigit() else 0) for i in styles)
    return {str(number): code for number, code in enumerate(codes)}
