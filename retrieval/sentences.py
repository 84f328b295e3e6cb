"""Cutting text into sentences, as ranges of the text itself."""

import sentencex

from retrieval.types import Span

WINDOW = 10_000
"""Characters that are cut at once: it takes the square of their number."""


def sentence_spans(text: str, start: int = 0, stop: int | None = None) -> list[Span]:
    """Return the sentences of `text[start:stop]`, in characters of `text`.

    No range begins or ends in white space, and together they hold every other character.
    """
    stop = len(text) if stop is None else stop
    spans: list[Span] = []
    at = start
    while at < stop:
        end = min(at + WINDOW, stop)
        found = _cut(text, at, end)
        if end < stop and len(found) > 1:
            found.pop()  # it may go on
        spans += found
        at = found[-1][1]
    return [tight for span in spans if (tight := trim(text, span))[0] < tight[1]]


def _cut(text: str, start: int, stop: int) -> list[Span]:
    spans: list[Span] = []
    at = start
    for piece in sentencex.segment("en", text[start:stop]):
        spans.append((at, at + len(piece)))
        at += len(piece)
    return spans if at == stop else [(start, stop)]


def trim(text: str, span: Span) -> Span:
    """Return the range without the white space at its ends."""
    start, stop = span
    while start < stop and text[start].isspace():
        start += 1
    while stop > start and text[stop - 1].isspace():
        stop -= 1
    return start, stop
