"""Readers: one module a format, chosen by what a file is, not only by what it is called."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import Unreadable
from ingest.readers import docx, html, markdown, pdf, text
from ingest.types import Extract


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file and how it is read.

    `version` goes up when the reader reads the same file differently, which makes the next
    ingest read such files again.
    """

    media_type: str
    suffixes: tuple[str, ...]
    read: Callable[[bytes], Extract]
    version: int = 1

    @property
    def reader(self) -> str:
        """The reader's name and version, as the library remembers them."""
        return f"{self.media_type};v={self.version}"


PDF = Format("application/pdf", (".pdf",), pdf.read)
DOCX = Format(
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    (".docx",),
    docx.read,
)
HTML = Format("text/html", (".html", ".htm", ".xhtml"), html.read)
MARKDOWN = Format("text/markdown", (".md", ".markdown"), markdown.read)
TEXT = Format("text/plain", (".txt", ".text", ".log"), text.read)

FORMATS = (PDF, DOCX, HTML, MARKDOWN, TEXT)
BY_SUFFIX = {suffix: form for form in FORMATS for suffix in form.suffixes}
KNOWN = ", ".join(BY_SUFFIX)


def detect(path: Path, start: bytes) -> Format:
    """Return the format of a file from its first kilobyte, then from its name.

    Raises Unreadable for a file of no known format.
    """
    if b"%PDF-" in start[:1024]:
        return PDF
    if start.startswith(b"PK\x03\x04"):
        if path.suffix.lower() == ".docx":
            return DOCX
        raise Unreadable("It is a ZIP archive, which is not read. Unpack it first.")
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        raise Unreadable("It is an old Office file (.doc, .xls or .ppt). Save it as .docx or PDF.")
    by_name = BY_SUFFIX.get(path.suffix.lower())
    if by_name in (PDF, DOCX):
        raise Unreadable(f"It is called {path.suffix} but its content is not. Is it damaged?")
    if by_name is None:
        raise Unreadable(f"Files called “{path.suffix or path.name}” are not read. Known: {KNOWN}.")
    return by_name
