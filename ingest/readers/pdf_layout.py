"""The lines of a PDF page in reading order, and the rows of its tables.

The order of the content stream is kept, for it is nearly always the author's; only where it
jumps about is the page put in order by where things stand. Text on one base line is one line,
unless it is columns of running text that were drawn across.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from ingest.readers.pdf_drawing import SAME_LINE, Segment

CELL = " | "
RUNNING_CELL = 25
"""Cells longer than this on average are lines of a text column, not of a table."""
BETWEEN = 3
"""Lines without figures that a table may have in a row: a heading, a label over two lines."""
JOINED = re.compile(r"[$€£¥]|[(]|[%)]+|[A-Z]{3}")
"""A cell that belongs to the one beside it: “$ | 12”, “(3 | )”."""
LIGATURES = re.compile("[\ufb00-\ufb06\ufb1d-\ufdff\ufe70-\ufefc]")
RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
LEFT_TO_RIGHT = re.compile(r"[A-Za-z0-9](?:[^\u0590-\u08ff]*[A-Za-z0-9%])?")
BACKWARDS = re.compile("[\u0590-\u08ff](?:[^A-Za-z0-9]*[\u0590-\u08ff])?")
MIRRORED = str.maketrans("()[]{}<>«»", ")(][}{><»«")


@dataclass(slots=True)
class Line:
    """A line of text: where it stands (see Segment), and whether it is a table's row.

    `table` numbers the page's tables from 1; 0 is no table. `known` says whether the place is
    measured, not made up.
    """

    text: str
    left: float
    right: float
    base: float
    size: float
    turn: int = 0
    table: int = 0


Row = list[Segment]


def lines(segments: Sequence[Segment]) -> list[Line]:
    """Return a page's lines, text that is turned another way than most coming last."""
    letters: dict[int, int] = {}
    for segment in segments:
        letters[segment.turn] = letters.get(segment.turn, 0) + len(segment.parts)
    found: list[Line] = []
    tables = 0
    for turn in sorted(letters, key=lambda turn: -letters[turn]):
        rows = _rows([segment for segment in segments if segment.turn == turn])
        if _jumbled(rows):
            rows = _rows(_sorted([segment for row in rows for segment in row]))
        for line in _laid_out(rows):
            line.table += tables if line.table else 0
            found.append(line)
        tables = max((line.table for line in found), default=0)
    return found


def _rows(segments: Sequence[Segment]) -> list[Row]:
    """Gather what follows on the same base line."""
    rows: list[Row] = []
    for segment in segments:
        if rows and _in_row(segment, rows[-1]):
            rows[-1].append(segment)
        else:
            rows.append([segment])
    for row in rows:
        row.sort(key=lambda segment: segment.left)
    return rows


def _in_row(segment: Segment, row: Row) -> bool:
    last = row[-1]
    size = max(segment.size, last.size)
    apart = abs(segment.base - last.base)
    if apart > SAME_LINE * size:
        return False
    if segment.left > last.right:
        return True
    return apart < 0.15 * size and all(
        segment.right < other.left or segment.left > other.right for other in row
    )


def _jumbled(rows: Sequence[Row]) -> bool:
    """Whether lines are drawn in no order: they jump up far more often than columns do."""
    bases = [row[0].base for row in rows]
    sizes = [row[0].size for row in rows]
    ups = sum(b > a + size for a, b, size in zip(bases, bases[1:], sizes, strict=False))
    return ups >= 6 and ups > 0.25 * len(rows)


def _sorted(segments: list[Segment]) -> list[Segment]:
    """Return segments from top to bottom and left to right, column by column."""
    gutter = _gutter(segments)
    if gutter is None:
        return _down(segments)
    above = [s for s in segments if s.left < gutter < s.right]
    found: list[Segment] = []
    edges = sorted({s.base for s in above}, reverse=True)
    rest = [s for s in segments if not s.left < gutter < s.right]
    for edge in [*edges, float("-inf")]:
        part = [s for s in rest if s.base > edge]
        rest = [s for s in rest if s.base <= edge]
        found += _down([s for s in part if s.right <= gutter])
        found += _down([s for s in part if s.left >= gutter])
        found += _down([s for s in above if s.base == edge])
    return found


def _gutter(segments: Sequence[Segment]) -> float | None:
    """Return where a page of running text in two columns can be cut; None if it cannot."""
    long = [s for s in segments if s.right - s.left > 12 * s.size]
    if len(long) < 10:
        return None
    left, right = min(s.left for s in long), max(s.right for s in long)
    best, fewest = 0.0, len(long)
    for step in range(35, 66):
        x = left + (right - left) * step / 100
        crossed = sum(s.left < x < s.right for s in long)
        if crossed < fewest:
            best, fewest = x, crossed
    sides = sum(s.right <= best for s in long), sum(s.left >= best for s in long)
    return best if fewest <= 0.15 * len(long) and min(sides) >= 0.25 * len(long) else None


