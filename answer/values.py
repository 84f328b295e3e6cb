"""Numbers, names and denial in a text, in a form that can be compared."""

import re
from collections import defaultdict
from dataclasses import dataclass, field

from retrieval.words import STOP_WORDS, stem, words

NUMBER = (
    r"(?:[£$€¥]\s?|(?<![\w.)])[-−](?=\d))?(?<![\w.])\d+(?:[,\u202f\u00a0]\d{3})*(?:\.\d+)?"
    r"(?:\s?%|\s?per ?cent\b|\s?(?:hundred|thousand|million|billion|trillion|bn|m|k)\b"
    r"|\s?[ap]\.?m\b)?(?:\s?[£$€¥](?!\s?\d))?"
)
NAME = re.compile(r"\b[A-Z][\w’'-]*(?:\s+[A-Z][\w’'-]*)*")
SPELT = {
    word: str(value)
    for value, word in enumerate(
        """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
        fifteen sixteen seventeen eighteen nineteen twenty""".split()
    )
}
TENS = {
    word: str(10 * value)
    for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
}
SPELT |= TENS | {
    f"{ten}-{one}": str(int(value) + int(SPELT[one]))
    for ten, value in TENS.items()
    for one in list(SPELT)[1:10]
}
LONG_UNITS = {"bn": "billion", "k": "thousand"}
NEGATIONS = frozenset(
    """not no never neither nor none without cannot nt nobody nothing nowhere non hardly scarcely
    barely rarely seldom nicht kein keine keinen keinem keiner nie niemals niemand nichts ohne pas
    jamais aucun aucune personne rien nunca nadie ningún ninguna""".split()
)
"""Of English, and the commonest of German, French and Spanish."""
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
VALUE = re.compile(
    rf"{NUMBER}|\b(?:{'|'.join(sorted(SPELT, key=len, reverse=True))})\b", re.IGNORECASE
)
# "No more than" denies nothing, and "No. 5" is a number.
BOUNDS = (
    (re.compile(r"\b(?:no|not) (?:more|later|longer|higher) than\b|\bat most\b", re.I), "atmost"),
    (re.compile(r"\b(?:no|not) (?:fewer|less|earlier|lower) than\b|\bat least\b", re.I), "atleast"),
    (re.compile(r"\bup to (?=[£$€¥]?\d)", re.I), "atmost "),
    (re.compile(r"\bnos?\.\s*(?=\d)", re.I), "number "),
)
# "Section 4.10" is not "section 4.1", though 4.10 is 4.1.
NUMBERED = re.compile(
    r"(?:\b(?:section|clause|paragraph|article|rule|version|release|chapter|annex|table)s?\s|§\s?)$",
    re.IGNORECASE,
)
LED = re.compile(
    r"\b(atmost|atleast|(?:more|less|fewer|later|earlier|longer|higher|lower) than|over|under|below"
    r"|above|before|after|minus|from|since|to|until|till|by)\s+(?:the\s+)?$",
    re.IGNORECASE,
)
"""What may stand before a number and says on which side of it something is."""
SAME_SIDE = {"until": "to", "till": "to", "since": "from"}
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
        near = found[_value(match)]
        # A neighbour stands in the same clause, with nothing but spaces between.
        near.before |= _telling(BEFORE.search(text[: match.start()]))
        near.after |= _telling(AFTER.match(text[match.end() :]))
    return dict(found)


def sides(text: str) -> dict[str, set[str]]:
    """Return for each number of a `comparable` text the words that say on which side of it
    something is ("atmost", "over", "to"), or "" where nothing does."""
    found: dict[str, set[str]] = defaultdict(set)
    for match in VALUE.finditer(text):
        led = LED.search(text, max(0, match.start() - 24), match.start())
        word = led[1].lower() if led else ""
        found[_value(match)].add(SAME_SIDE.get(word, word))
    return dict(found)


def comparable(text: str) -> str:
    """Return a text with its dates, numbers and bounds written in one way: "three days, at most" as
    "3 days, atmost"."""
    return _bounds_alike(VALUE.sub(_value, dates_alike(text)))


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
    """Whether a text denies something; a bound, as in "no more than", is no denial."""
    return bool(NEGATIONS & set(words(re.sub(r"n['’]t\b", " not", _bounds_alike(text)))))


def _bounds_alike(text: str) -> str:
    for bound, alike in BOUNDS:
        text = bound.sub(alike, text)
    return text


def _in_words(date: re.Match[str]) -> str:
    said, day = date["month"], int(date["day"])
    starts = [month[:3] for month in MONTHS]
    month = int(said) if said.isdigit() else 1 + starts.index(said[:3])
    if said.isdigit() and date.groupdict().get("year") and day <= 12 < month:
        day, month = month, day  # it can only be the American way
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return date[0]
    return " ".join(filter(None, (str(day), MONTHS[month - 1], date.groupdict().get("year"))))


def _telling(match: re.Match[str] | None) -> set[str]:
    if match is None:
        return set()
    return {stem(word) for word in words(match[1]) if word not in STOP_WORDS}


def _value(match: re.Match[str]) -> str:
    before = match.string[max(0, match.start() - 12) : match.start()]
    if re.fullmatch(r"\d+\.\d+", match[0]) and NUMBERED.search(before):
        return match[0]
    return _canonical(match[0])


def _canonical(number: str) -> str:
    if (low := number.lower().replace("ſ", "s")) in SPELT:
        return SPELT[low]
    (digits,) = re.findall(r"\d[\d.,\u202f\u00a0]*", number)
    digits = re.sub(r"[^\d.]", "", digits).rstrip(".")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    if len(digits) == 2:
        digits = digits.removeprefix("0")  # "09:30"
    unit = re.sub(r"per ?cent", "%", re.sub(r"[\d.,\s]", "", low.replace("per cent", "%")))
    sign = "".join(re.findall(r"[£$€¥−-]", unit)).replace("−", "-")
    unit = re.sub(r"[£$€¥−-]", "", unit)
    unit = "million" if sign and unit == "m" else LONG_UNITS.get(unit, unit)
    return sign + digits + unit
