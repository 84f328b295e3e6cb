"""What is quoted where nothing the model wrote can be published: the evidence, as it reads best.

The best sentence comes first, and more follow as long as the reply stays short. A sentence that
leans on the one before ("It opens at seven.") is quoted with it, since a reader who cannot see what
"it" is would have to take our word for it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from answer.types import Evidence
from retrieval.instructions import orders_of

MOST_WORDS = 60
"""A quoted reply is not longer than a reader wants, but for a single long sentence."""
LEAD_WORDS = 20
"""A sentence before that is longer is not quoted along: the answer would stand too far down."""
LEANS = re.compile(
    r"(?:and|but|so|then|however|also)?,?\s*"
    r"(?:he|she|it|they|this|these|those|such|his|her|its|their|both|the (?:former|latter|same))\b",
    re.IGNORECASE,
)


def quotes(evidence: Sequence[Evidence]) -> Iterator[Evidence]:
    """Yield what to quote, best first; what stands in a quote before is not quoted again."""
    words = 0
    shown: list[Evidence] = []
    for piece in evidence:
        if any(_holds(other, piece) for other in shown):
            continue
        quote = _with_lead(piece)
        if any(_holds(quote, other) for other in shown):
            quote = piece  # what it leans on is quoted already
        words += len(quote.text.split())
        if shown and words > MOST_WORDS:
            return
        shown.append(quote)
        yield quote


def _with_lead(piece: Evidence) -> Evidence:
    """Return a sentence together with the one before, if it leans on that."""
    passage = piece.hit.passage
    number = passage.sentences.index((piece.start, piece.stop))
    if not number or not LEANS.match(piece.text) or piece.text.startswith("IT "):
        return piece
    if orders_of(passage)[number - 1]:
        return piece
    start, stop = passage.sentences[number - 1]
    if len(passage.quotable[number - 1].split()) > LEAD_WORDS or piece.start - stop > 1:
        return piece
    text = passage.text[start - passage.start : piece.stop - passage.start]
    return replace(piece, start=start, text=text)


def _holds(quote: Evidence, piece: Evidence) -> bool:
    same = quote.hit.document.id == piece.hit.document.id
    return same and quote.start <= piece.start and piece.stop <= quote.stop
