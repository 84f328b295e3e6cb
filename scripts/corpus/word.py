"""DOCX output: the template's own heading, list and table styles, dressed in plain type."""

from datetime import datetime, time
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from docx import Document
from docx.document import Document as WordDocument
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor
from docx.text.paragraph import Paragraph as WordParagraph

from scripts.corpus.blocks import Block, Heading, Item, Runs, Table, parse_blocks
from scripts.corpus.source import Source

FONT = "Calibri"
ACCENT = RGBColor(0x1F, 0x4E, 0x79)
HEADING_SIZES = {1: 22, 2: 15, 3: 12}
# The earliest moment a zip archive can hold; the same for every part, so builds repeat.
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def render(source: Source) -> bytes:
    """Return the source as a Word document, the same bytes every time."""
    document = Document()
    _set_properties(document, source)
    _set_page_and_styles(document)
    title, *rest = parse_blocks(source.body)
    _add(document, title)
    document.add_paragraph(source.byline, "Subtitle")
    for block in rest:
        _add(document, block)
    buffer = BytesIO()
    document.save(buffer)
    return _timeless(buffer.getvalue())


def _set_properties(document: WordDocument, source: Source) -> None:
    """Set the core properties, dated by the source and not by the clock."""
    moment = datetime.combine(source.dated, time(9))
    properties = document.core_properties
    properties.title, properties.author = source.title, source.author
    properties.last_modified_by, properties.comments = source.author, ""
    properties.created = properties.modified = moment
    properties.language = "en-GB"


def _set_page_and_styles(document: WordDocument) -> None:
    """Set A4 paper and the fonts of the text and the headings."""
    section = document.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.left_margin = section.right_margin = Mm(27)
    _set_font(document.styles["Normal"], 11)
    for level, size in HEADING_SIZES.items():
        _set_font(document.styles[f"Heading {level}"], size)
        document.styles[f"Heading {level}"].font.color.rgb = ACCENT
    _set_font(document.styles["Subtitle"], 10)


def _set_font(style: Any, size: int) -> None:
    """Set a style's font and size, over the theme's own font where it names one."""
    style.font.name, style.font.size = FONT, Pt(size)
    fonts = style.element.rPr.rFonts
    for theme in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
        fonts.attrib.pop(qn(f"w:{theme}"), None)


def _add(document: WordDocument, block: Block) -> None:
    """Add one block at the document's end."""
    match block:
        case Heading(level, runs):
            _write(document.add_heading(level=level), runs)
        case Item(depth, marker, runs):
            name = "List Number" if marker else "List Bullet"
            _write(document.add_paragraph(style=f"{name} {depth + 1}" if depth else name), runs)
        case Table():
            _add_table(document, block)
        case _:
            style = "Quote" if block.quoted else "Normal"
            _write(document.add_paragraph(style=style), block.runs)


def _write(paragraph: WordParagraph, runs: Runs, bold: bool = False) -> None:
    """Add the runs to the paragraph; a link keeps its text only."""
    for run in runs:
        written = paragraph.add_run(run.text)
        written.bold = True if run.bold or bold else None
        written.italic = True if run.italic else None
        if run.code:
            written.font.name = "Consolas"


def _add_table(document: WordDocument, table: Table) -> None:
    """Add a table whose first row is marked as a header repeated on each page."""
    rows = (table.header, *table.rows)
    grid = document.add_table(len(rows), len(table.header), "Light Grid Accent 1")
    for row, cells in zip(grid.rows, rows, strict=True):
        for cell, runs in zip(row.cells, cells, strict=True):
            _write(cell.paragraphs[0], runs, bold=cells is table.header)
    grid.rows[0]._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
    document.add_paragraph()


def _timeless(archive: bytes) -> bytes:
    """Return the zip archive with every part's time set to the zip epoch."""
    buffer = BytesIO()
    with ZipFile(BytesIO(archive)) as old, ZipFile(buffer, "w", ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(ZipInfo(part.filename, ZIP_EPOCH), old.read(part), ZIP_DEFLATED)
    return buffer.getvalue()
