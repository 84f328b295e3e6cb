"""Several questions in one: cutting them apart, so that each stands alone. By rule, for English."""

import re

from answer.subjects import POINTS_BACK, PRONOUN, spoken_of, with_subject
from retrieval.query import spelt_out
from retrieval.words import STOP_WORDS, words

MOST_PARTS = 4
NUMBERED = re.compile(r"(?:^|(?<=\?))\s*(?:\(?\d[.)]|[-•*])\s+(?=\w)")
"""A question of a list."""
SENTENCE = re.compile(r"[^?]*\?+|[^?]+$")
AUXILIARY = (
    r"(?:is|are|was|were|do|does|did|can|could|will|would|should|must|may|has|have|had)(?:n['’]t)?"
)
QUESTION = re.compile(
    r"^(?:(?:what|how)\b(?!\s+(?:about|if)\b)|(?:when|where|why|who|which)\b"
    rf"|{AUXILIARY}\b|tell me\b)",
    re.IGNORECASE,
)
SECOND = re.compile(
    r"(?:,?\s+(?:and|but|or|and also|also)|[;,])\s+(?="
    rf"(?:what|when|where|why|how(?:\s+\w+){{0,3}}?)\s+{AUXILIARY}\s+\w+"
    rf"|how\s+(?:many|much)\s+\w+|which\s+\w+\s+{AUXILIARY}\s|what\s+happens\b"
    r"|who\s+\w+s\s+(?:it|them|this|that|these|those|the|a|an)\b"
    r"|who\s+(?:do|does|did|can|should|must|will)\s+\w+"
    r"|(?:do|does|did|is there|are there|(?:can|may|must|should|do) i|can we|is it|does it)\s)",
    re.IGNORECASE,
)

UNFINISHED = re.compile(
    r"^(?:what|when|where|why|how) (?:do|does|did) (?:the |an? )?[\w-]+$", re.IGNORECASE
)
"""It shares its verb with what follows: "What do managers and what do officers get?"."""
WHAT_WAS_DONE = re.compile(r"\bdo (?:it|this|that|so)\b|\b(?:does|will|did) it take\b", re.I)
"""What a pronoun here stands for is no thing."""


def parts_of(question: str) -> list[str]:
    """Return the questions in a question, each in words that stand alone; mostly just itself.

    What begins like a question after a question mark or an "and" is a part. "What is the
    difference between X and Y?" and "Who founded and led X?" are one.
    """
    plain = NUMBERED.sub(" ", spelt_out(question)).strip()
    pieces = [piece for sentence in _sentences(plain) for piece in _joined(sentence)]
    if not 1 < len(pieces) <= MOST_PARTS:
        return [question]
    parts = [pieces[0]]
    for piece in pieces[1:]:
        parts.append(_standing_alone(piece, parts))
    return parts


def _sentences(question: str) -> list[str]:
    """Cut after question marks; what is no question stays with the one that follows it."""
    found: list[str] = []
    waiting = ""
    for match in SENTENCE.finditer(question):
        piece = f"{waiting}{match[0]}"
        if found and "?" in match[0] and not QUESTION.match(match[0].strip()):
            found[-1] += match[0]  # "And part-time?", "What about May?" is more of it
        elif "?" in match[0] and _telling(match[0]):
            found.append(piece.strip())
            waiting = ""
        else:
            waiting = piece
    if waiting.strip():
        if not found:
            return [waiting.strip()]
        if QUESTION.match(waiting.strip()) and _telling(waiting):
            return [*found, waiting.strip()]
        found[-1] += waiting
    return found


def _joined(sentence: str) -> list[str]:
    """Cut a sentence that asks twice."""
    if not QUESTION.match(sentence):
        return [sentence]
    first, *rest = SECOND.split(sentence)
    if (
        not rest
        or not _telling(first)
        or UNFINISHED.search(first)
        or not all(map(_telling_or_pointing, rest))
    ):
        return [sentence]
    return [f"{piece.strip().rstrip('?,')}?" for piece in (first, *rest)]


def _standing_alone(piece: str, before: list[str]) -> str:
    """Say what a part is about if it leans on the one before."""
    if WHAT_WAS_DONE.search(piece):
        return f"{before[-1]} {piece}"
    if PRONOUN.search(piece):
        subject = spoken_of(piece, before[::-1])
        return with_subject(piece, subject) if subject else f"{before[-1]} {piece}"
    return piece


def _telling(text: str) -> bool:
    return any(word not in STOP_WORDS for word in words(text))


def _telling_or_pointing(text: str) -> bool:
    return _telling(text) or bool(POINTS_BACK.search(text))
