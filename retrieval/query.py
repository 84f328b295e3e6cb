"""What a question is searched with: its words as the library spells them.

People type in haste, abbreviate, and write numbers and dates in their own way. `understand`
makes of a question the text to embed and the words and phrases to look up. A word is corrected
only if it stands nowhere in the library, is no word that the embedder knows, and is near to one
that the library has; the reader is told. Everything else only adds ways to say the same.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from rapidfuzz.distance import OSA

from retrieval.words import STOP_WORDS, content_words, words

CONTRACTIONS = (
    # Typed without an apostrophe denials would be taken for slips: "cant" for "can".
    (
        re.compile(
            r"\b(do|does|did|is|are|was|were|has|have|had|would|should|could|must)nt\b", re.I
        ),
        r"\1 not",
    ),
    (re.compile(r"\b(what|when|where|who|why|how|that|there|here)(?:['’]s|s)\b", re.I), r"\1 is"),
    (re.compile(r"\b(it|he|she)['’]s\b", re.I), r"\1 is"),
    (re.compile(r"\bwon['’]?t\b", re.I), "will not"),
    (re.compile(r"\bcan['’]?t\b", re.I), "cannot"),
    (re.compile(r"(?<=\w)n['’]t\b", re.I), " not"),
    (re.compile(r"(?<=\w)['’]re\b", re.I), " are"),
    (re.compile(r"(?<=\w)['’]ll\b", re.I), " will"),
    (re.compile(r"(?<=\w)['’]ve\b", re.I), " have"),
    (re.compile(r"\bi['’]m\b", re.I), "I am"),
    (re.compile(r"\b([Ii])m\b"), r"\1 am"),
    (re.compile(r"\b([Ii]|you|we|they)ve\b"), r"\1 have"),
    (re.compile(r"\b(you|they)re\b"), r"\1 are"),
)
POSSESSIVE = re.compile(r"(?<=\w)['’]s\b")

SPELT = dict(
    zip(
        "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
        " sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty"
        " ninety".split(),
        "2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 30 40 50 60 70 80 90".split(),
        strict=True,
    )
) | dict(
    zip(
        "first second third fourth fifth sixth seventh eighth ninth tenth".split(),
        "1st 2nd 3rd 4th 5th 6th 7th 8th 9th 10th".split(),
        strict=True,
    )
)
OTHERWISE = SPELT | {digits: word for word, digits in SPELT.items()}

MONTHS = (
    "january february march april may june july august september october november december".split()
)
MONTH = rf"({'|'.join(f'{m[:3]}(?:{m[3:]})?' for m in MONTHS)}|sept)\b\.?"
DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
DAY_FIRST = re.compile(rf"\b{DAY}\s+(?:of\s+)?{MONTH}(?:,?\s+(\d{{4}})\b)?", re.I)
MONTH_FIRST = re.compile(rf"\b{MONTH}\s+{DAY}\b(?:,?\s+(\d{{4}})\b)?", re.I)
YEAR_FIRST = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b")
ALL_DIGITS = re.compile(r"\b(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})\b")

GROUPED = re.compile(r"\b\d{1,3}(?:[,\u00a0\u202f]\d{3})+\b")
UNGROUPED = re.compile(r"\b\d{4,18}\b")
DECIMAL = re.compile(r"\b\d+\.\d+\b")
THOUSANDS = re.compile(r"\b(\d{1,3})k\b", re.I)
IDENTIFIER = re.compile(r"\b([A-Za-z]{1,5})[-–]?(\d+)\b|\b(\d+)[-–]?([A-Za-z]{1,2})\b")
SPACED = re.compile(r"\b(\d+) ([A-Z])\b|\b([A-Z]{1,5}) (\d+)\b|\b[Ff]orm (\d+) ([a-z])\b")
"""An identifier in two pieces: "12 B", "ISO 27001"; in small letters only after "form"."""
ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)", re.I)

SHORT_FORM = re.compile(r"\b[A-Z][A-Za-z]{0,8}[A-Z]s?\b|\b[A-Z]{2,10}\b")
ACRONYM = re.compile(r"\b[A-Z]{2,5}\b")
HASTY = re.compile(r"\b[A-Za-z]{2,5}\b")
ROMAN = re.compile(r"[IVX]+")
LONGEST_NAME = 6
"""Words of a name that has a short form, those between counted."""

SHORTEST = 4
"""Letters a word must have to be corrected."""
LONGEST = 40
"""Letters from which on there is no telling what was meant."""
MOST_LOOKED_FOR = 5
"""Words of a question that a nearer one is looked for, which takes milliseconds each."""
BESIDE = 4
"""Words before and after one, with which it is looked for."""
MOST_SHORT_FORMS = 10
"""Short forms of a question that are spelt out: each that is new takes milliseconds."""
ENDINGS = ("s", "r", "rs", "er", "ers", "ing", "ly")
"""What makes another word of one that stands there: "part-timers", where there is "part-time"."""
LONG = 8
"""Letters from which on two slips are forgiven, and not one."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A word as it was typed, and what was searched for instead."""

    typed: str
    meant: str


