"""Recognising the text of pages that are images, by Tesseract, where it is installed.

It is called in the process that reads untrusted files, whose limits Tesseract inherits. No
file is written: the image goes in and the text comes out through pipes.
"""

import functools
import os
import shutil
import subprocess
from collections.abc import Sequence

from ingest.errors import Unreadable
from ingest.types import File

PAGE_S = 60.0
"""A dense page takes 3 to 10 s on one core."""
MOST_LANGUAGES = 4
"""Tesseract's time grows with each language it looks for."""
NO_LANGUAGES = {"osd", "equ"}


def available() -> bool:
    """Return whether Tesseract is installed, with a language to recognise."""
    return shutil.which("tesseract") is not None and bool(_languages())


@functools.cache
def _languages() -> tuple[str, ...]:
    """Return the languages to look for, English first.

    All that are installed are used, up to a limit: Debian installs English alone, so any other
    is there because somebody wants it.
    """
    try:
        listed = subprocess.run(
            ["tesseract", "--list-langs"],  # noqa: S607 - wherever the administrator has put it
            capture_output=True,
            timeout=PAGE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    names = listed.stdout.decode("utf-8", "replace").splitlines()[1:]
    usable = [name for name in names if name not in NO_LANGUAGES and "/" not in name]
    return tuple(sorted(usable, key=lambda name: (name != "eng", name))[:MOST_LANGUAGES])


def advice(pages: Sequence[int]) -> str:
    """Return what to tell about pages that are images and were not recognised."""
    which = f"{named(pages)} {'is an image' if len(pages) == 1 else 'are images'}"
    if shutil.which("tesseract"):
        return f"{which} whose text could not be recognised."
    return f"{which}: install Tesseract (apt-get install tesseract-ocr) and ingest again."


def named(pages: Sequence[int]) -> str:
    """Return “Page 3”, “Pages 3, 4 and 9”, or “12 pages” where they are many."""
    if len(pages) > 5:
        return f"{len(pages)} pages"
    if len(pages) == 1:
        return f"Page {pages[0]}"
    return f"Pages {', '.join(map(str, pages[:-1]))} and {pages[-1]}"


def recognise(file: File, page: int) -> str:
    """Return the text on a page of a PDF, counting pages from 1; Unreadable if that fails."""
    # Imported where pages are drawn: whoever only asks whether it is available waits for nothing.
    from pypdfium2 import PdfiumError

    from ingest.readers import pdfium

    try:
        with pdfium.opened(file.data, file.passwords) as document:
            image = pdfium.grey(document, page - 1)
    except (PdfiumError, IndexError, ValueError) as problem:
        raise Unreadable(f"Page {page} could not be drawn for OCR ({problem}).") from problem
    return _recognised(image, page, pdfium.DOTS_PER_INCH)


def _recognised(image: bytes, page: int, dots_per_inch: int) -> str:
    try:
        done = subprocess.run(
            [
                *("tesseract", "-", "-", "--psm", "3"),
                *("--dpi", str(dots_per_inch), "-l", "+".join(_languages())),
            ],
            input=image,
            capture_output=True,
            timeout=PAGE_S,
            check=False,
            env={"PATH": os.environ.get("PATH", os.defpath), "OMP_THREAD_LIMIT": "1"},
        )
    except subprocess.TimeoutExpired as problem:
        raise Unreadable(f"Recognising page {page} took longer than {PAGE_S:.0f} s.") from problem
    except OSError as problem:
        raise Unreadable(f"Tesseract could not be started ({problem.strerror}).") from problem
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()[-200:]
        raise Unreadable(f"Tesseract failed on page {page} ({said or done.returncode}).")
    return done.stdout.decode("utf-8", "replace").replace("\f", "").strip()
