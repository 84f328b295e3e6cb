"""The rows of tables, and columns of text that were drawn across."""

from collections.abc import Iterator, Sequence
from statistics import median

from ingest.readers.pdf_lines import JOINED, Line, Row, line_of
from ingest.readers.pdf_segments import Segment

CELL = " | "
RUNNING_CELL = 25
"""Cells longer than this on average are lines of a text column, not of a table."""
MOST_HEADINGS = 8
"""Lines above a table that may be its columns' headings, some to each."""
BETWEEN = 3
"""Lines without figures that a table may have in a row: a heading, a label over two lines."""


def laid_out(rows: Sequence[Row]) -> Iterator[Line]:
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
        yield from (line_of(row, " ") for row in held[: len(held) - len(head) - len(labels)])
        held = []
        if running:
            yield from _columns(part)
        else:
            tables += 1
            yield from _table([*_headings(head, part), *labels, *part], tables)
    yield from (line_of(row, " ") for row in held)


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
        yield from (line_of([segment], " ") for segment in column)


def _table(rows: Sequence[Row], number: int) -> Iterator[Line]:
    """Return a line for each row; a label set over two lines stands with its figures."""
    held: Line | None = None
    for row in rows:
        line = line_of(row, CELL if len(row) > 1 else " ")
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
