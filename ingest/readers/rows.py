"""Rows of a sheet or CSV file as lines that make sense one by one: “Name: Anna | Grade: 7”."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from ingest.types import Draft

LOOKED_AT = 20
"""Rows with anything in them among which the header is looked for."""
LONGEST_NAME = 120  # characters
YEAR = re.compile(r"(?:19|20)\d\d")

Row = Mapping[int, "Cell"]
"""A row's cells that are not empty, by column."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell shows; `word` tells text from numbers and dates."""

    text: str
    word: bool = True


class Room:
    """How much of a file's rows is still taken: what is read must get out of the sandbox."""

    def __init__(self, rows: int = 500_000, size: int = 40 * 1024 * 1024) -> None:
        self._most = rows
        self._rows = 0
        self._size = size
        self.full = False

    def take(self, line: str) -> bool:
        """Return whether a line still has room."""
        self._rows += 1
        self._size -= len(line.encode("ascii", "backslashreplace")) + 48
        self.full = self.full or self._rows > self._most or self._size < 0
        return not self.full

    def unread(self) -> list[str]:
        """Return what to tell of rows that had no room."""
        if not self.full:
            return []
        return [f"Only its first {self._rows - 1:,} rows were read. Split it into smaller files."]


def add_rows(draft: Draft, rows: Iterable[Row], room: Room) -> bool:
    """Add a block for each row, and return whether there was any."""
    found = False
    for line in lines(rows):
        if not room.take(line):
            break
        draft.add(line)
        found = True
    return found


def lines(rows: Iterable[Row]) -> Iterator[str]:
    """Yield a line for each row that is not empty; those after the header name their cells."""
    filled = (row for row in rows if row)
    first = list(islice(filled, LOOKED_AT))
    header = _header(first)
    names = (
        {column: _name(cell.text) for column, cell in first[header].items()} if header >= 0 else {}
    )
    for number, row in enumerate(chain(first, filled)):
        yield _line(row, names if number > header >= 0 else {})


def _header(rows: Sequence[Row]) -> int:
    """Return which row names the columns, -1 if none does.

    It is the first that is all words, as wide as at least half of the widest, and has a row
    below. Years count as words where two columns or more have other names.
    """
    widest = max(map(len, rows), default=0)
    for number, row in enumerate(rows[:-1]):
        if len(row) >= max(2, (widest + 1) // 2) and _names_columns(list(row.values())):
            return number
    return -1


def _names_columns(cells: Sequence[Cell]) -> bool:
    if any(len(cell.text) > LONGEST_NAME for cell in cells):
        return False
    words = sum(cell.word for cell in cells)
    years = sum(not cell.word and bool(YEAR.fullmatch(cell.text)) for cell in cells)
    return words == len(cells) or (words >= 1 and years >= 2 and words + years == len(cells))


def _name(text: str) -> str:
    return " ".join(text.split()).rstrip(": ")


def _line(row: Row, names: Mapping[int, str]) -> str:
    cells = [(names.get(column, ""), " ".join(cell.text.split())) for column, cell in row.items()]
    if len(cells) == 1 and len(names) > 2:
        return cells[0][1]  # a title within the table, not a cell of its first column
    return " | ".join(f"{name}: {text}" if name else text for name, text in cells)
