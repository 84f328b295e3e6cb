"""Tables of pages: rows whose cells take several rows or columns."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

LABEL_CHARACTERS = 200
"""A cell over several rows is repeated in each while it is as short as a label."""
LABELS = 20


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell's text, and how many rows and columns it takes."""

    text: str
    rows: int
    columns: int

    @classmethod
    def of(cls, text: str, attributes: Mapping[str, str]) -> "Cell":
        """Return the cell of a text and of its tag's attributes."""
        return cls(text, _count(attributes.get("rowspan")), _count(attributes.get("colspan")))


class Table:
    """The rows of a table as they are read, cells over several rows repeated in each."""

    def __init__(self) -> None:
        self.rows = 0
        self.kept: dict[int, Cell] = {}
        """By column, the cells that go on in the next row."""

    def add(self, cells: list[Cell]) -> list[str]:
        """Return the texts of a row."""
        self.rows += 1
        above, self.kept = self.kept, {}
        row: list[str] = []
        column = 0
        for cell in [*cells, None]:
            while (kept := above.pop(column, None)) or (cell is None and above):
                kept = kept or above.pop(min(above))
                column = self._take(kept, column, row)
            if cell:
                column = self._take(cell, column, row)
        return row

    def _take(self, cell: Cell, column: int, row: list[str]) -> int:
        """Put a cell into a row and return the column after it."""
        row.append(cell.text)
        label = 0 < len(cell.text) <= LABEL_CHARACTERS and len(self.kept) < LABELS
        if cell.rows > 1 and label:
            self.kept[column] = replace(cell, rows=cell.rows - 1)
        return column + cell.columns


def _count(span: str | None) -> int:
    return max(1, min(int(span), 1000)) if span and re.fullmatch(r"[0-9]{1,5}", span) else 1
