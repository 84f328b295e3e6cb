"""PDF: pages through pypdf, and through PDFium what pypdf cannot read."""

import gc
import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from pypdf import PdfReader, apply_configuration
from pypdfium2 import PdfiumError

from ingest import ocr
from ingest.errors import Unreadable
from ingest.readers import pdf_extras
from ingest.readers.pdf_paragraphs import (
    LONGEST,
    Paragraph,
    Words,
    continues,
    paragraphs,
    without_running_lines,
)
from ingest.readers.pdf_sheets import Sheet, Sheets, told
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
LOCKED = "it is locked"
NOTHING = {PageState.EMPTY, PageState.FAILED}
"""What PDFium makes of pages where there are none."""


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
        return _extract(Sheets(file, reader, problem, closing), reader, problem)


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
        return None, told(problem)


def _extract(sheets: Sheets, reader: PdfReader | None, problem: str) -> Extract:
    """Return the file's text; Unreadable if neither library can read a page."""
    count = _count(sheets, problem)
    read = [sheets[number] for number in range(min(count, MOST_PAGES))]
    states = {sheet.state for sheet in read}
    if states == {PageState.FAILED} or (reader is None and states <= NOTHING):
        raise _damaged(problem or read[0].problem)
    draft = Draft()
    if reader is None:
        _write(draft, read, {}, [])
        warnings = [f"pypdf could not read it ({problem}): PDFium did, without headings."]
        return draft.finish("", warnings=warnings, unread=_unread(read, count))
    _write(draft, read, pdf_extras.outline(reader), pdf_extras.labels(reader))
    return draft.finish(
        pdf_extras.title(reader),
        warnings=[*_warnings(sheets), *pdf_extras.warnings(reader)],
        unread=[*_unread(read, count), *pdf_extras.unread(reader)],
        stated=pdf_extras.said(reader),
        members=pdf_extras.Attachments(reader) or (),
    )


def _count(sheets: Sheets, problem: str) -> int:
    """Return how many pages there are, at least one; Unreadable if none is found."""
    try:
        if count := len(sheets):
            return count
    except PdfiumError as failed:
        if problem == LOCKED or "password" in str(failed).lower():
            raise Unreadable(
                "It is locked with a password. Save it without one, or give it with --passwords."
            ) from failed
    raise _damaged(problem)


def _damaged(problem: str) -> Unreadable:
    return Unreadable(f"It is a damaged PDF ({problem}). Save it anew, or print it to PDF.")


def _write(
    draft: Draft, sheets: Sequence[Sheet], outline: pdf_extras.Outline, labels: Sequence[str]
) -> None:
    """Put the pages' paragraphs into the draft, joining what runs on over a page's end."""
    pages = without_running_lines([sheet.lines for sheet in sheets])
    words = Words(pages)
    last: Paragraph | None = None
    for number, (sheet, kept) in enumerate(zip(sheets, pages, strict=True)):
        found = list(paragraphs(kept, outline.get(number, []), words))
        tables = len({paragraph.table for paragraph in found} - {0})
        draft.tables += tables
        page = Page(sheet.state, labels[number] if number < len(labels) else "", tables)
        rest = found
        if last and found and _goes_on(last, found[0]):
            whole = words.join(last.text, found[0].text)
            draft.run_on(whole, len(whole) - len(found[0].text), page)
            rest = found[1:]
            found[0] = Paragraph(whole, runs_on=found[0].runs_on)
        else:
            draft.start_page(page)
        for paragraph in rest:
            draft.add(paragraph.text, paragraph.level)
        for extra in sheet.extras:
            draft.add(extra)
        last = found[-1] if found and not sheet.extras else None


def _goes_on(last: Paragraph, first: Paragraph) -> bool:
    """Whether a paragraph runs on from one page to the next."""
    plain = not (first.level or first.table or last.level or last.table)
    short = len(last.text) < LONGEST
    return plain and short and last.runs_on and continues(last.text, first.text)


def _warnings(sheets: Sheets) -> Iterator[str]:
    if sheets.by_pdfium:
        yield f"{ocr.named(sheets.by_pdfium)} could only be read with PDFium: look at the text."


def _unread(sheets: Sequence[Sheet], count: int) -> Iterator[str]:
    """Return what of the pages is not in the text, and what to do about it."""
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