@dataclass(frozen=True, slots=True)
class Query:
    """A question made ready. `text` is the question mended; `embedded` has its short forms
    spelt out; `lookups` are the words and phrases of which a passage should hold some."""

    text: str
    embedded: str
    lookups: tuple[str, ...]
    corrections: tuple[Correction, ...] = ()


class Vocabulary(Protocol):
    """The words of a library."""

    def standing(self, asked: Sequence[str]) -> set[str]:
        """Return those of the words that stand somewhere in the library."""

    def is_word(self, word: str) -> bool:
        """Whether it is known as a word, though no document may have it."""

    def near(self, word: str) -> list[tuple[str, int]]:
        """Return words of the library that are spelt much like one, and how many passages
        hold each."""

    def passages_with(self, *phrases: str) -> int:
        """Return how many passages hold all of the phrases."""

    def meanings(self, short: str) -> list[str]:
        """Return the names that the documents say a short form stands for."""


def understand(question: str, vocabulary: Vocabulary) -> Query:
    """Return what to search with for a question."""
    text, corrections = _corrected(spelt_out(question), vocabulary)
    plain = POSSESSIVE.sub("", text)
    forms = islice(dict.fromkeys(_short_forms(plain, vocabulary)), MOST_SHORT_FORMS)
    names = {short: found[0] for short in forms if (found := _meanings(short, vocabulary))}
    embedded = text
    for short, name in names.items():
        if not vocabulary.is_word(short.lower()):
            around = re.split(rf"\b{short}\b", embedded, maxsplit=1)
            embedded = f"{name} ({short})".join(around)
    lookups = [
        *content_words(plain),
        *_other_spellings(plain),
        *(" ".join(words(name)) for name in names.values()),
        *_abbreviated(plain, vocabulary),
    ]
    return Query(text, embedded, tuple(dict.fromkeys(lookups)), tuple(corrections))


def spelt_out(question: str) -> str:
    """Return a question without contractions."""
    for contraction, whole in CONTRACTIONS:
        question = contraction.sub(whole, question)
    return question


def is_month(word: str) -> bool:
    """Whether a word is the name of a month, whole or short."""
    return bool(re.fullmatch(MONTH, word, re.IGNORECASE))


def slips(word: str) -> int:
    """Return how many slips a word may have to be corrected."""
    return 0 if len(word) < SHORTEST else 1 if len(word) < LONG else 2


