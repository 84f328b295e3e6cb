"""Readers: one module a format, chosen by what a file is, not only by what it is called.

A module is imported when the first file of its format is read: together they take most of a second.
"""

import io
import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from zipfile import ZipFile

from ingest.errors import Unreadable
from ingest.readers import sniff
from ingest.types import Extract, File


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file and the module that reads it.

    `mark` tells this kind of ZIP archive from others: the name of a member, the folder of an
    Office file's parts, or the type that a member called “mimetype” states. `version`
    goes up when the reader reads the same file differently, which makes the next ingest read
    such files again.
    """

    media_type: str
    suffixes: tuple[str, ...]
    module: str
    mark: str = ""
    version: int = 1

    def read(self, file: File) -> Extract:
        """Return what a file of this format holds. Raises Unreadable."""
        reader = import_module(f"ingest.readers.{self.module}")
        extract: Extract = reader.read(file)
        return extract

    @property
    def reader(self) -> str:
        """The reader's name and version, as the library remembers them."""
        return f"{self.media_type};v={self.version}"


OFFICE = "application/vnd.openxmlformats-officedocument."
OPEN = "application/vnd.oasis.opendocument."
LOCKED = "EncryptedPackage".encode("utf-16-le")

PDF = Format("application/pdf", (".pdf",), "pdf", version=4)
DOCX = Format(
    f"{OFFICE}wordprocessingml.document",
    (".docx", ".docm", ".dotx", ".dotm"),
    "docx",
    "word/",
    version=3,
)
PPTX = Format(
    f"{OFFICE}presentationml.presentation",
    (".pptx", ".pptm", ".ppsx", ".ppsm", ".potx", ".potm"),
    "pptx",
    "ppt/",
    version=2,
)
XLSX = Format(
    f"{OFFICE}spreadsheetml.sheet",
    (".xlsx", ".xlsm", ".xltx", ".xltm"),
    "xlsx",
    "xl/",
    version=2,
)
ODT = Format(f"{OPEN}text", (".odt",), "odf", f"{OPEN}text", version=2)
OTT = Format(f"{OPEN}text-template", (".ott",), "odf", f"{OPEN}text-template", version=2)
ODS = Format(f"{OPEN}spreadsheet", (".ods",), "odf", f"{OPEN}spreadsheet", version=2)
ODP = Format(f"{OPEN}presentation", (".odp",), "odf", f"{OPEN}presentation", version=2)
RTF = Format("application/rtf", (".rtf",), "rtf", version=2)
CSV = Format("text/csv", (".csv", ".tsv", ".tab"), "csv")
ZIP = Format("application/zip", (".zip",), "archive")
EPUB = Format("application/epub+zip", (".epub",), "epub", "application/epub+zip", version=2)
MSG = Format("application/vnd.ms-outlook", (".msg",), "msg", version=2)
EML = Format("message/rfc822", (".eml",), "eml", version=2)
HTML = Format("text/html", (".html", ".htm", ".xhtml"), "html", version=3)
MARKDOWN = Format("text/markdown", (".md", ".markdown"), "markdown", version=3)
RST = Format("text/x-rst", (".rst", ".rest"), "rst")
ASCIIDOC = Format("text/asciidoc", (".adoc", ".asciidoc"), "asciidoc")
JSONL = Format("application/jsonl", (".jsonl", ".ndjson"), "jsonl")
TEXT = Format("text/plain", (".txt", ".text", ".log"), "text", version=2)

OFFICE_FORMATS = (DOCX, PPTX, XLSX, ODT, OTT, ODS, ODP)
FORMATS = (
    *(PDF, *OFFICE_FORMATS, RTF, CSV),
    *(ZIP, EPUB, MSG, EML, HTML, MARKDOWN, RST, ASCIIDOC, JSONL, TEXT),
)
BY_MEDIA_TYPE = {form.media_type: form for form in FORMATS}
BY_SUFFIX = {suffix: form for form in FORMATS for suffix in form.suffixes}
TOLD_BY_CONTENT = (PDF, RTF, ZIP, EPUB, MSG, *OFFICE_FORMATS)
PRETENDED = (".doc", ".xls", ".rtf")
"""What programs that export HTML for Office call it."""
SUFFIX = re.compile(r"\.[a-z][a-z0-9_-]{0,9}")
"""What follows the last dot of a name, if it can be a suffix: in “Notes 2.4” it is not."""


