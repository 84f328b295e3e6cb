"""PDF: pages through pypdf, and through PDFium what pypdf cannot read."""

import gc
import io
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from pypdf import PdfReader, apply_configuration
from pypdf.errors import LimitReachedError
from pypdfium2 import PdfiumError

from ingest import ocr
from ingest.errors import Unreadable
from ingest.readers import pdf_extras, pdfium
from ingest.readers.pdf_drawing import Drawing, draw
from ingest.readers.pdf_extras import attempt
from ingest.readers.pdf_fonts import Typefaces
from ingest.readers.pdf_layout import Line, lines
from ingest.readers.pdf_paragraphs import (
    Paragraph,
    Words,
    continues,
    paragraphs,
    without_running_lines,
)
from ingest.types import Draft, Extract, File, Page, PageState

# pypdf tells its log what it mends in a broken file, without end if the file is made so.
logging.getLogger("pypdf").setLevel(logging.CRITICAL + 1)

MOST_PAGES = 5_000
"""Further pages are not read, and the ledger says so: a file of that length would keep all
others waiting for many minutes, and one made to waste time may claim a hundred thousand."""
LARGEST_ARRAY = 2_000_000
"""pypdf stops at 100,000 entries, which tagged files of a hundred pages have."""
MOST_HEADINGS = 20_000
"""Of an outline; pypdf's work grows with the square."""
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
LOCKED = "it is locked"
GARBLED = 0.3
"""A page has this share of characters that are none: its font does not say what it shows."""
ODD = re.compile("[\ufffd\ue000-\uf8ff\U000f0000-\U0010ffff\x00-\x08\x0e-\x1f]")
ACCENTED = re.compile("[\xa1-\xff]")
"""No language writes mostly in these: they are another encoding's bytes."""


def read(file: File) -> Extract:
    """Read a PDF; Unreadable if it is locked or so damaged that no page can be found.

    Pages that are images or damaged are noted, and what is not read is said; the extract may
    be without any text then.
    """
    with (
        apply_configuration(
            array_maximum_element_count=LARGEST_ARRAY, outline_maximum_entries=MOST_HEADINGS
        ),
        _collecting_rarely(),
        ExitStack() as closing,
    ):
        reader, problem = _open(file)
        return _Reading(file, reader, problem, closing).extract()


