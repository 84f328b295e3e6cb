"""What messages have in common, whichever program kept them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ingest.readers import html, markup
from ingest.readers.text import paragraphs, split_items
from ingest.types import Draft, clean

MOST_NAMES = 50
"""A message to more people than this names so many of them."""


@dataclass(frozen=True, slots=True)
class Letter:
    """The head of a message."""

    subject: str
    sender: str
    to: Sequence[str]
    copied: Sequence[str]
    date: str
    attached: Sequence[str] = ()

    def begin(self) -> Draft:
        """Return a draft with the subject as its heading, and a block that says who wrote when."""
        draft = Draft()
        draft.add(" ".join(self.subject.split()), 1)
        lines = (
            ("From", self.sender),
            ("To", _names(self.to)),
            ("Cc", _names(self.copied)),
            ("Date", self.date),
            ("Attached", _names(self.attached)),
        )
        shown = (f"{name}: {' '.join(what.split())}" for name, what in lines if what.strip())
        draft.add("\n".join(shown))
        return draft


def add_plain(text: str, draft: Draft) -> bool:
    """Add a body of plain text, paragraph by paragraph; False if there is nothing to it."""
    text = text.replace("\r\n", "\n")
    found = False
    for start, stop in paragraphs(text):
        for block in split_items(text, start, stop):
            draft.add(text[block.start : block.stop])
            found = True
    return found and bool(clean(text).strip())


def add_html(text: str, draft: Draft) -> bool:
    """Add a body of HTML; False if there is nothing to it that shows."""
    return html.add(markup.parse(text), draft)


def readable(date: datetime | None) -> str:
    """Return a date as “2022-12-16 17:04 −05:00”."""
    if date is None:
        return ""
    zone = date.strftime("%z")
    offset = f" {zone[0].replace('-', '−')}{zone[1:3]}:{zone[3:5]}" if zone else ""
    return f"{date:%Y-%m-%d %H:%M}{offset}"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
