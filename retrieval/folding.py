"""Saying the same thing once: near-duplicates are folded, neighbours become one hit."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from retrieval.types import Hit
from retrieval.words import words

SAYING_NOTHING = frozenset("a an the this that these those it its of which".split())
"""Words by which two texts may differ and say the same."""
RUN = 3
"""Words in a row that are compared."""
ALIKE = 0.8
"""Least share of such runs that two passages must have in common (Jaccard)."""
MOST_MERGED = 3
"""Passages a hit is made of at most: more would bury what was found."""


def folded(hits: Sequence[Hit], limit: int) -> list[Hit]:
    """Return the best `limit` hits, those that say nearly the same as a better one folded into it.

    Of copies the newest is shown, in the place of the best, if they say what day they are of. Two
    that differ in a word that says something do not say the same, however alike they are: an
    old and a new rule may differ in "March", "weeks" or "director" alone.
    """
    kept: list[Hit] = []
    seen: list[tuple[Hit, list[str]]] = []
    for hit in hits:
        passage = hit.passage
        said = words(" ".join((*passage.heading, *(passage.quotable or (passage.text,)))))
        telling = sorted(word for word in said if word not in SAYING_NOTHING)
        same = [at for at, (h, t) in enumerate(seen) if t == telling and _alike(h, hit)]
        if same:
            first = kept[same[0]]
            known = (first.document, *first.also_in)
            if hit.document.id in {document.id for document in known}:
                continue
            if hit.document.is_newer_than(first.document):
                kept[same[0]] = replace(hit, score=first.score, also_in=known)
            else:
                kept[same[0]] = replace(first, also_in=(*first.also_in, hit.document))
        elif len(kept) < limit:
            kept.append(hit)
            seen.append((hit, telling))
    return kept


def _alike(one: Hit, other: Hit) -> bool:
    a, b = (_runs(hit.passage.text) for hit in (one, other))
    either = len(a | b)
    return either > 0 and len(a & b) / either >= ALIKE


def _runs(text: str) -> frozenset[tuple[str, ...]]:
    """Return the runs of a passage's words, its headings' among them, which say what a short text
    is about."""
    found = words(text)
    return frozenset(zip(*(found[at:] for at in range(RUN)), strict=False))


def with_neighbours(
    hits: Sequence[Hit], limit: int, between: Callable[[str, int, int], str]
) -> list[Hit]:
    """Return the best `limit` hits, where those that follow each other in a section are one.

    It takes the place of the best of them. `between(document id, start, stop)` returns a
    stretch of a document's text.
    """
    merged: list[Hit] = []
    for hit in hits:
        beside = [n for n, other in enumerate(merged) if _neighbours(hit, other)]
        if not beside and len(merged) == limit:
            break
        if not beside:
            merged.append(hit)
            continue
        at = beside[0]
        merged[at] = _joined(merged[at], hit, between)
        for other in beside[1:]:  # it stood between two
            if _neighbours(merged[at], merged[other]):
                merged[at] = _joined(merged[at], merged.pop(other), between)
    return merged


def _neighbours(one: Hit, other: Hit) -> bool:
    first, second = sorted((one, other), key=lambda hit: hit.passage.start)
    return (
        first.passage.document_id == second.passage.document_id
        and first.passage.heading == second.passage.heading
        and first.last + 1 == second.first
        and second.last - first.first < MOST_MERGED
    )


def _joined(better: Hit, other: Hit, between: Callable[[str, int, int], str]) -> Hit:
    first, second = sorted((better, other), key=lambda hit: hit.passage.start)
    start, stop = first.passage.start, second.passage.stop
    passage = replace(
        first.passage,
        stop=stop,
        text=between(first.passage.document_id, start, stop),
        sentences=first.passage.sentences + second.passage.sentences,
    )
    return replace(
        better,
        passage=passage,
        first=first.first,
        last=second.last,
        sentences=first.sentences + second.sentences,
        also_in=tuple(dict.fromkeys(better.also_in + other.also_in)),
    )
