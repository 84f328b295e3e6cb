"""Readers: one module a format, chosen by what a file is, not only by what it is called."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from ingest.errors import Unreadable
from ingest.readers import csv, docx, html, markdown, odf, pdf, pptx, rtf, text, xlsx
from ingest.types import Extract, File


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file and how it is read.

    `mark` tells this kind of ZIP archive from others: the name of a member, the folder of an
    Office file's parts, or the type that a member called “mimetype” states. `version`
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
OPEN = "application/vnd.oasis.opendocument."
LOCKED = "EncryptedPackage".encode("utf-16-le")

PDF = Format("application/pdf", (".pdf",), pdf.read)
DOCX = Format(
    f"{OFFICE}wordprocessingml.document",
    (".docx", ".docm", ".dotx", ".dotm"),
    docx.read,
    "word/",
    version=2,
)
PPTX = Format(
    f"{OFFICE}presentationml.presentation",
    (".pptx", ".pptm", ".ppsx", ".ppsm", ".potx", ".potm"),
    pptx.read,
    "ppt/",
)
XLSX = Format(
    f"{OFFICE}spreadsheetml.sheet", (".xlsx", ".xlsm", ".xltx", ".xltm"), xlsx.read, "xl/"
)
ODT = Format(f"{OPEN}text", (".odt",), odf.read, f"{OPEN}text")
OTT = Format(f"{OPEN}text-template", (".ott",), odf.read, f"{OPEN}text-template")
ODS = Format(f"{OPEN}spreadsheet", (".ods",), odf.read, f"{OPEN}spreadsheet")
ODP = Format(f"{OPEN}presentation", (".odp",), odf.read, f"{OPEN}presentation")
RTF = Format("application/rtf", (".rtf",), rtf.read)
CSV = Format("text/csv", (".csv", ".tsv", ".tab"), csv.read)
HTML = Format("text/html", (".html", ".htm", ".xhtml"), html.read)
MARKDOWN = Format("text/markdown", (".md", ".markdown"), markdown.read)
TEXT = Format("text/plain", (".txt", ".text", ".log"), text.read)

OFFICE_FORMATS = (DOCX, PPTX, XLSX, ODT, OTT, ODS, ODP)
FORMATS = (PDF, *OFFICE_FORMATS, RTF, CSV, HTML, MARKDOWN, TEXT)
BY_MEDIA_TYPE = {form.media_type: form for form in FORMATS}
BY_SUFFIX = {suffix: form for form in FORMATS for suffix in form.suffixes}
KNOWN = ", ".join(BY_SUFFIX)
PRETENDED = (".doc", ".xls", ".rtf")
"""What programs that export HTML for Office call it."""
HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|body|table)\b", re.IGNORECASE
)


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
        raise Unreadable(_old_office(file.data))
    if start.lstrip().startswith(rtf.START):
        return RTF
    if suffix in PRETENDED and HTML_START.match(start):
        return HTML
    by_name = BY_SUFFIX.get(suffix)
    if by_name in (PDF, RTF, *OFFICE_FORMATS):
        raise Unreadable(f"It is called {suffix} but its content is not. Is it damaged?")
    if by_name is None:
        raise Unreadable(f"Files called “{suffix or file.name}” are not read. Known: {KNOWN}.")
    return by_name


def _old_office(data: bytes) -> str:
    """Return why a file of the container that Office used before ZIP is not read."""
    if LOCKED in data:
        return "It is locked with a password. Save it without one."
    return "It is an old Office file (.doc, .xls or .ppt). Save it as .docx, .xlsx, .pptx or PDF."


def _marks(archive: ZipFile) -> set[str]:
    """Return the names in an archive, and what tells Office files: folders, or a stated type."""
    names = set(archive.namelist())
    if "[Content_Types].xml" in names:
        names |= {name.partition("/")[0] + "/" for name in names if "/" in name}
    if "mimetype" in names:
        with archive.open("mimetype") as stated:
            names.add(stated.read(200).decode("ascii", "replace").strip())
    return names


def _archive(data: bytes) -> Format:
    """Return the format of a ZIP archive by the member that tells its kind."""
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            names = _marks(archive)
    except (BadZipFile, ValueError, NotImplementedError) as problem:
        raise Unreadable(f"It is a damaged ZIP archive or Office file ({problem}).") from problem
    for form in FORMATS:
        if form.mark and form.mark in names:
            return form
    raise Unreadable("It is a ZIP archive, which is not read. Unpack it first.")
