"""Text output: underlined headings, paragraphs wrapped to 78 columns, aligned tables."""

from itertools import zip_longest
from textwrap import wrap

from scripts.corpus.blocks import Block, Heading, Item, Runs, Table, parse_blocks, plain
from scripts.corpus.layout import share
from scripts.corpus.source import Source

COLUMNS = 78
GAP = "  "


def render(source: Source) -> bytes:
    """Return the source as plain text in UTF-8, the byline under the title."""
    title, *rest = parse_blocks(source.body)
    text = f"{_text(title)}\n\n{source.byline}\n"
    within_list = False
    for block in rest:
        # The items of one list stand on successive lines; all else is set apart by a blank one.
        text += ("" if within_list and isinstance(block, Item) else "\n") + _text(block) + "\n"
        within_list = isinstance(block, Item)
    return text.encode()


def _text(block: Block) -> str:
    """Return one block as lines of at most 78 columns."""
    match block:
        case Heading(level, runs):
            heading = plain(runs)
            return f"{heading}\n{('=' if level == 1 else '-') * len(heading)}"
        case Item(depth, marker, runs):
            indent = "  " * depth
            return _wrapped(runs, f"{indent}{marker or '-'} ")
        case Table():
            return _table(block)
        case _:
            return _wrapped(block.runs, "    " if block.quoted else "")


def _wrapped(runs: Runs, lead: str) -> str:
    """Return the text wrapped, the lead before its first line and as much space before others."""
    return "\n".join(_lines(plain(runs), COLUMNS, lead))


def _lines(text: str, width: int, lead: str = "") -> list[str]:
    """Return the text's lines, no word broken."""
    return wrap(
        text,
        width,
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _table(table: Table) -> str:
    """Return the table in aligned columns, a rule under its header."""
    rows = [[plain(cell) for cell in row] for row in (table.header, *table.rows)]
    widths = _widths(rows)
    lines = [line for row in rows[1:] for line in _row(row, widths)]
    rule = GAP.join("-" * width for width in widths)
    return "\n".join([*_row(rows[0], widths), rule, *lines])


def _widths(rows: list[list[str]]) -> list[int]:
    """Return the columns' widths: as wide as they want if the page has room, else a share."""
    columns = list(zip(*rows, strict=True))
    wanted = [max(len(text) for text in column) for column in columns]
    room = COLUMNS - len(GAP) * (len(columns) - 1)
    if sum(wanted) <= room:
        return wanted
    least = [max(len(word) for text in column for word in text.split()) for column in columns]
    return [int(width) for width in share(room, least, wanted)]


def _row(row: list[str], widths: list[int]) -> list[str]:
    """Return a row's lines, each cell wrapped in its own column."""
    cells = [_lines(text, width) for text, width in zip(row, widths, strict=True)]
    return [
        GAP.join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()
        for parts in zip_longest(*cells, fillvalue="")
    ]
