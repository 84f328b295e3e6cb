"""Numbers, names and denial in a text, in a form that can be compared."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from retrieval.words import STOP_WORDS, stem, words

NUMBER = (
    r"(?:(?<![\w.)])\d+(?:\.\d+){2,}|"
    r"(?:[£$€¥]\s?|(?<![\w.)])[-−–](?=\d))?(?<![\w.])\d+(?:[,\u202f\u00a0]\d{3})*(?:\.\d+)?"
    r"(?:\s?%|\s?per ?cent\b|\s?(?:hundred|thousand|million|billion|trillion|bn|m|k)\b"
    r"|\s?[ap]\.?m\b)?(?:\s?[£$€¥](?!\s?\d))?)"
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
    r"(?P<day>\d{1,2})(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<year>\d{4})",
    r"(?P<day>\d\d)/(?P<month>\d\d)",
)
"""Ways to write a date. Digits alone are read with the day first."""
DATE = tuple(re.compile(rf"(?<![\w/.-]){date}(?![\w/-])") for date in DATES)
CLOCK = re.compile(
    r"(?<![\w.,:])(?:(?P<hour>\d{1,2})(?:[:.](?P<minute>[0-5]\d))?\s?(?P<half>[ap])\.?m\b"
    r"|(?P<of_24>[01]?\d|2[0-4]):(?P<past>[0-5]\d)(?![\d:])(?!\s?[ap]\.?m\b))",
    re.IGNORECASE,
)
"""A time of day; without "am" and "pm" the hours are taken for those of a day."""
CONTRACTIONS = (
    (re.compile(r"\bcan(?:not|['’]t)\b", re.I), "can not"),
    (re.compile(r"\bwon['’]t\b", re.I), "will not"),
    (re.compile(r"\bshan['’]t\b", re.I), "shall not"),
    (re.compile(r"(?<=\w)n['’]t\b", re.I), " not"),
)
LONG_UNITS = {"bn": "billion", "k": "thousand"}
SCALES = {
    "hundred": 100,
    "thousand": 1_000,
    "million": 1_000_000,
    "billion": 1_000_000_000,
    "trillion": 1_000_000_000_000,
}
VALUE = re.compile(
    rf"{NUMBER}|\b(?:{'|'.join(sorted(SPELT, key=len, reverse=True))})\b", re.IGNORECASE
)
NOT_EVERY = "notevery"
"""What stands for "not all" where texts are compared: it denies, and may not be left out."""
# "No more than" denies nothing, and "No. 5" is a number.
BOUNDS = (
    (re.compile(r"\b(?:no|not) (?:more|later|longer|higher) than\b|\bat most\b", re.I), "atmost"),
    (re.compile(r"\b(?:no|not) (?:fewer|less|earlier|lower) than\b|\bat least\b", re.I), "atleast"),
    (
        re.compile(r"\bup to (?=[£$€¥]?\d)|≤\s*|\bmax(?:imum)?\b(?: of)?\.?\s+(?=[£$€¥]?\d)", re.I),
        "atmost ",
    ),
    (re.compile(r"≥\s*|\bmin(?:imum)?\b(?: of)?\.?\s+(?=[£$€¥]?\d)", re.I), "atleast "),
    (
        re.compile(
            rf"(?<![\d,])((?:{NUMBER})(?: [^\W\d_]+)?) or (?:more|over|above|longer|older)\b", re.I
        ),
        r"atleast \1",
    ),
    (
        re.compile(
            rf"(?<![\d,])((?:{NUMBER})(?: [^\W\d_]+)?) or (?:less|fewer|under|below|younger)\b",
            re.I,
        ),
        r"atmost \1",
    ),
    (
        re.compile(
            r"(?:\b(?:above|more than|higher than|longer than|exceeding|in excess of)\s+|>\s*)"
            r"(?=[£$€¥]?\d)",
            re.I,
        ),
        "over ",
    ),
    (
        re.compile(
            r"(?:\b(?:below|less than|fewer than|lower than|shorter than)\s+|<\s*)(?=[£$€¥]?\d)",
            re.I,
        ),
        "under ",
    ),
    (re.compile(r"±\s*(?=\d)"), "plusminus "),
    (
        re.compile(
            r"\b(?:almost|nearly|approximately|roughly|around|circa|ca?\.|some)\s+(?=[£$€¥]?\d)|~\s*(?=\d)",
            re.I,
        ),
        "about ",
    ),
    (re.compile(rf"\bbetween ((?:{NUMBER})) and (?={NUMBER})", re.I), r"from \1 to "),
    (re.compile(r"(?<=\d)\s?[–-]\s?(?=\d)"), " to "),
    (re.compile(r"\bnot (?=(?:all|every\w*|always|necessarily)\b)", re.I), f"{NOT_EVERY} "),
    (re.compile(r"\bnos?\.\s*(?=\d)", re.I), "number "),
)
# "Section 4.10" is not "section 4.1", though 4.10 is 4.1.
NUMBERED = re.compile(
    r"(?:\b(?:section|clause|paragraph|article|rule|version|release|chapter|annex|table)s?\s|§\s?)$",
    re.IGNORECASE,
)
LED = re.compile(
    r"\b(atmost|atleast|(?:more|less|fewer|later|earlier|longer|higher|lower) than|over|under|below"
    r"|above|before|after|minus|about|plusminus|from|since|to|until|till|by)\s+(?:the\s+)?$",
    re.IGNORECASE,
)
"""What may stand before a number and says on which side of it something is."""
SAME_SIDE = {"until": "to", "till": "to", "since": "from"}
BEFORE = re.compile(r"([^\W_]+)\s+$")
AFTER = re.compile(r"\s*-?\s*([^\W_]+)")
NEAR = 48
"""Characters before a number that are searched for its neighbour and what leads it."""


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
        first = max(0, match.start() - NEAR)
        near.before |= _telling(BEFORE.search(text, first, match.start()))
        near.after |= _telling(AFTER.match(text, match.end()))
    return dict(found)


def sides(text: str) -> dict[str, set[str]]:
    """Return for each number of a `comparable` text the words that say on which side of it
    something is ("atmost", "over", "to"), or "" where nothing does."""
    found: dict[str, set[str]] = defaultdict(set)
    for match in VALUE.finditer(text):
        led = LED.search(text, max(0, match.start() - NEAR), match.start())
        word = led[1].lower() if led else ""
        found[_value(match)].add(SAME_SIDE.get(word, word))
    return dict(found)


def comparable(text: str) -> str:
    """Return a text with its dates, times, numbers, bounds and denials written in one way: "three
    days, at most" as "3 days, atmost"."""
    text = CLOCK.sub(_on_the_clock, dates_alike(_denials_alike(text)))
    for _ in ("one hundred", "1 hundred"):
        text = VALUE.sub(_value, text)
    return _bounds_alike(text)


