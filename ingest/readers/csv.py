"""Comma-separated values and their kin: a line for each row, its cells named by the header."""

import csv
import io
import re
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal

from ingest.errors import Unreadable
from ingest.readers.rows import Cell, Room, Row, add_rows
from ingest.readers.text import decode
from ingest.types import Draft, Extract, File

DELIMITERS = ",;\t|"
SAMPLE_ROWS = 200
SAMPLE = 256 * 1024  # characters
RUNAWAY = 100
"""Lines in one cell that a forgotten quotation mark makes likelier than an author."""
NUMBER = re.compile(r"[^\w\s]{0,3}\d[\d\s.,:/%+-]*(?:[A-Z]{3}|[^\w\s])?|[A-Z]{3}\s?\d[\d.,]*")


def read(file: File) -> Extract:
    """Read a CSV or TSV file in any encoding, whichever character stands between its cells."""
    text = decode(file.data)
    csv.field_size_limit(sys.maxsize)
    delimiter = _delimiter(text[:SAMPLE])
    quoted = not _runs_away(text, delimiter)
    draft, room = Draft(), Room()
    try:
        if not add_rows(draft, _rows(text, delimiter, quoted=quoted), room):
            raise Unreadable("It holds no text.")
    except csv.Error as problem:
        raise Unreadable(f"It is a damaged CSV file ({problem}).") from problem
    draft.tables = 1
    warnings = [] if quoted else ["A quotation mark is not closed; all were taken for text."]
    return draft.finish(Path(file.name).stem, warnings=warnings, unread=room.unread())


def _rows(text: str, delimiter: str, *, quoted: bool) -> Iterator[Row]:
    for cells in _parsed(text, delimiter, quoted=quoted):
        yield {
            column: Cell(cell.strip(), word=not NUMBER.fullmatch(cell.strip()))
            for column, cell in enumerate(cells)
            if cell and not cell.isspace()
        }


def _parsed(text: str, delimiter: str, *, quoted: bool = True) -> Iterator[list[str]]:
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    return csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, skipinitialspace=True
    )


def _delimiter(sample: str) -> str:
    """Return the delimiter that cuts most of the sample's rows into the same number of cells."""
    if sample[:4].lower() == "sep=" and sample[4:5] in DELIMITERS:
        return sample[4]
    return max(DELIMITERS, key=lambda delimiter: _fit(sample, delimiter))


def _fit(sample: str, delimiter: str) -> tuple[float, int]:
    """Return the share of rows that have the usual number of cells, 0 if that is 1, and it."""
    rows = islice(_parsed(sample, delimiter), SAMPLE_ROWS)
    widths = Counter(len(row) for row in rows if row)
    split = Counter({width: rows for width, rows in widths.items() if width > 1})
    if not split:
        return 0.0, 1
    width, count = split.most_common(1)[0]
    return count / widths.total(), width


def _runs_away(text: str, delimiter: str) -> bool:
    """Return whether a quotation mark that is never closed swallows what follows."""
    rows = _parsed(text, delimiter)
    return any(cell.count("\n") > RUNAWAY for row in rows for cell in row if len(cell) > RUNAWAY)
