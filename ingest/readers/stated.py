"""What files say of themselves: the day they are of, and what they are about."""

import re
from collections.abc import Iterable
from datetime import MINYEAR, date, datetime

from ingest.types import Stated, clean

MOST_TAGS = 100
LONGEST = 200  # characters: what is longer is no tag, and not worth carrying
YMD = re.compile(r"\s*(?:D:)?(\d{4})(?:(-?)(\d{2})(?:\2(\d{2}))?)?(?!\d*[-/.]\d)")
BETWEEN = re.compile(r"[,;\n]")


def stated(dates: Iterable[str], tags: Iterable[str] = ()) -> Stated:
    """Return the first date that can be told, and the tags in lists set apart by commas."""
    days = (day(text) for text in dates)
    parts = (clean(part).strip() for text in tags for part in BETWEEN.split(text))
    kept = dict.fromkeys(part for part in parts if 0 < len(part) <= LONGEST)
    return Stated(next(filter(None, days), ""), tuple(kept)[:MOST_TAGS])


def day(text: str | datetime | None) -> str:
    """Return the day of a date that is written year first, as in ISO 8601 and PDF; or nothing.

    It is the day in the time zone that the date is given in. A year or a month alone is no day.
    """
    if isinstance(text, datetime):
        return text.date().isoformat()
    found = YMD.match(text or "")
    if not found or not found[4]:
        return ""
    try:
        there = date(int(found[1]), int(found[3]), int(found[4]))
    except ValueError:
        return ""
    return there.isoformat() if there.year > MINYEAR else ""
