"""The gate: what the model wrote is published only if the cited words say it.

A sentence passes when one piece of evidence that the model was shown supports it: what it says
beyond the question stands in the quoted words, what it takes from the question stands there or
in the title and headings, every number belongs to the same words, every name is there, it
denies nothing the evidence affirms or the other way round, it keeps the conditions, and it says
more than the question did.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from answer.types import Evidence
from answer.values import dates_alike, denies, names_in, neighbours
from retrieval.words import content_words, stem, words

MARKER = re.compile(r"\s*\[(\d{1,2}(?:\s*,\s*\d{1,2})*)\]")

# A condition shows in its first words. "Who" after a comma only adds; without one it limits.
CONDITION = re.compile(
    r"(?:\b(?:if|unless|except|provided|only|until)|(?<![,;] )\b(?:who|whose|where))"
    r"(?:\s+[\w’'-]+){1,5}",
    re.IGNORECASE,
)

LABEL = re.compile(r"^(?:answer|a)\s*[:.]\s*", re.IGNORECASE)
# "Yes" and "no" are the model's own; the words that follow speak for themselves.
YES_OR_NO = re.compile(r"^(?:yes|no)[,.:;]\s*(\w)", re.IGNORECASE)
ECHO = re.compile(r"^(?:question|q)\s*:", re.IGNORECASE)

# Too common to tell what a text is about, and yet they turn what it says around.
DIRECTIONS = frozenset(
    """above after all any before below both down each more most only other over under until up
    same""".split()
)
KEPT = 0.5
"""The share of a condition's words that must stand in the sentence or the question."""


LEAST_SUPPORT = 0.25
"""A sentence whose words all stand in the evidence may still say something else with them: below
this the judge gives three to one that it does."""


class SupportScorer(Protocol):
    """Says how likely evidence bears a claim out."""

    def supports(self, claims: Sequence[tuple[str, str]]) -> Sequence[float | None]:
        """Return a probability for each pair of a claim and evidence; None if it cannot tell."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says of a sentence: `reason` is None if it may be published.

    `evidence` is the index of the piece it rests on. `support` is, from 0 to 1, how likely that
    bears it out, or without a scorer the share of the sentence's words that stand there.
    """

    text: str
    evidence: int
    support: float
    reason: str | None


def check(
    written: str,
    evidence: Sequence[Evidence],
    question: str,
    scorer: SupportScorer | None = None,
) -> Verdict:
    """Judge one sentence against the evidence it cites, or if it cites none, against all.

    A marker that names no evidence counts as none. Of several pieces the one that supports
    the sentence best is taken. What passes by its words is put before the scorer too.
    """
    text = LABEL.sub("", " ".join(MARKER.sub("", written).split()))
    text = YES_OR_NO.sub(_capital, text)
    cited = [n - 1 for n in _markers(written) if 1 <= n <= len(evidence)]
    verdicts = [_judge(text, evidence[i], i, question) for i in cited or range(len(evidence))]
    best = min(verdicts, key=lambda v: (v.reason is not None, -v.support, v.evidence))
    if best.reason or scorer is None:
        return best
    cites = evidence[best.evidence]
    (support,) = scorer.supports([(text, f"{cites.place}: {cites.text}")])
    if support is None:
        return best
    reason = "the cited words do not bear it out" if support < LEAST_SUPPORT else None
    return replace(best, support=round(support, 3), reason=reason)


def _capital(match: re.Match[str]) -> str:
    return match[1].upper()


def _markers(text: str) -> list[int]:
    return [int(n) for found in MARKER.findall(text) for n in found.split(",")]


def _judge(text: str, evidence: Evidence, index: int, question: str) -> Verdict:
    claim, quote = dates_alike(text), dates_alike(evidence.text)
    said = [stem(word) for word in content_words(claim)]
    asked = {stem(word) for word in words(dates_alike(question))}
    quoted = {stem(word) for word in words(quote)}
    reason = (
        _empty(claim, said, asked)
        or _unsupported_value(claim, quote, evidence.place)
        or _flipped(claim, quote)
        or _turned(claim, quote)
        or _unsaid(said, asked, quoted, {stem(word) for word in words(evidence.place)})
        or _unconditional(quote, {*said, *asked})
    )
    return Verdict(text, index, round(_share(said, quoted), 3), reason)


def _empty(text: str, said: list[str], asked: set[str]) -> str | None:
    if ECHO.match(text) or not set(said) - asked or not any(c.isalpha() for c in text):
        return "it says no more than the question"
    return None


def _unsupported_value(text: str, quote: str, place: str) -> str | None:
    there = neighbours(quote)
    for number, near in neighbours(text).items():
        if number not in there:
            return f"the number {number} is not in the cited words"
        if near.after and not near.after & there[number].after:
            return f"the number {number} belongs to something else in the cited words"
        if not near.after and near.before and not near.before & there[number].before:
            return f"the number {number} belongs to something else in the cited words"
    known = {*words(place), *words(quote)}
    for name in names_in(text):
        if not set(words(name)) <= known:
            return f"the name {name} is not in the cited words"
    return None


def _flipped(text: str, quote: str) -> str | None:
    if denies(text) != denies(quote):
        return "it denies what the cited words affirm, or affirms what they deny"
    return None


def _turned(text: str, quote: str) -> str | None:
    """Tell "before" where the quote has "after", "more" where it has "less"."""
    if DIRECTIONS & set(words(text)) - set(words(quote)):
        return "the cited words do not say it"
    return None


def _unsaid(said: list[str], asked: set[str], quoted: set[str], place: set[str]) -> str | None:
    added = [word for word in said if word not in asked]
    taken = [word for word in said if word in asked]
    if not set(added) <= quoted or not set(taken) <= quoted | place:
        return "the cited words do not say it"
    return None


def _unconditional(quote: str, kept: set[str]) -> str | None:
    """Tell a sentence that leaves out a condition of the words it cites."""
    for match in CONDITION.finditer(quote):
        telling = [stem(word) for word in content_words(match[0])]
        if _share(telling, kept) < KEPT:
            return f"it leaves out a condition: “{' '.join(match[0].split())}”"
    return None


def _share(said: Sequence[str], there: set[str]) -> float:
    return sum(word in there for word in said) / max(1, len(said))
