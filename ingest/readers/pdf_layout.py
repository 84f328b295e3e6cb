"""The lines of a PDF page in reading order, and the rows of its tables.

The order of the content stream is kept, for it is nearly always the author's; only where it
jumps about is the page put in order by where things stand. Text on one base line is one line,
unless it is columns of running text that were drawn across.
"""

from collections.abc import Sequence

from ingest.readers.pdf_lines import Line, Row
from ingest.readers.pdf_segments import SAME_LINE, Segment
from ingest.readers.pdf_tables import laid_out

MOST_ROWS = 5_000
"""A page with more is left as it is drawn: putting it in order may take too long."""


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
        for line in laid_out(rows):
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
    return len(rows) < MOST_ROWS and ups >= 6 and ups > 0.2 * len(rows)


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
