"""What a sentence leaves out of the words it cites: conditions, exceptions, and words that make
something else of those it takes."""

import re
from collections.abc import Iterator
from typing import TypeAlias

from answer.clauses import JOINT
from answer.values import NEGATIONS, NOT_EVERY
from retrieval.words import STOP_WORDS, stem, words

# A condition shows in its first words. "Who" after a comma only adds; without one it limits.
CONDITION = re.compile(
    r"(?:\b(?:if|unless|except|provided|only|until|whenever|subject to|(?:as|so) long as"
    r"|when|during|in (?:case|the event) of|in an emergency|at the discretion of"
    r"|with(?:out)?(?=(?:\s+(?!and\b)[\w’'-]+){0,3}"
    r"\s+(?:approval|agreement|consent|notice|permission)\b))"
    r"|(?<![,;] )\b(?:who|whose|where|once(?! again| more)|after)|^(?:following|should))"
    r"(?:\s+[\w’'-]+){1,5}",
    re.IGNORECASE,
)
# What these begin is left out of what the sentence says, so their own words must be kept.
EXCEPTION = re.compile(
    r"\b(?:unless|except|excluding|other than|(?<=\s)apart from|whether|rather than|instead of"
    r"|(?:all|every(?:one|body|thing)?) but|unlike|as opposed to|with the exception of|save for"
    r"|(?:al)?though not|but not (?:after|at|before|by|during|for|if|in|on|to|when|where|with))\b",
    re.IGNORECASE,
)

PAST = re.compile(r"\b(?:was|were|had)\b", re.IGNORECASE)
RULE = re.compile(
    r"\b(?:is|are|has|have|gets?|needs?|can|may|must|shall|should|will|cannot)\b", re.IGNORECASE
)
"""What a sentence has that tells how things are, and not what once happened."""
TIMES = ("when ", "once ", "after ", "following ", "during ")
CLAUSE = re.compile(rf"{JOINT.pattern}|:|\s[–—-]\s", re.IGNORECASE)
"""Between what may be said alone."""
UNTOLD = STOP_WORDS | NEGATIONS
"""Words that say nothing of their own; denials are compared by clauses."""
LIGHT = frozenset("get give take make need cost pay".split())
"""Verbs, by their stems, that "officers 28 days" leaves to the clause before."""
LED_BY = 2
"""Telling words of a condition, from its first on, that must stand in the sentence or question."""

Words: TypeAlias = list[tuple[str, str]]
"""Words, each with its stem."""


def omitted(claim: str, quote: str, kept: set[str], asked: set[str]) -> str | None:
    """Return what a sentence may not leave out of a quote and does, None if there is nothing.

    Both texts are `comparable`. `asked` has the stems of the question, and `kept` those of the
    sentence, too: a condition may stand in either.
    """
    return _unconditional(claim, quote, kept) or _cut_out(claim, quote, asked)


def _unconditional(claim: str, quote: str, kept: set[str]) -> str | None:
    """Tell a sentence that leaves out a condition of the words it cites, or an exception."""
    kept_out, named = (set(EXCEPTION.findall(some.lower())) for some in (quote, claim))
    if left := kept_out - named:
        return f"it leaves out an exception: “{min(left)} …”"
    for match in conditions(quote):
        telling = [stem(word) for word in words(match[0]) if word not in STOP_WORDS]
        if not set(telling[:LED_BY]) <= kept:
            return f"it leaves out a condition: “{' '.join(match[0].split())}”"
    return None


def conditions(text: str) -> Iterator[re.Match[str]]:
    """Yield the first words of each condition in a text; "after the war" is none where a text tells
    what once happened."""
    tells = PAST.search(text) or not RULE.search(text)
    for match in CONDITION.finditer(text):
        if not (tells and match[0].lower().startswith(TIMES)):
            yield match


def _cut_out(claim: str, quote: str, asked: set[str]) -> str | None:
    """Tell a sentence that leaves out a word before another that it takes from the same clause:
    "deputy" of "The deputy director is Ann Lee", "who work nights" of "Staff who work nights get".

    For each clause of the sentence those of the quote are looked at that together have what it
    says beyond the question, as few as can be; so one may not be put together from two.
    """
    clauses, copies = [_telling(part) for part in CLAUSE.split(quote)], _clauses(quote)
    roots = [{root for _, root in clause} for clause in clauses]
    for part in (part for part in _clauses(claim) if part not in copies):
        mine = {root for _, root in part}
        said = looked_for = mine | asked
        left = mine - asked - LIGHT or mine - LIGHT
        while most := max(len(left & some) for some in roots):
            best = [n for n, some in enumerate(roots) if len(left & some) == most]
            cuts = {n: _before_last(clauses[n], looked_for, said) for n in best}
            least = min(best, key=lambda n: len(cuts[n]))
            if cuts[least]:
                word = cuts[least][0].replace(NOT_EVERY, "not all")
                return f"it leaves out “{word}” of the cited words"
            left = looked_for = left - roots[least]
    return None


def _before_last(clause: Words, looked_for: set[str], said: set[str]) -> list[str]:
    """Return the words of a clause, before the last of those looked for, that are not said."""
    last = max(n for n, (_, root) in enumerate(clause) if root in looked_for)
    return [word for word, root in clause[:last] if root not in said]


def _clauses(text: str) -> list[Words]:
    """Return the telling words of each clause of a sentence; one of a list is no clause alone."""
    found: list[Words] = []
    for part in map(_telling, CLAUSE.split(text)):
        if found and (len(part) < 2 or len(found[-1]) < 2):
            found[-1] += part
        else:
            found.append(part)
    return found


def _telling(text: str) -> Words:
    """Return the words of a text that say something of their own, with their stems."""
    found = ((word, stem(word)) for word in words(text))
    return [one for one in found if one[0] not in UNTOLD]