def _corrected(text: str, vocabulary: Vocabulary) -> tuple[str, list[Correction]]:
    """Mend the words that stand nowhere and are near to one that does."""
    asked = content_words(text)
    standing = vocabulary.standing(asked)
    corrections: list[Correction] = []
    mended: dict[str, str] = {}
    looked = 0
    for match in re.finditer(r"[^\W\d_]+", text):
        typed = match[0]
        if typed.lower() not in asked or typed.lower() in standing or typed.lower() in mended:
            continue
        if looked == MOST_LOOKED_FOR or not _may_be_a_slip(typed, vocabulary):
            continue
        looked += 1
        around = [
            mended.get(w, w) for w in asked if w in standing or w in mended or w == typed.lower()
        ]
        meant = _split(typed.lower(), vocabulary) or _nearest(typed.lower(), around, vocabulary)
        if meant:
            meant = meant.capitalize() if typed[0].isupper() else meant
            mended[typed.lower()] = meant.lower()
            corrections.append(Correction(typed, meant))
    for correction in corrections:
        text = re.sub(rf"\b{correction.typed}\b", correction.meant, text, flags=re.I)
    return text, corrections


def _may_be_a_slip(typed: str, vocabulary: Vocabulary) -> bool:
    if not SHORTEST <= len(typed) < LONGEST or (typed.isupper() and len(typed) <= LONG):
        return False
    roots = [root for end in ENDINGS if len(root := typed.lower().removesuffix(end)) >= SHORTEST]
    return not vocabulary.is_word(typed.lower()) and not vocabulary.standing(roots)


def _split(typed: str, vocabulary: Vocabulary) -> str | None:
    """Return two words that were typed as one, if the library has them side by side."""
    cuts = range(3, len(typed) - 2)
    pairs = [(typed[:at], typed[second:]) for at in cuts for second in (at, at - 1)]
    there = vocabulary.standing([half for pair in pairs for half in pair])
    together = (f"{one} {other}" for one, other in pairs if {one, other} <= there)
    return next((pair for pair in together if vocabulary.passages_with(pair)), None)


def _nearest(typed: str, around: Sequence[str], vocabulary: Vocabulary) -> str | None:
    """Return the word that was probably meant: the nearest, then the one that stands most often
    beside its neighbours in the question, then in most passages with its other words."""
    near = [
        (distance, word, count)
        for word, count in vocabulary.near(typed)
        if (distance := OSA.distance(typed, word)) <= slips(typed)
    ]
    if not near:
        return None
    least = min(distance for distance, _, _ in near)
    tied = [(word, count) for distance, word, count in near if distance == least]
    if len(tied) == 1:
        return tied[0][0]

    at = around.index(typed)
    others = [*around[max(0, at - BESIDE) : at], *around[at + 1 : at + 1 + BESIDE]]

    def likelihood(candidate: tuple[str, int]) -> tuple[int, int, int]:
        word, count = candidate
        beside = [f"{other} {word}" for other in around[:at][-1:]]
        beside += [f"{word} {other}" for other in around[at + 1 :][:1]]
        return (
            sum(vocabulary.passages_with(pair) for pair in beside),
            sum(vocabulary.passages_with(word, other) for other in others),
            count,
        )

    return max(tied, key=likelihood)[0]


def _short_forms(text: str, vocabulary: Vocabulary) -> Iterator[str]:
    """Yield what may be a short form: in capitals, or in a haste without any, no common word."""
    if not text.isupper():
        yield from (form for form in SHORT_FORM.findall(text) if not ROMAN.fullmatch(form))
    if text.islower() or text.isupper():
        plain = dict.fromkeys(w for w in HASTY.findall(text) if w.lower() not in STOP_WORDS)
        yield from (word for word in plain if not vocabulary.is_word(word.lower()))


def _meanings(short: str, vocabulary: Vocabulary) -> list[str]:
    """Return what a short form stands for, also where it was typed in small letters."""
    return vocabulary.meanings(short.upper() if short.islower() else short)


