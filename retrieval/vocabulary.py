"""The words of a library, as `understand` asks for them."""

import re
from collections.abc import Iterable, Sequence

from rapidfuzz import process
from rapidfuzz.distance import OSA

from retrieval.embedder import Embedder
from retrieval.query import slips
from retrieval.store import Store
from retrieval.words import STOP_WORDS, stem, words

STEMS_READ = 12
PASSAGES_READ = 3
"""How many stems, and passages with each, are read for the words they are of."""
LETTERS_READ = 1.5
"""Least letters a token, on average: English has 2.8 to 5.7 with the bundled embedder, German and
Turkish 1.6 to 3.5, Greek, Russian, Arabic, Hindi and Chinese 0.7 to 1.5."""
LONGEST_READ = 20
"""A token with more letters is a stretch that the embedder does not know."""
SHORTEST_STEM = 3
LONGEST_SUFFIX = 3
DEFINITIONS_READ = 20
MEANINGS_KEPT = 10_000
RARE = 50
"""Passages that hold a stem, from which on one is taken to be answered from."""
COUNTS_KEPT = 100_000


class LibraryVocabulary:
    """The words of one generation's passages; what was found once is kept."""

    def __init__(self, store: Store, embedder: Embedder, generation: int) -> None:
        self._store = store
        self._embedder = embedder
        self._generation = generation
        self._meanings: dict[str, list[str]] = {}
        self._stems: dict[str, dict[str, int]] = {}
        self._counts: dict[str, int] = {}
        self._living: dict[str, bool] = {}

    def counts(self, stems: Iterable[str]) -> dict[str, int]:
        """Return how many passages hold each stem; counting is slow for common ones, so what
        was counted is kept."""
        wanted = list(dict.fromkeys(stems))
        known = self._counts  # another thread may begin anew meanwhile
        if unknown := [stem for stem in wanted if stem not in known]:
            counted = self._store.passages_with(unknown)
            if len(known) > COUNTS_KEPT:
                known = {stem: known[stem] for stem in wanted if stem in known}
            known |= {stem: counted.get(stem, 0) for stem in unknown}
            self._counts = known
        return {stem: known[stem] for stem in wanted}

    def standing(self, asked: Sequence[str]) -> set[str]:
        """Return those of the words that stand somewhere in the library."""
        there = self.counts(stem(word) for word in asked)
        return {word for word in asked if there[stem(word)] and self._lives(stem(word))}

    def _lives(self, term: str) -> bool:
        """Whether it is not only withdrawn passages that hold a stem, which are counted as well."""
        if self._counts.get(term, 0) > RARE:
            return True
        if term not in self._living:
            self._living[term] = bool(self._store.texts_with(term, self._generation, 1))
        return self._living[term]

    def is_word(self, word: str) -> bool:
        """Whether the embedder reads it as one piece, which it does with common words."""
        return len(self._embedder.tokens([word])[0]) == 1

    def reads(self, text: str) -> bool:
        """Whether the embedder reads a text in pieces of words, and not letter by letter or not
        at all, as one for another script does."""
        if not any(c.isalpha() and not c.isascii() for c in text):
            return True  # "5 – 6 pm"
        pieces = [text[start:stop] for start, stop in self._embedder.tokens([text])[0]]
        letters = sum(c.isalnum() for c in text)
        return (
            letters >= LETTERS_READ * len(pieces)
            and max(map(len, pieces), default=0) <= LONGEST_READ
        )

    def near(self, word: str) -> list[tuple[str, int]]:
        """Return words that are spelt much like one and begin with the same letter.

        The index holds stems, and a word begins with its stem: each beginning of the word is
        compared with the stems. A stem that is near is given the word's own ending, if that
        makes a word of that stem, and the forms it has in a few passages.
        """
        counts = self._beginning_with(word[0])
        stems = list(counts)
        distances: dict[str, float] = {}
        seen, made = set(), set()
        for stop in range(max(SHORTEST_STEM, len(word) - LONGEST_SUFFIX), len(word) + 1):
            for term, distance, _ in process.extract_iter(
                word[:stop], stems, scorer=OSA.distance, score_cutoff=slips(word)
            ):
                distances[term] = min(distance, distances.get(term, distance))
                if stem(term + word[stop:]) == term:
                    made.add(term + word[stop:])
        nearest = sorted(distances, key=lambda term: (distances[term], -counts[term]))
        beginning = re.compile(rf"\b{word[0]}[^\W\d_]+")
        for term in nearest[:STEMS_READ]:
            for text in self._store.texts_with(term, self._generation, PASSAGES_READ):
                seen |= {form for form in beginning.findall(text.lower()) if stem(form) == term}
        close = [form for form in made - seen if OSA.distance(word, form) <= slips(word)]
        there = [form for form in close if self._store.texts_with(stem(form), self._generation, 1)]
        return [(form, counts[stem(form)]) for form in (*sorted(seen), *sorted(there))]

    def _beginning_with(self, letter: str) -> dict[str, int]:
        if letter not in self._stems:
            found = self._store.terms(letter)
            self._stems[letter] = {term: count for term, count in found if term.isalpha()}
        return self._stems[letter]

    def passages_with(self, *phrases: str) -> int:
        """Return how many passages hold all of the phrases."""
        return self._store.count_with(phrases)

    def meanings(self, short: str) -> list[str]:
        """Return the names that the documents say a short form stands for, commonest first."""
        if len(self._meanings) > MEANINGS_KEPT:
            self._meanings = {}  # anyone may ask for any
        known = self._meanings  # another thread may begin anew meanwhile
        if short not in known:
            texts = self._store.texts_saying(
                short, (f"({short})", f"{short} ("), self._generation, DEFINITIONS_READ
            )
            found = [name for text in texts for name in definitions(short, text)]
            names = {name.lower(): name for name in found}
            ordered = sorted(names, key=[name.lower() for name in found].count, reverse=True)
            known[short] = [names[name] for name in ordered]
        return known[short]


