"""Lines of text, in the order they are read."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from ingest.readers.pdf_fonts import RIGHT_TO_LEFT
from ingest.readers.pdf_segments import Segment

JOINED = re.compile(r"[$€£¥]|[(]|[A-Z]{3}")
"""A cell that belongs to the one after it: “$ | 12”."""
CLOSING = re.compile(r"[)%]+")
"""One that belongs to the one before: “(3 | )”."""
LIGATURES = re.compile("[\ufb00-\ufb06\ufb1d-\ufdff\ufe70-\ufefc]")
LEFT_TO_RIGHT = re.compile(r"[A-Za-z0-9](?:[^\u0590-\u08ff]*[A-Za-z0-9%])?")
BACKWARDS = re.compile("[\u0590-\u08ff](?:[^A-Za-z0-9]*[\u0590-\u08ff])?")
MIRRORED = str.maketrans("()[]{}<>«»", ")(][}{><»«")


@dataclass(slots=True)
class Line:
    """A line of text: where it stands (see Segment), and whether it is a table's row.

    `table` numbers the page's tables from 1; 0 is no table.
    """

    text: str
    left: float
    right: float
    base: float
    size: float
    turn: int = 0
    table: int = 0


Row: TypeAlias = list[Segment]


def line_of(row: Sequence[Segment], between: str) -> Line:
    """Return a row as a line of text."""
    text = row[0].text
    for before, segment in pairwise(row):
        joined = JOINED.fullmatch(before.text.strip()) or CLOSING.fullmatch(segment.text.strip())
        text = f"{text.rstrip()}{' ' if joined else between}{segment.text.lstrip()}"
    largest = max(row, key=lambda segment: segment.size)
    return Line(
        text=plain(text),
        left=row[0].left,
        right=max(segment.right for segment in row),
        base=largest.base,
        size=largest.size,
        turn=row[0].turn,
    )


def plain(text: str) -> str:
    """Return text in single spaces, without ligatures, and in the order it is read."""
    text = " ".join(text.split())
    if RIGHT_TO_LEFT.search(text):
        text = _logical(text)
    if LIGATURES.search(text):
        text = LIGATURES.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    return text


def _logical(text: str) -> str:
    """Turn round what is read from right to left: a page shows it as it is seen.

    A short form of the bidirectional algorithm (UAX 9), backwards.
    """
    if len(RIGHT_TO_LEFT.findall(text)) * 2 < sum(map(str.isalpha, text)):
        return BACKWARDS.sub(lambda match: match[0][::-1], text)
    turned = text[::-1].translate(MIRRORED)
    return LEFT_TO_RIGHT.sub(lambda match: match[0][::-1], turned)