SAID = re.compile(r"(?<![£$€¥%.,+−-])[£$€¥%.,+−-]{0,4}\w[\w%+−-]*")


def said_in(text: str) -> str:
    """Return what a sentence says, so that two that say the same word for word are equal; marks
    count only where they make another value: "-5 °C" is not "5 °C"."""
    return " ".join(SAID.findall(comparable(text).casefold()))


def dates_alike(text: str) -> str:
    """Return a text with its dates written in one way: "03/03/2026" as "3 March 2026"."""
    for date in DATE:
        text = date.sub(_in_words, text)
    return text


def plain_letters(text: str) -> str:
    """Return a text in small letters, without those that only match others where capitals do not
    matter: the "İ", "ı" and "ſ" of "SİX" and "nıne"."""
    return text.casefold().replace("ı", "i").replace("\u0307", "")


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
    return bool((NEGATIONS | {NOT_EVERY}) & set(words(_denials_alike(_bounds_alike(text)))))


def _denials_alike(text: str) -> str:
    for written, alike in CONTRACTIONS:
        text = written.sub(alike, text)
    return text


def _bounds_alike(text: str) -> str:
    for bound, alike in BOUNDS:
        text = bound.sub(alike, text)
    return text


def _on_the_clock(time: re.Match[str]) -> str:
    hour, minute = int(time["hour"] or time["of_24"]), time["minute"] or time["past"] or "00"
    if time["of_24"]:
        half = "pm" if 12 <= hour < 24 else "am"
        hour = hour % 12 or 12
    else:
        half = f"{time['half'].lower()}m"
    return f"{hour}{half}" if minute == "00" else f"{hour}.{minute}{half}"


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
    if (low := plain_letters(number)) in SPELT:
        return SPELT[low]
    if number.count(".") > 1 and number[-1].isdigit():
        return number  # of a version, or a section
    (digits,) = re.findall(r"\d[\d.,\u202f\u00a0]*", number)
    digits = re.sub(r"[^\d.]", "", digits).rstrip(".")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    if len(digits) == 2:
        digits = digits.removeprefix("0")  # "09:30"
    unit = re.sub(r"per ?cent", "%", re.sub(r"[\d.,\s]", "", low.replace("per cent", "%")))
    sign = "".join(re.findall(r"[£$€¥−–-]", unit))
    sign = re.sub("[−–]", "-", sign)
    unit = re.sub(r"[£$€¥−–-]", "", unit)
    unit = LONG_UNITS.get(unit, unit)
    if sign.strip("-"):
        unit = "million" if unit == "m" else unit  # and not metres
    if unit in SCALES:
        digits = f"{(Decimal(digits) * SCALES[unit]).normalize():f}"
        unit = ""
    return sign + digits + unit
