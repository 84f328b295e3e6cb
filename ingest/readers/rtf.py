"""Rich text (.rtf) through striprtf: paragraphs, headings, table rows, notes and text boxes."""

import re

from striprtf.striprtf import font_table_group, rtf_to_text

from ingest.errors import Unreadable
from ingest.readers.items import quotable, row_line
from ingest.readers.stated import stated
from ingest.types import Draft, Extract, File, Stated

HEX = re.compile(rb"[0-9A-Fa-f\s]{512,}")
"""A picture; no text is hexadecimal for that long."""
BINARY = re.compile(rb"\\bin(\d{1,9}) ?")
HIGH = re.compile(rb"[\x80-\xff]")
ASIDE = re.compile(r"\{(?:\\\*)?\s*\\(footnote|shptxt)(?![a-z])")
MARKED = r"\\outlinelevel\1 {\\uc0\\u57600 \1}"
OUTLINE = re.compile(r"\\outlinelevel([0-8])(?!\d)")
TITLE = re.compile(r"\{\\title ([^{}]*)\}")
CODE_PAGE = re.compile(r"\\ansicpg\d{1,5}")
BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
DATE = re.compile(r"\\(revtim|creatim)\\yr(\d{4})\\mo(\d\d?)\\dy(\d\d?)(?!\d)")
KEYWORDS = re.compile(r"\{\\keywords ([^{}]*)\}")
MARK = "\ue100"
"""With a digit after it, stands at the start of a heading while the text is converted."""


def read(file: File) -> Extract:
    """Read rich text; Unreadable if it is damaged or holds no text."""
    source = _source(file.data)
    main, asides = _split(source)
    draft = Draft()
    for line in _converted(OUTLINE.sub(MARKED, main)).split("\n"):
        _add(draft, line)
    for line in _converted(_head(source) + "\\par ".join(asides) + "}").split("\n"):
        _add(draft, line)
    extract = draft.finish(_title(source), stated=_stated(source))
    if not extract.blocks:
        raise Unreadable("It holds no text.")
    return quotable(extract)


def _source(data: bytes) -> str:
    """Return the file as ASCII, pictures taken out and other bytes escaped."""
    data = HEX.sub(b" ", _without_binary(data))
    return HIGH.sub(lambda found: b"\\'%02x" % ord(found[0]), data).decode("ascii")


def _without_binary(data: bytes) -> bytes:
    parts, at = [], 0
    while found := BINARY.search(data, at):
        parts.append(data[at : found.start()])
        at = min(found.end() + int(found[1]), len(data))
    return b"".join([*parts, data[at:]])


def _split(source: str) -> tuple[str, list[str]]:
    """Return the text without its notes, and the notes and text boxes as sources of their own."""
    main, asides, at = [], [], 0
    while found := ASIDE.search(source, at):
        stop = _close(source, found.start())
        main.append(source[at : found.start()])
        asides.append("{" + source[found.end() : stop])
        at = stop
    return "".join([*main, source[at:]]), asides


def _close(source: str, start: int) -> int:
    """Return where the group that starts somewhere ends."""
    depth = 0
    for found in BRACES.finditer(source, start):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if not depth:
            return found.end()
    return len(source)


def _head(source: str) -> str:
    """Return the beginning of a file that tells the encodings of its text."""
    page = CODE_PAGE.search(source)
    return f"{{\\rtf1\\ansi{page[0] if page else ''} {_fonts(source)}"


def _fonts(source: str) -> str:
    return str(font_table_group(source))  # type: ignore[no-untyped-call]


def _converted(source: str) -> str:
    try:
        return str(rtf_to_text(source, errors="replace"))  # type: ignore[no-untyped-call]
    except (ValueError, LookupError, TypeError, OverflowError) as problem:
        raise Unreadable(f"It is damaged rich text ({problem}).") from problem


def _add(draft: Draft, line: str) -> None:
    """Add a paragraph, a heading or a table row."""
    level = 0
    if found := re.search(f"{MARK}(\\d)", line):
        level = min(int(found[1]) + 1, 6)
        line = re.sub(f"{MARK}\\d", "", line)
    if line.rstrip().endswith("|"):
        line = row_line(line.rstrip().removesuffix("|").split("|"))
    draft.add(line, level)


def _title(source: str) -> str:
    return _property(source, TITLE)


def _property(source: str, which: re.Pattern[str]) -> str:
    found = which.search(source)
    return _converted("{\\rtf1 " + found[1] + "}") if found else ""


def _stated(source: str) -> Stated:
    """Return the day of the last change, or of the making, and the keywords."""
    found = sorted(DATE.findall(source), reverse=True)
    dates = (f"{year}-{month:0>2}-{day:0>2}" for _, year, month, day in found)
    return stated(dates, (_property(source, KEYWORDS),))
