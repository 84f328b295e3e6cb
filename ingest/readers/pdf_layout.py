"""The lines of a PDF page in reading order, and the rows of its tables.

The order of the content stream is kept, for it is nearly always the author's; only where it
jumps about is the page put in order by where things stand. Text on one base line is one line,
unless it is columns of running text that were drawn across.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from ingest.readers.pdf_drawing import SAME_LINE, Segment
from ingest.readers.pdf_fonts import RIGHT_TO_LEFT

CELL = " | "
RUNNING_CELL = 25
"""Cells longer than this on average are lines of a text column, not of a table."""
MOST_HEADINGS = 8
"""Lines above a table that may be its columns' headings, some to each."""
BETWEEN = 3
"""Lines without figures that a table may have in a row: a heading, a label over two lines."""
JOINED = re.compile(r"[$€£¥]|[(]|[A-Z]{3}")
CLOSING = re.compile(r"[)%]+")
"""A cell that belongs to the one beside it: “$ | 12”, “(3 | )”."""
LIGATURES = re.compile("[\ufb00-\ufb06\ufb1d-\ufdff\ufe70-\ufefc]")
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
    return ups >= 6 and ups > 0.2 * len(rows)


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
    held: list[Row] = []  # lines that may turn out to be the headings of a table's columns
    while at < len(rows):
        part = list(rows[at : _run(rows, at)])
        at += len(part)
        table = sum(len(row) > 1 for row in part) > 1
        if not table:
            held += part
            continue
        running = _running(part)
        head, labels = ([], []) if running else _head(held, part)
        yield from (_line(row, " ") for row in held[: len(held) - len(head) - len(labels)])
        held = []
        if running:
            yield from _columns(part)
        else:
            tables += 1
            yield from _table([*_headings(head, part), *labels, *part], tables)
    yield from (_line(row, " ") for row in held)


def _head(held: Sequence[Row], part: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Return the last lines above a table that stand over its columns, not over the first.

    With them come the lines between them and the table's first row, if there are any.
    """
    figures = min(row[1].left for row in part if len(row) > 1)
    head: list[Row] = []
    labels: list[Row] = []
    below = part[0]
    for row in reversed(held[-MOST_HEADINGS:]):
        size = row[0].size
        if not -3 * size < row[0].base - below[0].base < 3 * size:
            break
        below = row
        if row[0].left >= figures - 4 * size:
            head.insert(0, row)
        elif head or len(row) > 1 or len(labels) == BETWEEN:
            break
        else:
            labels.insert(0, row)
    return (head, labels) if head else ([], [])


def _headings(head: Sequence[Row], part: Sequence[Row]) -> list[Row]:
    """Return headings that are set over some lines as one row, above it what spans columns."""
    cells = [s for s in max(part, key=len)[1:] if not JOINED.fullmatch(s.text.strip())]
    middles = [(cell.left + cell.right) / 2 for cell in cells]
    above: list[Row] = []
    stacks: dict[int, list[Segment]] = {}
    for row in head:
        spans = any(sum(s.left < middle < s.right for middle in middles) > 1 for s in row)
        if spans or not middles:
            above.append(row)
            continue
        for segment in row:
            middle = (segment.left + segment.right) / 2
            nearest = min(range(len(middles)), key=lambda n: abs(middles[n] - middle))
            stacks.setdefault(nearest, []).append(segment)
    if len(stacks) < 2:
        return list(head)
    return [*above, [_stacked(stacks[n]) for n in sorted(stacks)]]


def _stacked(stack: Sequence[Segment]) -> Segment:
    """Return the lines of a column's heading as one."""
    return Segment(
        left=min(s.left for s in stack),
        right=max(s.right for s in stack),
        base=stack[-1].base,
        size=stack[0].size,
        turn=stack[0].turn,
        parts=[" ".join(s.text for s in sorted(stack, key=lambda s: -s.base))],
    )


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
    """Whether a cell after the first starts or ends where one of the other does, or is over it."""
    near = 0.6 * row[0].size
    for a in row[1:]:
        for b in other[1:]:
            shared = min(a.right, b.right) - max(a.left, b.left)
            over = shared > 0.6 * min(a.right - a.left, b.right - b.left)
            if over or min(abs(a.left - b.left), abs(a.right - b.right)) < near:
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
    for before, segment in pairwise(row):
        joined = JOINED.fullmatch(before.text.strip()) or CLOSING.fullmatch(segment.text.strip())
        text = f"{text.rstrip()}{' ' if joined else between}{segment.text.lstrip()}"
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
