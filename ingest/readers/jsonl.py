"""JSON Lines of pages or articles: each record a heading, its text, and where it is from."""

import json
from collections.abc import Iterator
from typing import Any

from ingest.errors import Unreadable
from ingest.readers import encoding
from ingest.readers.text import paragraphs, split_items
from ingest.types import Draft, Extract, File, clean

TITLES = ("title", "headline", "heading", "name")
TEXTS = ("text", "content", "body")
SOURCES = ("url", "source", "link")
MOST_NAMED = 5
"""Of lines that cannot be read, so many are named."""


def read(file: File) -> Extract:
    """Read records of {"title", "text", "url"}, one a line, into one document.

    Each record's title is a heading, so that a citation names it, and its url ends its text.
    Unreadable if no line holds a record with text.
    """
    draft = Draft()
    broken: list[int] = []
    silent: list[int] = []
    others: set[str] = set()
    for number, record in _records(encoding.decode(file.data)):
        if record is None:
            broken.append(number)
        elif not _add(record, number, draft):
            silent.append(number)
        else:
            others |= record.keys() - {*TITLES, *TEXTS, *SOURCES}
    if draft.is_empty:
        raise Unreadable("No line of it is a JSON record with a “text”.")
    unread = [
        *_lines(broken, "not JSON records"),
        *_lines(silent, "records without a “text”"),
    ]
    warnings = [f"Fields that are not read: {_few(sorted(others))}."] if others else []
    return draft.finish("", warnings=warnings, unread=unread)


def _records(text: str) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Return each line's record and number, from 1; None for a line that is none."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        yield number, record if isinstance(record, dict) else None


def _add(record: dict[str, Any], number: int, draft: Draft) -> bool:
    """Add a record; False if it has no text."""
    text = _field(record, TEXTS).replace("\r\n", "\n")
    if not clean(text).strip():
        return False
    source = _field(record, SOURCES)
    draft.add(_field(record, TITLES) or source or f"Record {number}", 1)
    for start, stop in paragraphs(text):
        for block in split_items(text, start, stop):
            draft.add(text[block.start : block.stop])
    draft.add(source)
    return True


def _field(record: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((v for name in names if isinstance(v := record.get(name), str) and v.strip()), "")


def _lines(numbers: list[int], what: str) -> list[str]:
    if not numbers:
        return []
    return [f"{len(numbers)} lines are {what}: {_few([str(number) for number in numbers])}."]


def _few(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