def definitions(short: str, text: str) -> list[str]:
    """Return what a text says a short form stands for: "long form (SF)" or "SF (long form)".

    The algorithm is that of Schwartz and Hearst (Pacific Symposium on Biocomputing 2003).
    """
    found = []
    reach = min(len(short) + 5, 2 * len(short))
    for match in re.finditer(re.escape(f"({short})"), text):
        before = re.findall(r"\S+", text[: match.start()])[-reach:]
        found.append(_long_form(short, " ".join(before)))
    for match in re.finditer(rf"\b{re.escape(short)} \(([^()]+)\)", text):
        if len(match[1].split()) <= reach:
            found.append(_long_form(short, match[1]))
    return [name for name in found if name and len(name) > len(short) and short not in name.split()]


def _long_form(short: str, text: str) -> str | None:
    """Return the end of a text whose words begin with the letters of a short form.

    Or else the shortest that holds them in order, the first at the beginning of a word, if
    those are fewer words than letters; None if there is neither.
    """
    named = text.split()
    for start in range(len(named) - 1, -1, -1):
        parts = words(" ".join(named[start:]))
        telling = [part for part in parts if part not in STOP_WORDS]
        initials = {"".join(part[0] for part in some) for some in (parts, telling)}
        if short.lower() in initials and parts[:1] == words(named[start])[:1]:
            return " ".join(named[start:])
    at = len(text) - 1
    for index in range(len(short) - 1, -1, -1):
        wanted = short[index].lower()
        while at >= 0 and (
            text[at].lower() != wanted or (index == 0 and at > 0 and text[at - 1].isalnum())
        ):
            at -= 1
        if at < 0:
            return None
        at -= 1
    name = text[at + 1 :].strip()
    return name if len(name.split()) < len(short) else None
