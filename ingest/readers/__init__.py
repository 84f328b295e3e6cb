"""Readers: one module a format, chosen by what a file is, not only by what it is called."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from ingest.errors import Unreadable
from ingest.readers import docx, html, markdown, pdf, text
from ingest.types import Extract, File


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file and how it is read.

    `mark` is the name of a member that tells this kind of ZIP archive from others. `version`
    goes up when the reader reads the same file differently, which makes the next ingest read
    such files again.
    """

    media_type: str
    suffixes: tuple[str, ...]
    read: Callable[[File], Extract]
    mark: str = ""
    version: int = 1

    @property
    def reader(self) -> str:
        """The reader's name and version, as the library remembers them."""
        return f"{self.media_type};v={self.version}"


OFFICE = "application/vnd.openxmlformats-officedocument."

PDF = Format("application/pdf", (".pdf",), pdf.read, version=2)
DOCX = Format(
    f"{OFFICE}wordprocessingml.document", (".docx", ".docm"), docx.read, "word/document.xml"
)
HTML = Format("text/html", (".html", ".htm", ".xhtml"), html.read)
MARKDOWN = Format("text/markdown", (".md", ".markdown"), markdown.read)
TEXT = Format("text/plain", (".txt", ".text", ".log"), text.read)

FORMATS = (PDF, DOCX, HTML, MARKDOWN, TEXT)
BY_MEDIA_TYPE = {form.media_type: form for form in FORMATS}
BY_SUFFIX = {suffix: form for form in FORMATS for suffix in form.suffixes}
KNOWN = ", ".join(BY_SUFFIX)


def detect(file: File) -> Format:
    """Return the format of a file from its content, then from its name.

    Raises Unreadable for a file of no known format. It looks into untrusted data, so it is
    called where the readers are: in the sandbox.
    """
    start, suffix = file.data[:1024], Path(file.name).suffix.lower()
    if b"%PDF-" in start:
        return PDF
    if start.startswith(b"PK\x03\x04"):
        return _archive(file.data)
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        raise Unreadable("It is an old Office file (.doc, .xls or .ppt). Save it as .docx or PDF.")
    by_name = BY_SUFFIX.get(suffix)
    if by_name in (PDF, DOCX):
        raise Unreadable(f"It is called {suffix} but its content is not. Is it damaged?")
    if by_name is None:
        raise Unreadable(f"Files called “{suffix or file.name}” are not read. Known: {KNOWN}.")
    return by_name


def _archive(data: bytes) -> Format:
    """Return the format of a ZIP archive by the member that tells its kind."""
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
    except (BadZipFile, ValueError, NotImplementedError) as problem:
        raise Unreadable(f"It is a damaged ZIP archive or Office file ({problem}).") from problem
    for form in FORMATS:
        if form.mark and form.mark in names:
            return form
    raise Unreadable("It is a ZIP archive, which is not read. Unpack it first.")
