"""What is quoted where nothing the model wrote can be published: the evidence, as it reads best.

The best sentence comes first, and more follow as long as the reply stays short. A sentence that
leans on the one before ("It opens at seven.") is quoted with it, since a reader who cannot see what
"it" is would have to take our word for it. Of a sentence longer than a reader wants, the part that
answers is shown; the citation has the whole.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from answer.omissions import EXCEPTION, conditions
from answer.types import Evidence
from answer.values import denies
from retrieval.instructions import orders_in, orders_of

MOST_WORDS = 60
"""A quoted reply is not longer than a reader wants, but for a single long sentence."""
LONGEST = 30
"""Words of a sentence that are shown; what it leans on is not shown with one that is so long."""
TOO_LONG = 90
"""Words that nobody reads: a row of a table, or a text without full stops."""
LEAST_LEAD = 3
"""Words of a sentence that can say what the next one is about; one word is a stray."""
LONGEST_TITLE = 8
"""Words of a title that leads to a quote."""
LEANS = re.compile(
    r"(?:and|but|so|then|however|also)?,?\s*"
    r"(?:he|she|it|they|this|these|those|such|his|her|its|their|both|the (?:former|latter|same)"
    r"|that(?=\s+(?:is|was|means|includes|applies))|otherwise|in that case|if (?:so|not)"
    r"|one of (?:them|these|those))\b",
    re.IGNORECASE,
)
JOINT = re.compile(
    r"\s*(?:[;—()]|[,:–](?=\s))\s*"
    r"|\s+(?:(?=(?:and|or|but|which|who|because|although|while|whereas)\s))",
    re.IGNORECASE,
)
"""Where one part of a sentence ends and another begins."""
BEGINS_ANEW = re.compile(
    r"[;—]\s*|:\s+|,?\s+(?=(?:and|but|while|whereas)\s+(?:(?:after|at|by|from|in|on)\s+)?"
    r"(?:the|an?|this|these|it|they|[A-Z£$€\d])\b)"
)
"""Where what follows can be read alone, with a subject of its own."""
TURNS = re.compile(
    r"\b(?:reject|refus|den(?:y|ied|ies)|declin|fail|lack|false|untrue|wrong|rumou?r|myth|alleg|claim"
    r"|propos|withdr)\w*",
    re.IGNORECASE,
)
"""What turns the rest of a sentence into its opposite, or into what somebody says."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What is cited, and the part of it that is shown, with "…" for what is left out."""

    evidence: Evidence
    shown: str

    @property
    def words(self) -> int:
        """How many words are shown."""
        return len(self.shown.split())


def quotes(evidence: Sequence[Evidence], at_least: int = 1) -> Iterator[Quote]:
    """Yield what to quote, best first, so many however long they are; what stands in a quote before
    is not quoted again."""
    words = 0
    shown: list[Evidence] = []
    for piece in evidence:
        if any(_holds(other, piece) for other in shown):
            continue
        quote = _quote(_with_lead(piece))
        if any(_holds(quote.evidence, other) for other in shown):
            quote = _quote(piece)  # what it leans on is quoted already
        words += quote.words
        if len(shown) >= at_least and words > MOST_WORDS:
            return
        shown.append(quote.evidence)
        yield quote


def lead_of(piece: Evidence, *, dated: bool) -> str:
    """Return what leads to a quote: the title of its document, with the day that it is of if
    `dated`; nothing if the title is long, or gives orders to an assistant."""
    title = " ".join(piece.hit.document.title.split())
    if not 0 < len(title.split()) <= LONGEST_TITLE or any(orders_in(title)):
        return ""
    return f"{title} ({piece.date}): " if dated and piece.date else f"{title}: "


def _with_lead(piece: Evidence) -> Evidence:
    """Return a sentence together with the one before, if it leans on that."""
    passage = piece.hit.passage
    number = passage.sentences.index((piece.start, piece.stop))
    if not number or not LEANS.match(piece.text) or piece.text.startswith("IT "):
        return piece
    if orders_of(passage)[number - 1]:
        return piece
    start, stop = passage.sentences[number - 1]
    text = passage.text[start - passage.start : piece.stop - passage.start]
    lead = text[: stop - start]
    if len(text.split()) > LONGEST or len(lead.split()) < LEAST_LEAD or piece.start - stop > 1:
        return piece
    return replace(piece, start=start, text=text)


def _quote(piece: Evidence) -> Quote:
    return Quote(piece, " ".join(_shown(piece).split()))


def _shown(piece: Evidence) -> str:
    """Return the sentence, or of a long one the part around the words that answer.

    Nothing is left out that turns or limits what is shown, a denial or a condition, unless it is
    longer than anyone reads.
    """
    text = piece.text
    start, stop, first = 0, len(text), 0
    if piece.answer and len(text.split()) > LONGEST:
        first, last = piece.answer[0] - piece.start, piece.answer[1] - piece.start
        part = _part(text, first, last)
        if not _is_turned(text, part, last):
            start, stop = part
    if len(text[start:stop].split()) > TOO_LONG:
        start, stop = _around(text, first)
    return ("… " if start else "") + text[start:stop] + (" …" if stop < len(text) else "")


def _is_turned(text: str, part: tuple[int, int], last: int) -> bool:
    """Whether what is left out around a part turns or limits it. A condition after the words that
    answer, the last of which is given, may go on to the end."""
    left_out = (text[: part[0]], text[part[1] :])
    if any(denies(t) or TURNS.search(t) or EXCEPTION.search(t) for t in left_out):
        return True
    starts = [condition.start() for condition in conditions(text)]
    return any(not part[0] <= start < part[1] for start in starts) or (
        part[1] < len(text) and any(start >= last for start in starts)
    )


def _part(text: str, first: int, last: int) -> tuple[int, int]:
    """Return the widest part that holds some characters and is not too long, from the beginning
    if that can be; the whole text if there is none."""
    starts = [0, *(new.end() for new in BEGINS_ANEW.finditer(text) if new.end() <= first)]
    stops = [*(joint.start() for joint in JOINT.finditer(text) if joint.start() >= last), len(text)]
    for start in starts:
        fitting = [stop for stop in stops if len(text[start:stop].split()) <= LONGEST]
        if fitting:
            return start, max(fitting)
    return 0, len(text)


def _around(text: str, first: int) -> tuple[int, int]:
    """Return the part of MOST_WORDS words around a character, or from the beginning."""
    starts = [match.span() for match in re.finditer(r"\S+", text)]
    at = max(n for n, (start, _) in enumerate(starts) if start <= first)
    begin = max(0, min(at - MOST_WORDS // 2, len(starts) - MOST_WORDS))
    part = starts[begin : begin + MOST_WORDS]
    return part[0][0], part[-1][1]


def _holds(quote: Evidence, piece: Evidence) -> bool:
    same = quote.hit.document.id == piece.hit.document.id
    return same and quote.start <= piece.start and piece.stop <= quote.stop
