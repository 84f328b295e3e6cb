"""The words of a text as the lexical index counts them.

SQLite's FTS5 indexes with `porter unicode61 remove_diacritics 2`; these are the same steps,
so that a word counted here can be looked up there. What those steps would spoil is put into
words by `indexed` before FTS5 sees it:

- Greek, Cyrillic, Arabic and Devanagari words are stemmed by the rules of their script's most
  used language, and lose their accents.
- Scripts without spaces are cut into runs that overlap, two characters long for Chinese, Japanese
  and Korean, as Lucene does it, and three for Thai, Lao, Khmer and Burmese.
"""

import re
import threading
import unicodedata
from functools import lru_cache

import Stemmer

EAST_ASIAN = (
    r"\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
SOUTHEAST_ASIAN = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
INDIC = re.compile(r"[\u0900-\u109f\u1780-\u17ff]")
MAY_COMBINE = re.compile(r"[\u0300-\u1fff\u20d0-\u20ff\u2c00-\U0010ffff]")
"""All accents, and letters among them; not the dashes and quotation marks that most texts have."""
MARKS = "".join(c for c in map(chr, range(0x900, 0xE00)) if unicodedata.category(c)[0] == "M")
"""Vowel signs and the like, which are part of a word though they are no letters."""
WORD = re.compile(
    rf"[{EAST_ASIAN}]+|[{SOUTHEAST_ASIAN}]+|(?:[^\W_{EAST_ASIAN}{SOUTHEAST_ASIAN}]|[{MARKS}])+"
)
PLAIN_WORD = re.compile("[a-z0-9]+")
"""The same in a text that has only ASCII, in a third of the time."""
SPACELESS = re.compile(f"[{EAST_ASIAN}{SOUTHEAST_ASIAN}]")
RUNS = ((re.compile(f"[{EAST_ASIAN}]"), 2), (re.compile(f"[{SOUTHEAST_ASIAN}]"), 3))
BEYOND_LATIN = re.compile(r"[\u0370-\u1dff\u1f00-\u1fff\u2e80-\ud7ff\uf900-\U0003ffff]")
SHORTEST_STEMMED = 3
"""Letters: FTS5's porter leaves shorter words alone ("us", "s")."""
STEMMERS = {
    "LATIN": "porter",
    "GREEK": "greek",
    "CYRILLIC": "russian",
    "ARABIC": "arabic",
    "DEVANAGARI": "hindi",
}

# The function words of English, and what is left of "dog's": they say how a question is put, not
# what it is about.
STOP_WORDS = frozenset(
    """a about after all also am an and any are as at be because been before being between both
    but by can could did do does doing done during each for from further had has have having he
    hello her here hers hey hi him his how i if in into is it its itself just me more most my
    no nor not of off on once only or other our out over own please pls plz s same she should
    so some such than thank thanks that the their them then there these they this those through
    thx to too under until up us was we were what when where which while who whom whose why
    will with would you your""".split()
)


def words(text: str) -> list[str]:
    """Return a text's words in order: lower case, without accents, not stemmed."""
    bare = _bare(text)
    if bare.isascii():
        return PLAIN_WORD.findall(bare)
    found = WORD.findall(bare)
    if not SPACELESS.search(bare):
        return found
    return [piece for word in found for piece in _pieces(word)]


def content_words(text: str) -> list[str]:
    """Return the words that carry meaning, in order; all of them if none does."""
    found = words(text)
    return [word for word in found if word not in STOP_WORDS] or found


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Return the stem of a word as the lexical index has it, by the rules of its script."""
    if word.isascii() and len(word) < SHORTEST_STEMMED:
        return word
    rules = STEMMERS.get(unicodedata.name(word[:1] or " ", "").partition(" ")[0])
    if rules is None:
        return word
    with _STEMMING:  # a stemmer keeps the word it is at
        return str(_STEMMER[rules].stemWord(word))


def indexed(text: str) -> str:
    """Return what FTS5 is given of a text: itself, unless some of it is in no Latin script."""
    if text.isascii() or not BEYOND_LATIN.search(text):
        return text
    return " ".join(map(_looked_up, words(text)))


def looked_up(phrase: str) -> str:
    """Return what FTS5 is asked for to find words: each itself, which FTS5 stems, or its stem."""
    return phrase if phrase.isascii() else " ".join(map(_looked_up, phrase.split()))


def _looked_up(word: str) -> str:
    return word if word.isascii() else stem(word)


def _bare(text: str) -> str:
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.lower())
    return unicodedata.normalize("NFC", MAY_COMBINE.sub(_unless_accent, apart))


def _unless_accent(found: re.Match[str]) -> str:
    c = found[0]
    return "" if unicodedata.combining(c) and not INDIC.match(c) else c


def _pieces(word: str) -> list[str]:
    """Cut a word of a script without spaces into runs that overlap."""
    for script, size in RUNS:
        if script.match(word):
            return [word[at : at + size] for at in range(max(1, len(word) - size + 1))]
    return [word]


_STEMMER = {rules: Stemmer.Stemmer(rules, 0) for rules in STEMMERS.values()}
_STEMMING = threading.Lock()
