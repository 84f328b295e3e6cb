"""The pages of a PDF: what is read on each, by which library, and what is not."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from pypdf import PdfReader
from pypdf.errors import LimitReachedError
from pypdfium2 import PdfiumError

from ingest.readers import pdf_extras, pdfium
from ingest.readers.pdf_drawing import Drawing, draw
from ingest.readers.pdf_extras import attempt
from ingest.readers.pdf_fonts import Typefaces
from ingest.readers.pdf_layout import lines
from ingest.readers.pdf_lines import Line
from ingest.types import File, PageState

FEW_LETTERS = 100
"""A stamp, a page number, a scanner's header: a page of prose has more than 1,000."""
COVERED = 0.5
"""An image over half the page, with a few letters: a scan with a stamp, not a page of text."""
VISIBLE = 0.01
"""A smaller image is a rule or a spacer."""
OUTLINES = 500
"""Lines and curves without any text: letters drawn as shapes take 10 to 30 each."""
UNSURE = 0.2
"""A page has this share of its strings in fonts that do not name their characters."""
TOO_MUCH = "more is drawn on it than is safe to read"
"""PDFium is not asked then: it has no such limits, and ends the process without memory."""
GARBLED = 0.3
"""A page has this share of characters that are none: its font does not say what it shows."""
ODD = re.compile("[\ufffd\ue000-\uf8ff\U000f0000-\U0010ffff\x00-\x08\x0e-\x1f]")
ACCENTED = re.compile("[\xa1-\xff]")
"""No language writes mostly in these: they are another encoding's bytes."""


@dataclass(slots=True)
class Sheet:
    """A page on its way into the text."""

    lines: list[Line]
    state: PageState = PageState.TEXT
    problem: str = ""
    extras: list[str] = field(default_factory=list)


class Sheets:
    """Reads the pages of one file, with pypdf if it can and with PDFium if not.

    `problem` says why there is no reader. `by_pdfium` are the numbers of pages, from 1, that
    only PDFium could read.
    """

    def __init__(
        self, file: File, reader: PdfReader | None, problem: str, closing: ExitStack
    ) -> None:
        self.by_pdfium: list[int] = []
        self._file = file
        self._reader = reader
        self._problem = problem
        self._closing = closing
        self._pdfium: Any = None
        self._typefaces = Typefaces()
        self._fields = pdf_extras.Fields()

    def __len__(self) -> int:
        """Return how many pages there are; PdfiumError if neither library can tell."""
        return len(self._reader.pages) if self._reader else len(self._document())

    def __getitem__(self, number: int) -> Sheet:
        """Read one page, counting from 0; whatever goes wrong with it stays with it."""
        sheet = self._read(number)
        if self._reader and sheet.state is not PageState.FAILED:
            page = self._reader.pages[number]
            sheet.extras = attempt(lambda: [*self._fields.on(page), *pdf_extras.notes(page)], [])
        if sheet.extras and sheet.state is PageState.EMPTY:
            sheet.state = PageState.TEXT
        if number + 1 in self._file.ocr:
            _recognised(sheet, self._file.ocr[number + 1])
        return sheet

    def _read(self, number: int) -> Sheet:
        """Ask pypdf, and PDFium too where that gave nothing or what may be wrong."""
        drawing, found, problem = self._drawn(number)
        letters = _letters(found)
        doubtful = UNSURE * drawing.shown < drawing.unsure or _garbled(found)
        if problem != TOO_MUCH and (not letters or drawing.lost or doubtful):
            second = self._by_second(number)
            if second and self._reader is None:
                drawing.images, problem = float(second.images), ""
            least = 0 if doubtful else 1.1 * letters
            if second and _letters(second.lines) > least and not _garbled(second.lines):
                self.by_pdfium.append(number + 1)
                return Sheet(second.lines, _state(_letters(second.lines), drawing))
        if problem:
            return Sheet([], PageState.FAILED, problem)
        if _garbled(found):
            return Sheet([], PageState.IMAGE)
        return Sheet(found, _state(letters, drawing))

    def _document(self) -> Any:
        if self._pdfium is None:
            opened = pdfium.opened(self._file.data, self._file.passwords)
            self._pdfium = self._closing.enter_context(opened)
        return self._pdfium

    def _drawn(self, number: int) -> tuple[Drawing, list[Line], str]:
        """Return what pypdf finds on a page, or why it does not."""
        if self._reader is None:
            return Drawing(), [], self._problem
        try:
            drawing = draw(self._reader.pages[number], self._typefaces)
            return drawing, lines(drawing.segments), ""
        except MemoryError:
            raise
        except LimitReachedError:
            return Drawing(), [], TOO_MUCH
        except Exception as problem:  # pypdf raises nearly anything on a broken page
            return Drawing(), [], told(problem)

    def _by_second(self, number: int) -> pdfium.Found | None:
        """Return what PDFium finds on a page, if it can read it."""
        try:
            return pdfium.find(self._document(), number)
        except (PdfiumError, IndexError, ValueError):
            return None


def told(problem: Exception) -> str:
    """Return what an exception of pypdf's says, in short."""
    said = " ".join(str(problem).split())[:120]
    return f"{type(problem).__name__}: {said}" if said else type(problem).__name__


def _letters(found: Sequence[Line]) -> int:
    return sum(character.isalnum() for line in found for character in line.text)


def _garbled(found: Sequence[Line]) -> bool:
    """Whether much of a page's text is no characters at all."""
    text = "".join(line.text for line in found)
    odd, accented = len(ODD.findall(text)), len(ACCENTED.findall(text))
    return odd > GARBLED * len(text) or accented > 0.5 * len(text)


def _state(letters: int, drawing: Drawing) -> PageState:
    """Return what became of a page that could be read and was not recognised."""
    if letters:
        scan = letters < FEW_LETTERS and drawing.images >= COVERED
        return PageState.IMAGE if scan else PageState.TEXT
    seen = drawing.images >= VISIBLE or drawing.strokes >= OUTLINES
    return PageState.IMAGE if seen or drawing.lost else PageState.EMPTY


def _recognised(sheet: Sheet, text: str) -> None:
    """Put recognised text on a page, after what it says itself and an image does not repeat."""
    words = set(re.findall(r"\w+", text.casefold()))
    own = re.findall(r"\w+", " ".join(line.text for line in sheet.lines).casefold())
    kept = sheet.lines if sum(word not in words for word in own) > 0.2 * len(own) else []
    sheet.lines = [*kept, *_typed(text, below=kept[-1].base if kept else 0.0)]
    sheet.state, sheet.problem = PageState.OCR, ""


def _typed(text: str, below: float) -> Iterator[Line]:
    """Return recognised lines with places made up, a blank line being a gap."""
    for number, row in enumerate(text.splitlines(), start=1):
        if row := " ".join(row.split()):
            yield Line(row, 0.0, 0.5 * len(row), below - 1.2 * number, 1.0)
