"""Follow-ups: a question that leans on the one before is asked together with it."""

import re
import threading
from collections import OrderedDict

from retrieval.words import STOP_WORDS, words

REMEMBERED = 1000
LEANS = re.compile(
    r"^\s*(?:and|or|but|so|then|also|what about|how about|what if)\b"
    r"|\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|that|those|these|this one)\b",
    re.IGNORECASE,
)


def in_context(question: str, before: str | None) -> str:
    """Return what to look for: the question, led by the one before if it leans on that.

    It leans if it opens like a continuation, has a pronoun, or has at most one word that
    carries meaning.
    """
    telling = [word for word in words(question) if word not in STOP_WORDS]
    if before is None or not (LEANS.search(question) or len(telling) <= 1):
        return question
    return f"{before} {question}"


class Conversations:
    """The last question of each conversation, the oldest forgotten first."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._last: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def follow(self, conversation: str, question: str) -> str:
        """Return what to look for, and remember it for the next question."""
        with self._lock:
            asked = in_context(question, self._last.pop(conversation, None))
            self._last[conversation] = asked
            while len(self._last) > self._remembered:
                self._last.popitem(last=False)
            return asked
