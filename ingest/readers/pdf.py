"""PDF through pypdf: pages, the outline as headings, lines joined to paragraphs."""

import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from pypdf import PdfReader
from pypdf.errors import PyPdfError
from pypdf.generic import Destination

from ingest.errors import Unreadable
from ingest.types import Draft, Extract, File, clean

ITEM = re.compile(r"(?:[•‣◦▪·*–-]|\d{1,3}[.)]|\([a-z0-9]{1,3}\))\s")
FULL_LINE = 0.7
"""A line shorter than this share of the page's longest ends its paragraph."""

Outline = dict[int, list[tuple[int, str]]]


def read(file: File) -> Extract:
    """Read a PDF; Unreadable if it is damaged, locked, or holds no text at all."""
    try:
        reader = PdfReader(io.BytesIO(file.data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("It is locked with a password. Save it without one.")
        return _extract(reader)
    except (PyPdfError, RecursionError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise Unreadable(f"It is a damaged PDF ({type(problem).__name__}: {problem}).") from problem


def _extract(reader: PdfReader) -> Extract:
    outline = _outline(reader)
    pages = _without_running_lines([_lines(page.extract_text()) for page in reader.pages])
    draft = Draft()
    for number, lines in enumerate(pages):
        draft.start_page()
        for text, level in _paragraphs(lines, outline.get(number, [])):
            draft.add(text, level)
    empty = [number for number, lines in enumerate(pages, start=1) if not any(lines)]
    if len(empty) == len(pages):
        raise Unreadable("It holds no text: its pages are images. Run OCR over it first.")
    warnings = [f"No text on page {', '.join(map(str, empty))}."] if empty else []
    return draft.finish(_title(reader), warnings=warnings)


def _title(reader: PdfReader) -> str:
    return (reader.metadata.title or "") if reader.metadata else ""


def _outline(reader: PdfReader) -> Outline:
    """Return the outline's headings by page, counting from 0: (level, title)."""
    found: Outline = defaultdict(list)
    try:
        for level, entry in _walk(reader.outline):
            page = reader.get_destination_page_number(entry)
            if page is not None and entry.title:
                found[page].append((level, clean(entry.title)))
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError):
        return found  # a broken outline costs its headings, not the text
    return found


def _walk(entries: Sequence[object]) -> Iterator[tuple[int, Destination]]:
    stack: list[tuple[int, Iterator[object]]] = [(1, iter(entries))]
    while stack:
        level, rest = stack[-1]
        entry = next(rest, None)
        if entry is None:
            stack.pop()
        elif isinstance(entry, list):
            stack.append((level + 1, iter(entry)))
        elif isinstance(entry, Destination):
            yield min(level, 6), entry


def _lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in clean(text).split("\n")]


def _without_running_lines(pages: list[list[str]]) -> list[list[str]]:
    """Leave out headers and footers: lines at an edge that most pages share but for digits."""
    edges = [_edges(lines) for lines in pages]
    counts = Counter(_masked(pages[n][i]) for n, edge in enumerate(edges) for i in edge)
    running = {line for line, n in counts.items() if n >= 3 and 2 * n > len(pages)}
    return [
        [line for i, line in enumerate(lines) if i not in edge or _masked(line) not in running]
        for lines, edge in zip(pages, edges, strict=True)
    ]


def _edges(lines: list[str]) -> set[int]:
    """Return where the first and the last line with anything on it stand."""
    filled = [i for i, line in enumerate(lines) if line]
    return {*filled[:1], *filled[-1:]}


def _masked(line: str) -> str:
    return re.sub(r"\d+", "#", line)


def _paragraphs(lines: list[str], headings: list[tuple[int, str]]) -> Iterator[tuple[str, int]]:
    """Join lines to paragraphs; a line that the outline names is a heading.

    pypdf gives the lines as they are set. A paragraph ends at a blank line, at a line that
    stops short of the margin, and before a heading or a list item.
    """
    width = max(map(len, lines), default=0)
    gathered = ""
    for line, level in _marked(lines, headings):
        if level or not line or ITEM.match(line):
            yield gathered, 0
            gathered = ""
        if level:
            yield line, level
            continue
        gathered = f"{gathered} {line}".strip()
        if len(line) < FULL_LINE * width:
            yield gathered, 0
            gathered = ""
    yield gathered, 0


def _marked(lines: list[str], headings: list[tuple[int, str]]) -> Iterator[tuple[str, int]]:
    """Return each line with its heading level, a heading set over two lines as one."""
    levels = {_key(title): level for level, title in headings}
    skip = False
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if skip:
            skip = False
        elif level := levels.get(_key(line), 0):
            yield line, level
        elif after and (level := levels.get(_key(line + after), 0)):
            skip = True
            yield f"{line} {after}", level
        else:
            yield line, 0


def _key(title: str) -> str:
    """Return what two spellings of a heading share."""
    return re.sub(r"\W+", "", title).casefold()
