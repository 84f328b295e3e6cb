"""PDF output: A4, bookmarked headings, real tables, text that extracts in reading order."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time
from functools import partial
from io import BytesIO
from itertools import count
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import (
    registerFont,
    stringWidth,
)
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    HRFlowable,
    PageTemplate,
    Paragraph,
    Spacer,
    TableStyle,
)
from reportlab.platypus import Table as PdfTable

from scripts.corpus.blocks import Block, Heading, Item, Run, Runs, Table, parse_blocks, plain
from scripts.corpus.layout import share
from scripts.corpus.source import Source, SourceError

EPOCH = "SOURCE_DATE_EPOCH"
PAGE_WIDTH, PAGE_HEIGHT = A4
SIDE, TOP, BOTTOM = 27 * mm, 22 * mm, 23 * mm
WIDTH = PAGE_WIDTH - 2 * SIDE
PADDING = 5.0
INK, ACCENT, FAINT, WASH = (HexColor(h) for h in ("#1c2430", "#1f4e79", "#5d6875", "#e9eff5"))

# The built-in fonts draw a bullet that is read back as a control character; this one, which comes
# with the library, is embedded and read back right.
registerFont(TTFont("Bullets", "Vera.ttf"))
BODY = ParagraphStyle(
    "body",
    fontName="Helvetica",
    fontSize=10.2,
    leading=14.8,
    textColor=INK,
    spaceAfter=7,
    allowWidows=0,
    allowOrphans=0,
)
ITEM = ParagraphStyle("item", BODY, leftIndent=15, bulletIndent=3, spaceAfter=5)
QUOTE = ParagraphStyle("quote", BODY, leftIndent=15, rightIndent=15, textColor=FAINT)
CELL = ParagraphStyle("cell", BODY, fontSize=9, leading=12, spaceAfter=0)
HEAD_CELL = ParagraphStyle("head", CELL, fontName="Helvetica-Bold", textColor=ACCENT)
BYLINE = ParagraphStyle("byline", BODY, fontSize=9.2, leading=12, textColor=FAINT, spaceAfter=9)


def _heading_style(level: int, size: float, before: float, after: float) -> ParagraphStyle:
    """Return the style of a heading."""
    return ParagraphStyle(
        f"heading{level}",
        BODY,
        fontName="Helvetica-Bold",
        fontSize=size,
        leading=size * 1.25,
        textColor=ACCENT if level < 3 else INK,
        spaceBefore=before,
        spaceAfter=after,
    )


HEADINGS = {
    1: _heading_style(1, 21, 0, 6),
    2: _heading_style(2, 14, 12, 5),
    3: _heading_style(3, 11, 7, 3),
}
# The room a heading must find beneath it, so that it never ends a page, even above another heading.
ROOM = {1: 0, 2: 125, 3: 85}
GRID = TableStyle(
    [
        ("BACKGROUND", (0, 0), (-1, 0), WASH),
        ("LINEBELOW", (0, 0), (-1, 0), 0.9, ACCENT),
        ("LINEBELOW", (0, 1), (-1, -1), 0.4, HexColor("#c3ccd6")),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), PADDING),
        ("RIGHTPADDING", (0, 0), (-1, -1), PADDING),
        ("TOPPADDING", (0, 0), (-1, -1), 4),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 4.5),
    ]
)


def render(source: Source) -> bytes:
    """Return the source as a PDF, the same bytes every time."""
    _check_characters(source)
    buffer = BytesIO()
    document = BaseDocTemplate(
        buffer, pagesize=A4, invariant=1, title=source.title, author=source.author, lang="en-GB"
    )
    frame = Frame(SIDE, BOTTOM, WIDTH, PAGE_HEIGHT - TOP - BOTTOM, 0, 0, 0, 0)
    # The footer is drawn last so that it is extracted last, after the page's own text.
    footer = partial(_draw_footer, source.title)
    document.addPageTemplates([PageTemplate(frames=[frame], onPageEnd=footer)])
    document.afterFlowable = partial(_bookmark, document, count(1))
    with _dated(source):
        document.build(_story(source))
    return buffer.getvalue()


@contextmanager
def _dated(source: Source) -> Iterator[None]:
    """Let ReportLab take the source's date for today's, which it does only for this variable."""
    before = os.environ.get(EPOCH)
    os.environ[EPOCH] = str(int(datetime.combine(source.dated, time(9), UTC).timestamp()))
    try:
        yield
    finally:
        os.environ.pop(EPOCH)
        if before is not None:
            os.environ[EPOCH] = before


def _check_characters(source: Source) -> None:
    """Raise SourceError for a character the built-in fonts cannot draw and give back."""
    for character in sorted(set(source.body + source.title + source.byline)):
        try:
            character.encode("cp1252")
        except UnicodeEncodeError as fault:
            raise SourceError(f"a PDF cannot hold the character {character!r}") from fault


def _draw_footer(title: str, canvas: Any, document: Any) -> None:
    """Draw the title and the page number under the page."""
    canvas.setFont("Helvetica", 8.5)
    canvas.setFillColor(FAINT)
    canvas.drawCentredString(PAGE_WIDTH / 2, 14 * mm, f"{title} · page {document.page}")


def _bookmark(document: Any, numbers: Iterator[int], flowable: Any) -> None:
    """Add the flowable just drawn to the outline if it is a heading."""
    levels = {style.name: level for level, style in HEADINGS.items()}
    if isinstance(flowable, Paragraph) and flowable.style.name in levels:
        key = f"heading-{next(numbers)}"
        level = levels[flowable.style.name]
        document.canv.bookmarkPage(key)
        document.canv.addOutlineEntry(flowable.getPlainText(), key, level - 1, closed=False)


def _story(source: Source) -> list[Any]:
    """Return the flowables of the whole document, the byline after the title."""
    title, *rest = parse_blocks(source.body)
    story = [*_flowables(title), Paragraph(escape(source.byline), BYLINE)]
    story.append(HRFlowable(width="100%", thickness=0.9, color=ACCENT, spaceAfter=11))
    for block in rest:
        story.extend(_flowables(block))
    return story


def _flowables(block: Block) -> Iterable[Any]:
    """Return the flowables that draw one block."""
    match block:
        case Heading(level, runs):
            return [CondPageBreak(ROOM[level]), Paragraph(_markup(runs), HEADINGS[level])]
        case Item(depth, marker, runs):
            return [_item(depth, marker, runs)]
        case Table():
            return [Spacer(1, 2), _table(block), Spacer(1, 10)]
        case _:
            return [Paragraph(_markup(block.runs), QUOTE if block.quoted else BODY)]


def _item(depth: int, marker: str, runs: Runs) -> Any:
    """Return a list item's paragraph, its marker hung in the margin."""
    step = 15 * depth
    style = ParagraphStyle(
        f"item{depth}",
        ITEM,
        leftIndent=ITEM.leftIndent + step + (5 if marker else 0),
        bulletIndent=ITEM.bulletIndent + step,
        bulletFontName="Helvetica" if marker else "Bullets",
    )
    return Paragraph(_markup(runs), style, bulletText=marker or "•")


