"""The words of a text as the lexical index counts them.

SQLite's FTS5 indexes with `porter unicode61 remove_diacritics 2`; these are the same steps,
so that a word counted here can be looked up there.
"""

import re
import unicodedata
from functools import lru_cache

import snowballstemmer

WORD = re.compile(r"[^\W_]+")

# The function words of English: they say how a question is put, not what it is about.
STOP_WORDS = frozenset(
    """a about after all also am an and any are as at be because been before being between both but
    by can could did do does doing done during each for from further had has have having he her
    here hers him his how i if in into is it its itself just me more most my no nor not of off
    on once only or other our out over own please same she should so some such than that the
    their them then there these they this those through to too under until up us was we were
    what when where which while who whom whose why will with would you your""".split()
)


def words(text: str) -> list[str]:
    """Return a text's words in order: lower case, without accents, not stemmed."""
    return WORD.findall(_bare(text))


def content_words(text: str) -> list[str]:
    """Return the words that carry meaning, in order; all of them if none does."""
    found = words(text)
    return [word for word in found if word not in STOP_WORDS] or found


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Return the stem of a word by Porter's algorithm, as the lexical index does."""
    return str(_PORTER.stemWord(word))


def _bare(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text.lower())
    return "".join(c for c in apart if not unicodedata.combining(c))


_PORTER = snowballstemmer.stemmer("porter")