@contextmanager
def _collecting_rarely() -> Iterator[None]:
    """Look for garbage once in 50,000 objects: pypdf makes so many that half the time went there.

    Measured on a tagged filing of 72 pages: 9 pages a second become 14, for 65 MB more memory.
    """
    usual = gc.get_threshold()
    gc.set_threshold(50_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _open(file: File) -> tuple[PdfReader | None, str]:
    """Return pypdf's reader, or none and why."""
    try:
        reader = PdfReader(io.BytesIO(file.data))
        if reader.is_encrypted and not any(map(reader.decrypt, ("", *file.passwords))):
            return None, LOCKED
        return (reader, "") if len(reader.pages) else (None, "it has no pages")
    except MemoryError:
        raise
    except Exception as problem:  # pypdf raises nearly anything on a broken file
        return None, _told(problem)


def _told(problem: Exception) -> str:
    said = " ".join(str(problem).split())[:120]
    return f"{type(problem).__name__}: {said}" if said else type(problem).__name__


@dataclass(slots=True)
class _Sheet:
    """A page on its way into the text."""

    lines: list[Line]
    state: PageState = PageState.TEXT
    problem: str = ""
    extras: list[str] = field(default_factory=list)


class _Reading:
    """One file being read."""

    def __init__(
        self, file: File, reader: PdfReader | None, problem: str, closing: ExitStack
    ) -> None:
        self._file = file
        self._reader = reader
        self._problem = problem
        self._closing = closing
        self._pdfium: Any = None
        self._typefaces = Typefaces()
        self._fields = pdf_extras.Fields()
        self._by_pdfium: list[int] = []

    def extract(self) -> Extract:
        """Return the file's text; Unreadable if neither library can read a page."""
        count = len(self._reader.pages) if self._reader else self._count()
        sheets = [self._sheet(number) for number in range(min(count, MOST_PAGES))]
        if all(sheet.state is PageState.FAILED for sheet in sheets):
            raise _damaged(sheets[0].problem)
        draft = Draft()
        self._write(sheets, draft)
        title, members = "", None
        if self._reader:
            title, members = pdf_extras.title(self._reader), pdf_extras.Attachments(self._reader)
        return draft.finish(
            title,
            warnings=self._warnings(),
            unread=self._unread(sheets, count),
            members=members or (),
        )

    def _count(self) -> int:
        """Return how many pages PDFium finds."""
        try:
            count = len(self._document())
        except PdfiumError as problem:
            if self._problem == LOCKED or "password" in str(problem).lower():
                raise Unreadable(
                    "It is locked with a password. Save it without one, or give it with"
                    " --passwords."
                ) from problem
            count = 0
        if not count:
            raise _damaged(self._problem)
        return count

    def _document(self) -> Any:
        if self._pdfium is None:
            opened = pdfium.opened(self._file.data, self._file.passwords)
            self._pdfium = self._closing.enter_context(opened)
        return self._pdfium

    def _sheet(self, number: int) -> _Sheet:
        """Read one page, counting from 0; whatever goes wrong with it stays with it."""
        drawing, found, problem = self._drawn(number)
        letters = _letters(found)
        doubtful = UNSURE * drawing.shown < drawing.unsure or _garbled(found)
        if problem != TOO_MUCH and (not letters or drawing.lost or doubtful):
            second, images = self._by_second(number)
            if _letters(second) > (0 if doubtful else 1.1 * letters) and not _garbled(second):
                found, letters, problem = second, _letters(second), ""
                self._by_pdfium.append(number + 1)
            drawing.images = max(drawing.images, float(images) if self._reader is None else 0.0)
        unclear = _garbled(found)
        sheet = _Sheet([] if unclear else found, problem=problem)
        sheet.state = PageState.IMAGE if unclear else _state(letters, drawing, problem)
        if self._reader and not problem:
            page = self._reader.pages[number]
            sheet.extras = attempt(lambda: [*self._fields.on(page), *pdf_extras.notes(page)], [])
        if sheet.extras and sheet.state is PageState.EMPTY:
            sheet.state = PageState.TEXT
        if number + 1 in self._file.ocr:
            _recognised(sheet, self._file.ocr[number + 1])
        return sheet

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
            return Drawing(), [], _told(problem)

    def _by_second(self, number: int) -> tuple[list[Line], bool]:
        """Return the lines PDFium finds, and whether there are images; nothing if it fails."""
        try:
            return pdfium.page_lines(self._document(), number)
        except (PdfiumError, IndexError, ValueError):
            return [], False

    def _write(self, sheets: Sequence[_Sheet], draft: Draft) -> None:
        """Put the pages' paragraphs into the draft, joining what runs on over a page's end."""
        pages = without_running_lines([sheet.lines for sheet in sheets])
        words = Words(pages)
        outline = pdf_extras.outline(self._reader) if self._reader else {}
        labels = pdf_extras.labels(self._reader) if self._reader else []
        last: Paragraph | None = None
        for number, (sheet, kept) in enumerate(zip(sheets, pages, strict=True)):
            found = list(paragraphs(kept, outline.get(number, []), words))
            tables = len({paragraph.table for paragraph in found} - {0})
            draft.tables += tables
            label = labels[number] if number < len(labels) else ""
            page = Page(sheet.state, label, tables)
            if last and found and _goes_on(last, found[0]):
                whole = words.join(last.text, found[0].text)
                draft.run_on(whole, len(whole) - len(found[0].text), page)
                found[0] = Paragraph(whole, runs_on=found[0].runs_on)
                rest = found[1:]
            else:
                draft.start_page(page)
                rest = found
            for paragraph in rest:
                draft.add(paragraph.text, paragraph.level)
            for extra in sheet.extras:
                draft.add(extra)
            last = found[-1] if found and not sheet.extras else None

    def _warnings(self) -> Iterator[str]:
        if self._reader is None:
            yield f"pypdf could not read it ({self._problem}): PDFium did, without headings."
        elif self._by_pdfium:
            yield f"{ocr.named(self._by_pdfium)} could only be read with PDFium: look at the text."
        if self._reader:
            yield from pdf_extras.warnings(self._reader)

    def _unread(self, sheets: Sequence[_Sheet], count: int) -> Iterator[str]:
        numbered = list(enumerate(sheets, start=1))
        images = [number for number, sheet in numbered if sheet.state is PageState.IMAGE]
        if images:
            yield ocr.advice(images)
        failed = [number for number, sheet in numbered if sheet.state is PageState.FAILED]
        if failed:
            are = "is" if len(failed) == 1 else "are"
            why = sheets[failed[0] - 1].problem
            yield f"{ocr.named(failed)} {are} damaged ({why}): print the file to PDF anew."
        if count > len(sheets):
            yield f"Pages {len(sheets) + 1} to {count} are not read: split the file."
        if self._reader and pdf_extras.unread_form(self._reader):
            yield "It is a form in XML (XFA), which is not read: print it to PDF."


def _damaged(problem: str) -> Unreadable:
    return Unreadable(f"It is a damaged PDF ({problem}). Save it anew, or print it to PDF.")


def _letters(found: Sequence[Line]) -> int:
    return sum(character.isalnum() for line in found for character in line.text)


def _garbled(found: Sequence[Line]) -> bool:
    """Whether much of a page's text is no characters at all."""
    text = "".join(line.text for line in found)
    odd, accented = len(ODD.findall(text)), len(ACCENTED.findall(text))
    return odd > GARBLED * len(text) or accented > 0.5 * len(text)


def _state(letters: int, drawing: Drawing, problem: str) -> PageState:
    """Return what became of a page that was not recognised."""
    if problem:
        return PageState.FAILED
    if letters:
        scan = letters < FEW_LETTERS and drawing.images >= COVERED
        return PageState.IMAGE if scan else PageState.TEXT
    seen = drawing.images >= VISIBLE or drawing.strokes >= OUTLINES
    return PageState.IMAGE if seen or drawing.lost else PageState.EMPTY


def _recognised(sheet: _Sheet, text: str) -> None:
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


def _goes_on(last: Paragraph, first: Paragraph) -> bool:
    """Whether a paragraph runs on from one page to the next."""
    plain = not (first.level or first.table or last.level or last.table)
    return plain and last.runs_on and continues(last.text, first.text)
