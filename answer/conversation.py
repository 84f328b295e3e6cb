"""Follow-ups: a question that leans on the one before is asked together with it."""

import re
import threading
from collections import OrderedDict

from retrieval.words import STOP_WORDS, words

REMEMBERED = 1000
CONTINUES = re.compile(
    r"^\s*(?:and|or|but|so|then|also|what about|how about|what if)\b", re.IGNORECASE
)
POINTS_BACK = re.compile(
    r"\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|that|those|these|this one)\b",
    re.IGNORECASE,
)
STANDS_ALONE = 4
"""With so many telling words a question says itself what its pronouns mean."""


def in_context(question: str, before: str) -> str:
    """Return what to look for: the question, led by the one before if it leans on that.

    It leans if it opens like a continuation, has at most one word that carries meaning, or
    has a pronoun and few such words.
    """
    telling = len([word for word in words(question) if word not in STOP_WORDS])
    points_back = POINTS_BACK.search(question) and telling < STANDS_ALONE
    if before == question or not (CONTINUES.search(question) or telling <= 1 or points_back):
        return question
    return f"{before} {question}"


class Conversations:
    """The last question of each conversation that stood alone; the oldest are forgotten."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._last: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def follow(self, conversation: str, question: str) -> str:
        """Return what to look for; a question that stands alone is remembered for the next."""
        with self._lock:
            before = self._last.pop(conversation, question)
            asked = in_context(question, before)
            # Not the two together, or a long conversation would drown its newest question.
            self._last[conversation] = question if asked == question else before
            while len(self._last) > self._remembered:
                self._last.popitem(last=False)
            return asked
