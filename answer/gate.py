"""The gate: what the model wrote is published only if the cited words say it.

A sentence passes when one piece of evidence that the model was shown supports it: what it says
beyond the question stands in the quoted words, what it takes from the question stands there or
in the title and headings, every number belongs to the same words, every name is there, it
denies nothing the evidence affirms or the other way round, it keeps conditions and exceptions,
and it says more than the question did, unless that only asked whether it is so.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from answer.clauses import flipped, misplaced
from answer.omissions import omitted
from answer.types import Evidence
from answer.values import comparable, names_in, neighbours, plain_letters, sides
from retrieval.ranking import stems_of
from retrieval.words import STOP_WORDS, content_words, stem, words

MARKER = re.compile(r"\s*\[(\d{1,2}(?:\s*,\s*\d{1,2})*)\]")

LABEL = re.compile(r"^(?:[-*•]\s+(?=[^\W\d]))?(?:(?:answer\s*[:.]|a\s*:)\s*)?", re.IGNORECASE)
# "Yes" and "no" are the model's own; the words that follow speak for themselves.
YES_OR_NO = re.compile(r"^(?:yes|no)(?:[,:;]|\.(?!\s*\d))\s*(\w)", re.IGNORECASE)
WHETHER = re.compile(
    r"^(?:is|are|was|were|do|does|did|can|could|may|must|shall|should|will|would|has|have|had)\b",
    re.IGNORECASE,
)
"""How a question begins that a sentence may answer with its very words."""
ECHO = re.compile(r"^(?:question|q)\s*:", re.IGNORECASE)

CAPITALS = re.compile(r"\b[A-Z]\w*")
GRADE = re.compile(r"\b[A-Z][+-](?!\w)")
# Too common to tell what a text is about, and yet they turn what it says around.
DIRECTIONS = frozenset(
    """above after all any before below both down each more most only other over under until up
    same""".split()
)
MAY_MONTH = re.compile(r"(?<=\d )May\b|\bMay(?= \d)|(?<=\b[Ii]n )May\b")
MODAL = re.compile(
    r"\b(can|may|could|might|must|shall|should)\s+(?:(?:not|only|also)\s+)?(\w+)", re.IGNORECASE
)
MAY, MUST, SHOULD = {"can", "may", "could", "might"}, {"must", "shall"}, {"should"}
TURNED = (
    ({"on"}, {"off"}),
    ({"off"}, {"on"}),
    ({"and"}, {"or"}),
    ({"or"}, {"and"}),
    (MAY, MUST | SHOULD),
    (MUST, MAY | SHOULD),
    (SHOULD, MAY | MUST),
)
"""Words of a sentence, and those of a quote without them that say something else there."""
TENSES = (
    re.compile(
        r"\b(?:is|are)\b|\b(?:it|he|she|that|there|here|what|who|where)['’]s\b|(?<=\w)['’]re\b",
        re.IGNORECASE,
    ),
    re.compile(r"\b(?:was|were|used to)\b", re.IGNORECASE),
    re.compile(r"\b(?:will|would|shall)\b|(?<=\w)['’]ll\b", re.IGNORECASE),
)

HALF = 0.5
"""The share of the words that answer which a sentence must have."""
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
    text = LABEL.sub("", _unmarked(written.replace("**", "")))
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


def answers(text: str, evidence: Evidence) -> bool:
    """Whether a sentence has what the evidence it rests on answers with, as far as that is known:
    half of the words that were pointed out, or more."""
    if evidence.answer is None:
        return True
    start, stop = (at - evidence.start for at in evidence.answer)
    pointed_out = evidence.text[start:stop]
    said = {*stems_of(text), *stems_of(comparable(text))}
    # As they stand, or as they are compared: cut out of its sentence "1.5" is no "1.5 million".
    shares = [
        _share([stem(word) for word in content_words(some)], said)
        for some in (pointed_out, comparable(pointed_out))
    ]
    return not words(pointed_out) or max(shares) >= HALF


def _capital(match: re.Match[str]) -> str:
    return match[1].upper()


def _unmarked(text: str) -> str:
    # Runs of spaces go first: a marker may have some before it, which takes their square to find.
    return MARKER.sub("", " ".join(text.split())).strip()


def _markers(text: str) -> list[int]:
    return [int(n) for found in MARKER.findall(text) for n in found.split(",")]


def _judge(text: str, evidence: Evidence, index: int, question: str) -> Verdict:
    # As the claim was mended, so is the quote: without markers, or a "yes" of its own.
    quoted_text = YES_OR_NO.sub(_capital, _unmarked(evidence.text))
    claim, quote, place = comparable(text), comparable(quoted_text), comparable(evidence.place)
    said = [stem(word) for word in content_words(claim)]
    asked, quoted = set(stems_of(comparable(question))), set(stems_of(quote))
    reason = (
        _empty(claim, set(said), asked, quoted, question)
        or _unsupported_value(claim, quote, place)
        or _flipped(claim, quote)
        or _turned(claim, quote)
        or _unsaid(said, asked, quoted, set(stems_of(place)))
        or omitted(claim, quote, {*said, *asked}, asked)
    )
    return Verdict(text, index, round(_share(said, quoted), 3), reason)


def _empty(
    text: str, said: set[str], asked: set[str], quoted: set[str], question: str
) -> str | None:
    settles = WHETHER.match(question) and not WHETHER.match(text) and said <= quoted
    if (
        ECHO.match(text)
        or not any(c.isalpha() or c in "£$€¥%" for c in text)
        or not (said - asked or (settles and not text.endswith("?")))
    ):
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
    bounds = sides(quote)
    for number, mine in sides(text).items():
        theirs = bounds[number]
        swapped = mine - {""} - theirs and theirs - {""}
        if swapped or ("" in mine and not theirs & {"", "from", "to", "by"}):
            return f"the number {number} is bounded otherwise in the cited words"
    if (value := misplaced(text, quote)) is not None:
        return f"the number {value} belongs to something else in the cited words"
    if grade := min(set(GRADE.findall(text)) - set(GRADE.findall(quote)), default=""):
        return f"the grade {grade} is not in the cited words"
    known = {*words(place), *words(quote)}
    capitals = {*CAPITALS.findall(place), *CAPITALS.findall(" ".join(names_in(quote)))}
    capitals |= {word for word in CAPITALS.findall(quote) if len(word) > 1 and word.isupper()}
    for name in names_in(text):
        # "IT" is not "it", nor is an article the A of "Annex A".
        like_words = {word for word in CAPITALS.findall(name) if word.lower() in STOP_WORDS}
        if not (set(words(name)) <= known and like_words <= capitals):
            return f"the name {name} is not in the cited words"
    return None


def _flipped(text: str, quote: str) -> str | None:
    if flipped(text, quote):
        return "it denies what the cited words affirm, or affirms what they deny"
    return None


def _turned(text: str, quote: str) -> str | None:
    """Tell "before" where the quote has "after", "may" where it has "must"."""
    said, there = (set(words(MAY_MONTH.sub("", some))) for some in (text, quote))
    turned = any(one & said and not one & there and other & there for one, other in TURNED)
    theirs = _modals(quote)
    turned |= _out_of_time(text, quote)
    turned |= any(kinds.isdisjoint(theirs.get(v, kinds)) for v, kinds in _modals(text).items())
    if turned or DIRECTIONS & said - there:
        return "the cited words do not say it"
    return None


def _out_of_time(text: str, quote: str) -> bool:
    """Tell "is" where the quote has "was" or "will be"."""
    there = [bool(tense.search(quote)) for tense in TENSES]
    said = [bool(tense.search(text)) for tense in TENSES]
    return any(there) and any(mine and not theirs for mine, theirs in zip(said, there, strict=True))


def _modals(text: str) -> dict[str, set[int]]:
    """Return which of MAY, MUST and SHOULD leads each verb, by its stem."""
    found: dict[str, set[int]] = {}
    for match in MODAL.finditer(plain_letters(MAY_MONTH.sub("", text))):
        kind = next(n for n, some in enumerate((MAY, MUST, SHOULD)) if match[1] in some)
        found.setdefault(stem(match[2]), set()).add(kind)
    return found


def _unsaid(said: list[str], asked: set[str], quoted: set[str], place: set[str]) -> str | None:
    added = [word for word in said if word not in asked]
    taken = [word for word in said if word in asked]
    if not set(added) <= quoted or not set(taken) <= quoted | place:
        return "the cited words do not say it"
    return None


def _share(said: Sequence[str], there: set[str]) -> float:
    return sum(word in there for word in said) / max(1, len(said))