def _abbreviated(text: str, vocabulary: Vocabulary) -> Iterator[str]:
    """Yield the short forms of names in the text, where a passage has the two side by side."""
    found = words(text)
    runs: dict[str, list[str]] = {}
    for start in range(len(found)):
        for stop in range(start + 2, min(start + LONGEST_NAME, len(found)) + 1):
            name = found[start:stop]
            telling = [word for word in name if word not in STOP_WORDS]
            if {name[0], name[-1]} <= set(telling):
                for some in (name, telling):
                    runs.setdefault("".join(word[0] for word in some), []).append(" ".join(name))
    there = vocabulary.standing([i for i in runs if len(i) > 1 and i not in STOP_WORDS])
    for initials in sorted(there):
        # Most names fall at their last word, and two words are found sooner than many.
        ends = {name.split()[-1] for name in runs[initials]}
        beside = {end for end in ends if vocabulary.passages_with(f"{end} {initials}")}
        names = (name for name in runs[initials] if name.split()[-1] in beside)
        if any(vocabulary.passages_with(f"{name} {initials}") for name in names):
            yield initials


def _other_spellings(text: str) -> Iterator[str]:
    """Yield the other ways to write the numbers, dates and identifiers of a text."""
    for word in text.lower().split():
        if (bare := word.strip(".,;:?!()\"'“”")) in OTHERWISE:
            yield OTHERWISE[bare]
    for match in GROUPED.finditer(text):
        yield re.sub(r"\D", "", match[0])
        yield " ".join(words(match[0]))
    for match in UNGROUPED.finditer(text):
        yield f"{int(match[0]):,}".replace(",", " ")
    for match in DECIMAL.finditer(text):
        yield match[0].replace(".", " ")
    for match in THOUSANDS.finditer(text):
        yield f"{match[1]} 000"
        yield f"{match[1]}000"
    for match in IDENTIFIER.finditer(text):
        if ORDINAL.fullmatch(match[0]):
            yield match[3]
        else:
            yield from _joined_and_apart(match[1] or match[3], match[2] or match[4])
    for match in SPACED.finditer(text):
        yield from _joined_and_apart(*filter(None, match.groups()))
    if not text.isupper():
        yield from (short.lower() for short in ACRONYM.findall(text) if short.lower() in STOP_WORDS)
    for day, month, year in _dates(text):
        yield from _ways_to_write(day, month, year)


def _joined_and_apart(one: str, other: str) -> tuple[str, str]:
    return f"{one}{other}".lower(), f"{one} {other}".lower()


def _dates(text: str) -> Iterator[tuple[int, int, int | None]]:
    """Yield (day, month, year) of each date, None for a year that is not said; both readings of
    03/04/2026."""
    for match in DAY_FIRST.finditer(text):
        yield int(match[1]), _month(match[2]), int(match[3]) if match[3] else None
    for match in MONTH_FIRST.finditer(text):
        yield int(match[2]), _month(match[1]), int(match[3]) if match[3] else None
    for match in YEAR_FIRST.finditer(text):
        yield int(match[3]), int(match[2]), int(match[1])
    for match in ALL_DIGITS.finditer(text):
        one, other, year = int(match[1]), int(match[3]), int(match[4])
        year += 2000 * (year < 100)
        yield one, other, year
        if one != other:
            yield other, one, year


def _month(name: str) -> int:
    return next(n for n, month in enumerate(MONTHS, start=1) if month[:3] == name[:3].casefold())


def _ways_to_write(day: int, month: int, year: int | None) -> Iterator[str]:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return
    name = MONTHS[month - 1]
    end = "" if year is None else f" {year}"
    for written in (name, name[:3]):
        for number in dict.fromkeys((f"{day}", f"{day:02}")):
            yield f"{number} {written}{end}"
        yield f"{written} {day}{end}"
    if year is None:
        return
    yield f"{year} {month:02} {day:02}"
    for one, other in ((day, month), (month, day)):
        yield f"{one:02} {other:02} {year}"
        yield f"{one} {other} {year}"
