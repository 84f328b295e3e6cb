"""PDFium: the text of what pypdf cannot read, and pages as images for OCR."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pypdfium2
from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

from ingest.readers.pdf_lines import Line

DOTS_PER_INCH = 300
MOST_PIXELS = 24_000_000
"""An A3 page has 17 million at 300 dpi; a larger one is rendered more coarsely."""


@contextmanager
def opened(data: bytes, passwords: Sequence[str]) -> Iterator[Any]:
    """Open a document with no password or one of these; PdfiumError if it cannot be."""
    document = _open(data, passwords)
    try:
        yield document
    finally:
        document.close()


def _open(data: bytes, passwords: Sequence[str]) -> Any:
    problem: Exception | None = None
    for password in (None, *passwords):
        try:
            document = pypdfium2.PdfDocument(data, password=password)
            len(document)
            return document
        except pypdfium2.PdfiumError as failed:
            problem = problem or failed
    raise problem or pypdfium2.PdfiumError("not opened")


@dataclass(frozen=True, slots=True)
class Found:
    """A page's lines, whose places are made up, and whether there are images on it."""

    lines: list[Line]
    images: bool


def find(document: Any, number: int) -> Found:
    """Return what is on a page, counting pages from 0.

    A line is taken to be as long as it has letters.
    """
    page = document[number]
    try:
        text = page.get_textpage().get_text_range()
        images = any(True for _ in page.get_objects(filter=[FPDF_PAGEOBJ_IMAGE], max_depth=3))
    finally:
        page.close()
    rows = [" ".join(row.replace("\ufffe", "-").split()) for row in text.splitlines()]
    lines = [Line(row, 0.0, 0.5 * len(row), -1.2 * at, 1.0) for at, row in enumerate(rows) if row]
    return Found(lines, images)


def grey(document: Any, number: int) -> bytes:
    """Return a page as a grey image in the PGM format, counting pages from 0."""
    page = document[number]
    try:
        width, height = page.get_size()
        most = math.sqrt(MOST_PIXELS / max(width * height, 1.0))
        bitmap = page.render(scale=min(DOTS_PER_INCH / 72, most), grayscale=True)
        stride, wide, high = bitmap.stride, bitmap.width, bitmap.height
        pixels = memoryview(bitmap.buffer).cast("B")
        rows = (pixels[row * stride : row * stride + wide] for row in range(high))
        return b"P5 %d %d 255\n" % (wide, high) + b"".join(rows)
    finally:
        page.close()
