"""What kind of thing a question asks for, and whether a sentence has one to offer."""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum

from answer.values import SPELT
from retrieval.words import words


class Kind(StrEnum):
    """What an answer must hold."""

    DATE = "date"
    NUMBER = "number"
    NAME = "name"
    PLACE = "place"


ASKS = {
    Kind.DATE: re.compile(
        r"\b(?:when|(?:what|which) (?:year|date|day|month|time|century)"
        r"|how (?:long ago|old|soon))\b",
        re.IGNORECASE,
    ),
    Kind.NUMBER: re.compile(
        r"\bhow (?:many|much|long|far|big|large|tall|high|deep|fast|often|soon|old)\b"
        r"|\bwhat (?:percentage|number|amount|age|limit|price|fee|rate|share)\b|\bcosts?\b",
        re.IGNORECASE,
    ),
    Kind.NAME: re.compile(r"\bwho(?:se|m)?\b", re.IGNORECASE),
    Kind.PLACE: re.compile(r"\bwhere\b|\b(?:what|which) (?:city|country|state|place|town)\b", re.I),
}
DATES = re.compile(
    r"\b1\d{3}s?\b|\b20\d\ds?\b|\d(?:st|nd|rd|th)\b|\b\d{1,2}[:./-]\d{1,2}\b"
    r"|\b(?:january|february|march|april|may|june|july|august|september|october|november|december"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|century|hours?|minutes?|days?|weeks?|months?"
    r"|years?|yearly|annual(?:ly)?|daily|noon|midnight|immediately)\b"
    r"|\d\s?[ap]\.?m\b",
    re.IGNORECASE,
)
NUMBERS = re.compile(
    rf"\d|\b(?:{'|'.join(SPELT)}|none|free|hundreds?|thousands?|millions?|billions?|once|twice|half|several|dozens?"
    r"|daily|weekly|monthly|annual(?:ly)?|year(?:ly)?)\b",
    re.IGNORECASE,
)
NAMES = re.compile(
    r"(?<=[a-z,;:)\"”] )[A-Z][\w’'-]+(?: [A-Z][\w’'-]+)*|^[A-Z][\w’'-]+ [A-Z][\w’'-]+"
)
PLACES = re.compile(r"\b(?:in|at|on|near|from|to|of|into|across|outside) (?:the )?[A-Z]")


def asked_for(question: str) -> frozenset[Kind]:
    """Return what kinds of thing a question asks for."""
    return frozenset(kind for kind, asks in ASKS.items() if asks.search(question))


def offers(kind: Kind, sentence: str, question: str) -> bool:
    """Whether a sentence holds something of a kind.

    A name that stands in the question does not count. In text without capitals there is no
    telling names and places: it is taken to hold them.
    """
    if kind in (Kind.NAME, Kind.PLACE) and not any(c.isupper() for c in sentence):
        return True
    return _FINDERS[kind](sentence, question)


def _new_name(sentence: str, question: str) -> bool:
    known = set(words(question))
    return any(not set(words(name)) <= known for name in NAMES.findall(sentence))


_FINDERS: Mapping[Kind, Callable[[str, str], bool]] = {
    Kind.DATE: lambda sentence, _: bool(DATES.search(sentence)),
    Kind.NUMBER: lambda sentence, _: bool(NUMBERS.search(sentence)),
    Kind.NAME: _new_name,
    Kind.PLACE: lambda sentence, _: bool(PLACES.search(sentence)),
}
