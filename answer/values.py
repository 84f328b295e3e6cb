"""Numbers, names and denial in a text, in a form that can be compared."""

import re
from collections import defaultdict
from dataclasses import dataclass, field

from retrieval.words import STOP_WORDS, stem, words

NUMBER = (
    r"(?:[£$€¥]\s?)?(?<![\w.])\d+(?:[,\u202f\u00a0]\d{3})*(?:\.\d+)?"
    r"(?:\s?%|\s?per ?cent\b|\s?(?:hundred|thousand|million|billion|trillion|bn|m|k)\b)?"
)
NAME = re.compile(r"\b[A-Z][\w’'-]*(?:\s+[A-Z][\w’'-]*)*")
SPELT = {
    word: str(value)
    for value, word in enumerate(
        """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
        fifteen sixteen seventeen eighteen nineteen twenty""".split()
    )
}
NEGATIONS = frozenset({"not", "no", "never", "neither", "nor", "none", "without", "cannot", "nt"})
MONTHS = (
    "January February March April May June July August September October November December"
).split()
MONTH = "|".join(f"{month[:3]}(?:t|{month[3:]})?" for month in MONTHS)
DATES = (
    rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:\s+of)?\s+(?P<month>{MONTH})\b\.?(?:,?\s+(?P<year>\d{{4}}))?",
    rf"(?P<month>{MONTH})\b\.?\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(?P<year>\d{{4}}))?",
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)",
    r"(?P<day>\d{1,2})[/.](?P<month>\d{1,2})[/.](?P<year>\d{4})",
    r"(?P<day>\d\d)/(?P<month>\d\d)",
)
"""Ways to write a date. Digits alone are read with the day first."""
DATE = tuple(re.compile(rf"(?<![\w/.-]){date}(?![\w/-])") for date in DATES)
VALUE = re.compile(rf"{NUMBER}|\b(?:{'|'.join(SPELT)})\b", re.IGNORECASE)
BEFORE = re.compile(r"([^\W_]+)\s+$")
AFTER = re.compile(r"\s*-?\s*([^\W_]+)")


@dataclass(slots=True)
class Neighbours:
    """The stems of the words just before and just after a number, wherever it stands.

    A word that carries no meaning ("in", "is") is no neighbour.
    """

    before: set[str] = field(default_factory=set)
    after: set[str] = field(default_factory=set)


def neighbours(text: str) -> dict[str, Neighbours]:
    """Return the numbers of a text, each with its neighbours.

    "1,200" is 1200, "15 per cent" 15%, "three" 3. 15, 15%, £15 and 15 million are four values.
    """
    found: dict[str, Neighbours] = defaultdict(Neighbours)
    for match in VALUE.finditer(text):
        near = found[_canonical(match[0])]
        # A neighbour stands in the same clause, with nothing but spaces between.
        near.before |= _telling(BEFORE.search(text[: match.start()]))
        near.after |= _telling(AFTER.match(text[match.end() :]))
    return dict(found)


def dates_alike(text: str) -> str:
    """Return a text with its dates written in one way: "03/03/2026" as "3 March 2026"."""
    for date in DATE:
        text = date.sub(_in_words, text)
    return text


def names_in(text: str) -> list[str]:
    """Return the capitalised names of a text; a sentence's first word alone is not one."""
    names = []
    for match in NAME.finditer(text):
        name = match[0]
        before = text[: match.start()].rstrip()
        if not before or before[-1] in '.!?:“"':
            _, _, name = name.partition(" ")
        if name and not name.isdigit() and name != "I":
            names.append(name)
    return names


def denies(text: str) -> bool:
    """Whether a text denies something."""
    return bool(NEGATIONS & set(words(re.sub(r"n['’]t\b", " not", text))))


def _in_words(date: re.Match[str]) -> str:
    said, day = date["month"], int(date["day"])
    starts = [month[:3] for month in MONTHS]
    month = int(said) if said.isdigit() else 1 + starts.index(said[:3])
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return date[0]
    return " ".join(filter(None, (str(day), MONTHS[month - 1], date.groupdict().get("year"))))


def _telling(match: re.Match[str] | None) -> set[str]:
    if match is None:
        return set()
    return {stem(word) for word in words(match[1]) if word not in STOP_WORDS}


def _canonical(number: str) -> str:
    if (low := number.lower()) in SPELT:
        return SPELT[low]
    digits = re.sub(r"[^\d.]", "", number)
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    unit = re.sub(r"per ?cent", "%", re.sub(r"[\d.,\s]", "", low.replace("per cent", "%")))
    sign = unit[:1] if unit[:1] in set("£$€¥") else ""
    return sign + digits + unit.removeprefix(sign)
