"""Which part of a sentence says what: a value, or a denial, belongs to its clause and not to the
words of another."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from answer.values import MONTHS, VALUE, denies
from retrieval.words import STOP_WORDS, stem, words

JOINT = re.compile(r"(?<!\d),|,(?!\d)|[;()]|\b(?:and|but|while|whereas)\b", re.IGNORECASE)
"""Between what may have values of its own."""
BREAK = re.compile(
    r"[;()]|,?\s?\b(?:and|but|while|whereas)\b|,\s+(?=(?:not|which|though|although)\b)",
    re.IGNORECASE,
)
"""Between what may be denied by itself: not any comma, as in "did not, in 2020, approve"."""
CURRENCY = re.compile(r"[£$€¥]")
DAY_MONTHS = frozenset(month.lower() for month in MONTHS)
LENGTHS = frozenset("minut hour dai week month year".split())
ORDINALS = frozenset("st nd rd th".split())
NAMED_TIME = re.compile(
    rf"\b(?:(?:{'|'.join(month for month in MONTHS if month != 'May')})\b"
    r"|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?\b)"
)
"""What is swapped as easily as a number. "May" mostly is no month."""
ARTICLES = frozenset("a an the".split())


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a sentence that has one of several values of a kind: the stems of the words before
    it, and all that it has."""

    value: str
    before: frozenset[str]
    stems: frozenset[str]


def misplaced(claim: str, quote: str) -> str | None:
    """Return a value of the claim whose words stand with another value in the quote.

    Both texts must be `comparable`. Of "A dog licence costs £12 and a cat licence £8" the words
    "dog" and £8 do not belong together. Words before another value may be meant with this one, too,
    if they stand before all of them or if the claim has all that leads to this one; those behind
    another value may not.
    """
    for kind in {_kind(match) for match in _values(claim)}:
        there = _stretches(quote, kind)
        if len({stretch.value for stretch in there}) < 2:
            continue
        for said in _stretches(claim, kind):
            own = [one for one in there if one.value == said.value]
            if own and not any(_belongs(said, one, there) for one in own):
                return said.value
    return None


def _belongs(said: Stretch, own: Stretch, there: Sequence[Stretch]) -> bool:
    others = [one for one in there if one is not own]
    before = frozenset[str]().union(*(one.before for one in others))
    behind = frozenset[str]().union(*(one.stems - one.before for one in others))
    left = said.stems - {said.value} - own.stems
    if left & behind:
        return False
    shared = left & before
    return own.before <= said.stems if shared and own.before else shared <= there[0].before


def _stretches(text: str, kind: str) -> list[Stretch]:
    """Return the parts of a text that have a value of a kind each."""
    cuts = [0, *(match.end() for match in JOINT.finditer(text)), len(text)]
    found: list[Stretch] = []
    start = 0
    for stop in cuts[1:]:
        values = [v for v in _values(text, start, stop) if _kind(v) == kind]
        if not values and stop < len(text):
            continue  # what follows has the value, and this is about it
        if not values and found:
            last = found[-1]
            stems = last.stems | _stems(text[start:stop])
            found[-1] = Stretch(last.value, last.before, stems)
        for value in values:
            # Of several in one part there is no telling which words lead to which.
            led_by = _stems(text[start : values[0].start()])
            before = frozenset(word for word in led_by if not word[0].isdigit())
            found.append(Stretch(value[0].rstrip("s"), before, _stems(text[start:stop])))
        start = stop
    return found


def _values(text: str, start: int = 0, stop: int = sys.maxsize) -> list[re.Match[str]]:
    return [*VALUE.finditer(text, start, stop), *NAMED_TIME.finditer(text, start, stop)]


def _kind(value: re.Match[str]) -> str:
    """Return what values must have in common to be taken for each other: that they are money, a
    time of day, a day, a weekday, a month, a length of time, or the word behind a number."""
    if NAMED_TIME.match(value[0]):
        return "weekday" if "day" in value[0] else "month"
    if CURRENCY.search(value[0]):
        return "money"
    shape = re.sub(r"[\d.,]+", "#", value[0].lower())
    if shape in {"#am", "#pm"}:
        return "time"
    shape = shape.removesuffix("m")  # of "5m": the scales are worked into comparable numbers
    following = re.match(r"\s*-?\s*([^\W\d_]+)", value.string[value.end() :])
    word = following[1].lower() if following else ""
    if shape != "#" or not word or word in STOP_WORDS:
        return shape
    if word in DAY_MONTHS:
        return "day"
    if word in ORDINALS:
        return "place"
    return "length" if stem(word) in LENGTHS else f"# {stem(word)}"


def _stems(text: str) -> frozenset[str]:
    # Porter leaves nothing of the "s" of "dog's".
    return frozenset(stem(word) for word in words(text) if word not in STOP_WORDS) - {""}


def flipped(claim: str, quote: str) -> bool:
    """Whether the claim denies what the quote affirms, or affirms what it denies.

    What counts is the clause of the quote that has most of a clause's words, or the whole where
    that has no subject of its own, since a denial before it may reach into it.
    """
    clauses = _clauses(quote)
    alike = denies(claim) == denies(quote)
    return any(
        denies(said) != denies(against)
        for said in _clauses(claim)
        if said not in clauses and len(_stems(said)) > alike  # "fire" of "no fire and flood"
        for against in _nearest(said, clauses) or [quote]
    )


def _nearest(said: str, clauses: Sequence[str]) -> list[str]:
    shared = [len(_stems(said) & _stems(clause)) for clause in clauses]
    best = [n for n, count in enumerate(shared) if count == max(shared)]
    alone = all(n == 0 or _first(clauses[n]) == _first(said) for n in best)
    return [clauses[n] for n in best] if max(shared) and alone else []


def _clauses(text: str) -> list[str]:
    found: list[str] = []
    for part in (part.strip(" .") for part in BREAK.split(text) if words(part)):
        if found and len(_stems(part)) < 2 and not denies(part):
            found[-1] += f" and {part}"  # "fire and flood" is one
        else:
            found.append(part)
    return found or [text]


def _first(text: str) -> str:
    return next((word for word in words(text) if word not in ARTICLES), "")