def _down(segments: list[Segment]) -> list[Segment]:
    """Return segments line by line, a line being what stands within a part of its height."""
    found: list[Segment] = []
    row: list[Segment] = []
    for segment in sorted(segments, key=lambda s: -s.base):
        if row and row[0].base - segment.base > SAME_LINE * row[0].size:
            found += sorted(row, key=lambda s: s.left)
            row = []
        row.append(segment)
    return found + sorted(row, key=lambda s: s.left)


def _laid_out(rows: Sequence[Row]) -> Iterator[Line]:
    """Return lines, telling tables from columns of text that were drawn across."""
    tables = at = 0
    while at < len(rows):
        stop = _run(rows, at)
        part = rows[at:stop]
        at = stop
        if _running(part):
            yield from _columns(part)
        elif sum(len(row) > 1 for row in part) > 1:
            tables += 1
            yield from _table(part, tables)
        else:
            yield from (_line(row, " ") for row in part)


def _run(rows: Sequence[Row], start: int) -> int:
    """Return where a run of rows that share columns stops; at least one row further on."""
    stop = start + 1
    if len(rows[start]) < 2:
        return stop
    last = rows[start]
    for number in range(start + 1, len(rows)):
        row = rows[number]
        fall = (rows[number - 1][0].base - row[0].base) / row[0].size
        if number - stop > BETWEEN or not -1.5 < fall < 4:
            break
        if len(row) > 1 and _aligned(row, last):
            stop, last = number + 1, row
    return stop


def _aligned(row: Row, other: Row) -> bool:
    """Whether a cell after the first starts, ends or is centred where one of the other does."""
    near = 0.6 * row[0].size
    for a in row[1:]:
        for b in other[1:]:
            middles = abs(a.left + a.right - b.left - b.right) / 2
            if min(abs(a.left - b.left), abs(a.right - b.right), middles) < near:
                return True
    return False


def _running(rows: Sequence[Row]) -> bool:
    """Whether rows are lines of text columns that stand side by side."""
    wide = [row for row in rows if len(row) > 1]
    if len(wide) < 4 or len({len(row) for row in wide}) > 2:
        return False
    cells = [segment for row in wide for segment in row]
    return min(len(cells[0].text), median(len(c.text) for c in cells)) > RUNNING_CELL


def _columns(rows: Sequence[Row]) -> Iterator[Line]:
    """Return the lines of columns one column after the other."""
    starts = sorted(segment.left for segment in max(rows, key=len))
    columns: list[list[Segment]] = [[] for _ in starts]
    for row in rows:
        for segment in row:
            middle = (segment.left + segment.right) / 2
            number = max((i for i, left in enumerate(starts) if left <= middle), default=0)
            columns[number].append(segment)
    for column in columns:
        yield from (_line([segment], " ") for segment in column)


def _table(rows: Sequence[Row], number: int) -> Iterator[Line]:
    """Return a line for each row; a label set over two lines stands with its figures."""
    held: Line | None = None
    for row in rows:
        line = _line(row, CELL if len(row) > 1 else " ")
        line.table = number
        if held and len(row) > 1 and line.text[:1].islower():
            line.text = f"{held.text} {line.text}"
            held = None
        if held:
            yield held
        held = line if len(row) == 1 else None
        if held is None:
            yield line
    if held:
        yield held


def _line(row: Row, between: str) -> Line:
    """Return a row as a line of text."""
    text = row[0].text
    for before, segment in zip(row, row[1:], strict=False):
        joined = JOINED.fullmatch(before.text) or segment.text in ("%", ")", ")%")
        text += (" " if joined else between) + segment.text
    largest = max(row, key=lambda segment: segment.size)
    return Line(
        text=plain(text),
        left=row[0].left,
        right=max(segment.right for segment in row),
        base=largest.base,
        size=largest.size,
        turn=row[0].turn,
    )


def plain(text: str) -> str:
    """Return text in single spaces, without ligatures, and in the order it is read."""
    text = " ".join(text.split())
    if RIGHT_TO_LEFT.search(text):
        text = _logical(text)
    if LIGATURES.search(text):
        text = LIGATURES.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    return text


def _logical(text: str) -> str:
    """Turn round what is read from right to left: a page shows it as it is seen.

    A short form of the bidirectional algorithm (UAX 9), backwards.
    """
    if len(RIGHT_TO_LEFT.findall(text)) * 2 < sum(map(str.isalpha, text)):
        return BACKWARDS.sub(lambda match: match[0][::-1], text)
    turned = text[::-1].translate(MIRRORED)
    return LEFT_TO_RIGHT.sub(lambda match: match[0][::-1], turned)
