"""The gate: what the model wrote is published only if the cited words say it.

A sentence passes when one piece of evidence that the model was shown supports it: nearly all
of its words stand there, every number and name does, it denies nothing the evidence affirms
or the other way round, it keeps the conditions, and it says more than the question did.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from answer.types import Evidence
from answer.values import names_in, numbers_in
from retrieval.words import content_words, stem, words

MARKER = re.compile(r"\s*\[(\d{1,2}(?:\s*,\s*\d{1,2})*)\]")
NEGATIONS = frozenset({"not", "no", "never", "neither", "nor", "none", "without", "cannot", "nt"})

# A condition shows in its first words. "Who" after a comma only adds; without one it limits.
CONDITION = re.compile(
    r"(?:\b(?:if|unless|except|provided|only|until)|(?<![,;] )\b(?:who|whose|where))"
    r"(?:\s+[\w’'-]+){1,5}",
    re.IGNORECASE,
)

COVERED = 0.8
"""The share of a sentence's words that must stand in the cited words or the question."""
SUPPORTED = 0.5
"""The share that must stand in the cited words themselves."""
KEPT = 0.5
"""The share of a condition's words that must stand in the sentence or the question."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says of a sentence: `reason` is None if it may be published.

    `evidence` is the index of the piece it rests on. `support` is the share of the
    sentence's words that stand in it or where it stands, from 0 to 1.
    """

    text: str
    evidence: int
    support: float
    reason: str | None


def check(written: str, evidence: Sequence[Evidence], question: str) -> Verdict:
    """Judge one sentence against the evidence it cites, or if it cites none, against all.

    A marker that names no evidence counts as none. Of several pieces the one that supports
    the sentence best is taken.
    """
    text = " ".join(MARKER.sub("", written).split())
    cited = [n - 1 for n in _markers(written) if 1 <= n <= len(evidence)]
    verdicts = [_judge(text, evidence[i], i, question) for i in cited or range(len(evidence))]
    return min(verdicts, key=lambda v: (v.reason is not None, -v.support, v.evidence))


def _markers(text: str) -> list[int]:
    return [int(n) for found in MARKER.findall(text) for n in found.split(",")]


def _judge(text: str, evidence: Evidence, index: int, question: str) -> Verdict:
    said = [stem(word) for word in content_words(text)]
    source = f"{evidence.place}\n{evidence.text}"
    there = {stem(word) for word in words(source)}
    asked = {stem(word) for word in words(question)}
    support = _share(said, there)
    reason = (
        _unsupported_value(text, source)
        or _flipped(text, evidence.text, question)
        or _unsaid(said, there, asked, support)
        or _unconditional(evidence.text, {*said, *asked})
    )
    return Verdict(text, index, round(support, 3), reason)


def _unsupported_value(text: str, source: str) -> str | None:
    for number in numbers_in(text) - numbers_in(source):
        return f"the number {number} is not in the cited words"
    there = set(words(source))
    for name in names_in(text):
        if not set(words(name)) <= there:
            return f"the name {name} is not in the cited words"
    return None


def _flipped(text: str, quote: str, question: str) -> str | None:
    """Tell a sentence that denies what the quote affirms, or affirms what it denies."""
    # "No, ..." answers the question; what follows must agree with the quote by itself.
    body = re.sub(r"^(?:yes|no)\b[,.:; ]*", "", text, flags=re.IGNORECASE)
    if _denies(body) != _denies(quote) and not (_denies(question) and _denies(body)):
        return "it denies what the cited words affirm, or affirms what they deny"
    return None


def _denies(text: str) -> bool:
    return bool(NEGATIONS & set(words(re.sub(r"n['’]t\b", " not", text))))


def _unsaid(said: list[str], there: set[str], asked: set[str], support: float) -> str | None:
    if not set(said) - asked:
        return "it says no more than the question"
    if support < SUPPORTED or _share(said, there | asked) < COVERED:
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
