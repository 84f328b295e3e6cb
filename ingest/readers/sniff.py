"""What a file is by its first bytes, for formats that are told so."""

import io
import re

import olefile

from ingest.errors import Unreadable

ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
RTF_START = b"{\\rtf"
OLE_START = b"\xd0\xcf\x11\xe0"
HTML_START = re.compile(
    rb"\s*(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--.{0,2000}?-->\s*)?<(?:!doctype\s+html|html)\b",
    re.IGNORECASE | re.DOTALL,
)
OFFICE_HTML_START = re.compile(rb"\s*<(?:head|body|table)\b", re.IGNORECASE)
BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x80-\xff]")

PICTURE = "It is a picture ({}), which is not read. Save it as PDF and run OCR over it."
RECORDING = "It is sound or video ({}), which is not read. Add a transcript."
PROGRAM = "It is a program ({}), which is not read."
PACKED = "It is a {} archive, which is not read. Unpack it, or pack it as ZIP."
DATA = "It is {}, which is not read."
REFUSED = (
    (0, b"\xff\xd8\xff", PICTURE.format("JPEG")),
    (0, b"\x89PNG", PICTURE.format("PNG")),
    (0, b"GIF8", PICTURE.format("GIF")),
    (0, b"II*\x00", PICTURE.format("TIFF")),
    (0, b"MM\x00*", PICTURE.format("TIFF")),
    (0, b"BM", PICTURE.format("BMP")),
    (0, b"8BPS", PICTURE.format("PSD")),
    (8, b"WEBP", PICTURE.format("WebP")),
    (4, b"ftyphei", PICTURE.format("HEIC")),
    (4, b"ftypmif1", PICTURE.format("HEIC")),
    (4, b"ftypavif", PICTURE.format("AVIF")),
    (4, b"ftyp", RECORDING.format("MP4")),
    (8, b"WAVE", RECORDING.format("WAV")),
    (8, b"AVI ", RECORDING.format("AVI")),
    (0, b"ID3", RECORDING.format("MP3")),
    (0, b"\xff\xfb", RECORDING.format("MP3")),
    (0, b"OggS", RECORDING.format("Ogg")),
    (0, b"fLaC", RECORDING.format("FLAC")),
    (0, b"\x1aE\xdf\xa3", RECORDING.format("Matroska")),
    (0, b"MZ", PROGRAM.format("Windows")),
    (0, b"\x7fELF", PROGRAM.format("Linux")),
    (0, b"\xcf\xfa\xed\xfe", PROGRAM.format("macOS")),
    (0, b"\xca\xfe\xba\xbe", PROGRAM.format("Java or macOS")),
    (0, b"\x1f\x8b", PACKED.format("gzip")),
    (0, b"BZh", PACKED.format("bzip2")),
    (0, b"\xfd7zXZ", PACKED.format("xz")),
    (0, b"7z\xbc\xaf", PACKED.format("7-Zip")),
    (0, b"Rar!", PACKED.format("RAR")),
    (0, b"MSCF", PACKED.format("CAB")),
    (257, b"ustar", PACKED.format("TAR")),
    (0, b"SQLite format 3", DATA.format("a database (SQLite)")),
    (0, b"!BDN", DATA.format("an Outlook mailbox (.pst); save its messages as .msg or .eml")),
    (0, b"wOF", DATA.format("a font")),
    (0, b"OTTO", DATA.format("a font")),
)
"""Where a mark stands, the mark, and why a file with it is refused."""


def is_pdf(data: bytes, *, named: bool) -> bool:
    """Whether a file is a PDF; one that is named so may have junk before its mark."""
    start = data[:1024]
    return b"%PDF-" in start if named else start.lstrip().startswith(b"%PDF-")


def is_html(data: bytes, *, pretends: bool = False) -> bool:
    """Whether a file begins as pages do; one for Office that pretends may begin with a table."""
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip(b"\xff\xfe").replace(b"\x00", b"")
    return bool(HTML_START.match(start) or (pretends and OFFICE_HTML_START.match(start)))


def refuse_binary(data: bytes) -> None:
    """Raise Unreadable for a file that is a picture, a program or such, and says what it is."""
    start = data[:512]
    if not BINARY.search(start):
        return  # a text about pictures may begin with the name of their mark
    for at, mark, reason in REFUSED:
        if start[at : at + len(mark)] == mark:
            raise Unreadable(reason)


def ole_streams(data: bytes) -> set[str]:
    """Return the names at the top of an OLE container; none if it is damaged."""
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as container:
            return {path[0] for path in container.listdir(streams=True, storages=True)}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return set()