def detect(file: File) -> Format:
    """Return the format of a file from its content, then from its name.

    What has no suffix and no mark is taken for plain text. Raises Unreadable for a file of no
    known format. It looks into untrusted data, so it is called where the readers are: in the
    sandbox.
    """
    if not file.data:
        raise Unreadable("It is empty.")
    suffix = Path(file.name).suffix.lower()
    suffix = suffix if SUFFIX.fullmatch(suffix) else ""
    by_name = BY_SUFFIX.get(suffix)
    if form := _by_content(file.data, suffix, by_name):
        return form
    sniff.refuse_binary(file.data)
    if by_name in TOLD_BY_CONTENT:
        raise Unreadable(f"It is called {suffix} but its content is not. Is it damaged?")
    if by_name is None and suffix:
        raise Unreadable(f"Files called “{suffix}” are not read. Save it as PDF, HTML or .txt.")
    return by_name or TEXT


def _by_content(data: bytes, suffix: str, by_name: Format | None) -> Format | None:
    """Return the format a file's content tells, None if only its name can."""
    if sniff.is_pdf(data, named=by_name is PDF or (by_name is None and suffix != "")):
        return PDF
    if data.startswith(sniff.ZIP_STARTS):
        return _archive(data, by_name)
    if data.startswith(sniff.OLE_START):
        return _ole(data)
    if data[:1024].lstrip().startswith(sniff.RTF_START):
        return RTF
    if by_name in (None, EML):
        from ingest.readers import eml

        if eml.is_message(data):
            return EML
    if sniff.is_html(data, pretends=suffix in PRETENDED):
        return HTML
    return None


def _ole(data: bytes) -> Format:
    """Return the format of a file in the container that Office used before ZIP."""
    from ingest.readers import msg

    if msg.MARK in sniff.ole_streams(data):
        return MSG
    if LOCKED in data:
        raise Unreadable("It is locked with a password. Save it without one.")
    raise Unreadable(
        "It is an old Office file (.doc, .xls or .ppt). Save it as .docx, .xlsx, .pptx or PDF."
    )


def _marks(members: ZipFile) -> set[str]:
    """Return the names in an archive, and what tells Office files: folders, or a stated type."""
    from ingest.readers import epub

    names = set(members.namelist())
    if "[Content_Types].xml" in names:
        names |= {name.partition("/")[0] + "/" for name in names if "/" in name}
    if epub.CONTAINER in names:
        names.add(EPUB.media_type)
    if "mimetype" in names:
        with members.open("mimetype") as stated:
            names.add(stated.read(200).decode("ascii", "replace").strip())
    return names


def _archive(data: bytes, by_name: Format | None) -> Format:
    """Return the format of a ZIP archive by the member that tells its kind."""
    from ingest.readers import archive

    try:
        with ZipFile(io.BytesIO(data)) as members:
            names = _marks(members)
    except (*archive.DAMAGE, NotImplementedError, RuntimeError) as problem:
        raise Unreadable(f"It is a damaged ZIP archive or Office file ({problem}).") from problem
    for form in FORMATS:
        if form.mark and form.mark in names:
            return form
    if by_name in TOLD_BY_CONTENT and by_name is not ZIP:
        raise Unreadable(f"It is called {by_name.suffixes[0]} but its content is not.")
    if "[Content_Types].xml" in names or "mimetype" in names:
        raise Unreadable("It is an Office file of a kind that is not read. Save it as PDF.")
    if "META-INF/MANIFEST.MF" in names and by_name is not ZIP:
        raise Unreadable("It is a program (Java or Android), which is not read.")
    if any(name.endswith(".iwa") for name in names):
        raise Unreadable("It is a file of Apple's iWork. Save it as PDF, or as .docx or .xlsx.")
    return ZIP