def _table(table: Table) -> Any:
    """Return a table as wide as the page's text, its header repeated after a page break."""
    widths = _column_widths(table)
    rows = [_row(table.header, widths, HEAD_CELL), *(_row(row, widths, CELL) for row in table.rows)]
    return PdfTable(rows, colWidths=widths, repeatRows=1, style=GRID)


def _row(row: tuple[Runs, ...], widths: list[float], style: ParagraphStyle) -> list[Any]:
    """Return a row's cells, as single lines if every cell fits on one."""
    if all(_width(cell, style) <= width for cell, width in zip(row, widths, strict=True)):
        return [_Line(cell, style) for cell in row]
    return [Paragraph(_markup(cell), style) for cell in row]


class _Line(Flowable):  # type: ignore[misc]
    """A cell of one line.

    A paragraph ends by moving to a new line, so a reader of the file would put each cell of a row
    on a line of its own; this does not, and the row reads as one line.
    """

    def __init__(self, runs: Runs, style: ParagraphStyle) -> None:
        super().__init__()
        self.runs, self.style = runs, style

    def wrap(self, width: float, _height: float) -> tuple[float, float]:
        """Return the room taken: the width given and one line."""
        return width, self.style.leading

    def draw(self) -> None:
        """Draw the runs, moving to no new line after them."""
        text = self.canv.beginText(0, self.style.leading - self.style.fontSize)
        text.setFillColor(self.style.textColor)
        for run in self.runs:
            text.setFont(_font(run, self.style), self.style.fontSize)
            text.textOut(run.text)
        self.canv.drawText(text)


def _font(run: Run, style: ParagraphStyle) -> str:
    """Return the name of the font a run of a single-line cell is drawn in."""
    if run.code:
        return "Courier"
    bold, italic = run.bold or style is HEAD_CELL, run.italic
    return {
        (False, False): "Helvetica",
        (True, False): "Helvetica-Bold",
        (False, True): "Helvetica-Oblique",
        (True, True): "Helvetica-BoldOblique",
    }[bold, italic]


def _column_widths(table: Table) -> list[float]:
    """Return widths that never break a word and keep rows, though not the header, to one line."""
    columns = list(zip(table.header, *table.rows, strict=True))
    words = [[Run(word) for cell in column for word in plain(cell).split()] for column in columns]
    least = [max(_width((word,), HEAD_CELL) for word in column) for column in words]
    wanted = [
        max(need, *(_width(cell, CELL) for cell in column[1:]))
        for need, column in zip(least, columns, strict=True)
    ]
    return share(WIDTH, least, wanted)


def _width(runs: Runs, style: ParagraphStyle) -> float:
    """Return the room a cell takes on one line, its padding and a hair's breadth included."""
    text = sum(stringWidth(run.text, _font(run, style), style.fontSize) for run in runs)
    return float(text) + 2 * PADDING + 0.5


def _markup(runs: Runs) -> str:
    """Return the runs in the library's paragraph markup."""
    return "".join(_run_markup(run) for run in runs)


def _run_markup(run: Run) -> str:
    """Return one run in the library's paragraph markup."""
    text = escape(run.text)
    if run.code:
        text = f'<font face="Courier">{text}</font>'
    if run.italic:
        text = f"<i>{text}</i>"
    if run.bold:
        text = f"<b>{text}</b>"
    return f'<a href={quoteattr(run.href)} color="#1f4e79">{text}</a>' if run.href else text
