"""The lines of a PDF's pages joined to paragraphs, without what every page repeats."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ingest.readers.pdf_lines import Line

ITEM = re.compile(r"(?:[•‣◦▪·●○■□➢✓*–—-]|\d{1,3}[.)]|\(?[a-z0-9ivx]{1,4}\))\s")
SENTENCE_END = re.compile(r"[.!?:;…。！？][)\"'”’»\]]*$")
WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
PARTED = re.compile(r"[^\W\d_]{0,60}[-\u2010\xad] \n[^\W\d_]*")
UNSPACED = re.compile("[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff60]")
"""Chinese and Japanese, which part no words by spaces."""
LEADERS = re.compile(r"(?:\. ?){4}[\s.]*\w{1,6}$|(?:[…·_] ?){4}\s*\w{1,6}$")
"""The end of a line in a table of contents."""
HYPHENS = "-\u2010\xad"
LONGEST = 20_000
"""No paragraph has as many characters; a file made to waste time may."""
RUNNING = 0.4
"""Headers and footers stand on at least this share of pages; left and right may differ."""
EDGE = 2
"""How many lines at the top and at the bottom may be headers and footers."""

Headings = Sequence[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text that belongs together. `runs_on` says that it may go on, over the page's end."""

    text: str
    level: int = 0
    runs_on: bool = False
    table: int = 0


class Words:
    """The words of a document, to tell a word that was parted from one with a hyphen."""

    def __init__(self, pages: Sequence[Sequence[Line]]) -> None:
        self._known = Counter(
            word.casefold() for lines in pages for word in WORD.findall(_unparted(lines))
        )

    def join(self, text: str, more: str) -> str:
        """Return two lines as one; a hyphen at the end of the first goes if it parts a word.

        It stays in a word that the document writes with it elsewhere, or whose parts are words
        of the document and it without a hyphen is not (“long-term”).
        """
        if not text or not more:
            return text or more
        if UNSPACED.match(text[-1]) and UNSPACED.match(more[0]):
            return text + more
        if text[-1] not in HYPHENS:
            return f"{text} {more}"
        if text[-1] == "\xad":
            return text[:-1] + more
        head = WORD.findall(text[-40:-1])
        tail = WORD.match(more)
        if not head or not text[:-1].endswith(head[-1]) or not tail or not more[0].islower():
            return text + more if text[-2:-1].isalnum() else f"{text} {more}"
        return (text[:-1] if self._parted(head[-1], tail[0]) else text) + more

    def _parted(self, head: str, tail: str) -> bool:
        head, tail = head.casefold(), tail.casefold()
        whole, hyphened = self._known[head + tail], self._known[f"{head}-{tail}"]
        if whole or hyphened:
            return whole >= hyphened
        if "-" in head:  # “state-of-the-” breaks where it has a hyphen
            return False
        return not (self._known[head] and self._known[tail])


def _unparted(lines: Sequence[Line]) -> str:
    """Return lines without the words that are parted at their ends."""
    text = " \n".join(line.text for line in lines)
    return PARTED.sub(" ", text)


def without_running_lines(pages: Sequence[list[Line]]) -> list[list[Line]]:
    """Leave out headers and footers: lines at an edge that many pages share but for digits."""
    edges = [_edges(lines) for lines in pages]
    counts = Counter(key for edge in edges for key in {_mask(line) for line in edge})
    running = {key for key, n in counts.items() if n >= 3 and n >= RUNNING * len(pages)}
    found = []
    for lines, edge in zip(pages, edges, strict=True):
        out = {id(line) for line in edge if _mask(line) in running}
        kept = [line for line in lines if id(line) not in out]
        found.append(kept or list(lines))  # a page of nothing else says at least that
    return found


def _edges(lines: Sequence[Line]) -> list[Line]:
    """Return the lines at the top and at the bottom of a page, wherever they are drawn."""
    upright = sorted((line for line in lines if not line.turn), key=lambda line: -line.base)
    return [*upright[:EDGE], *upright[EDGE:][-EDGE:]]


def _mask(line: Line) -> str:
    return re.sub(r"\d+|\b[ivxlc]+$", "#", line.text)


def paragraphs(lines: Sequence[Line], headings: Headings, words: Words) -> Iterator[Paragraph]:
    """Join lines to paragraphs; a line that the outline names is a heading.

    A paragraph ends before a wider gap, an indent, a heading, a list item or another size of
    type, and after a line that had room for the next word.
    """
    gathered: list[Line] = []
    length = 0
    marked = list(_marked(lines, headings))
    edges = _edges_right([line for line, _ in marked])
    for number, (line, level) in enumerate(marked):
        after = marked[number + 1][0] if number + 1 < len(marked) else None
        before = gathered[-1] if gathered else None
        length += len(line.text)
        full = length > LONGEST
        if before and (level or full or _parts(before, line, after, edges[number - 1], gathered)):
            yield _paragraph(gathered, words)
            gathered, length = [], len(line.text)
        if level:
            yield Paragraph(line.text, level)
        elif line.table:
            yield Paragraph(line.text, table=line.table)
        else:
            gathered.append(line)
    if gathered:
        yield _paragraph(gathered, words)


def _paragraph(lines: Sequence[Line], words: Words) -> Paragraph:
    text = ""
    for line in lines:
        text = words.join(text, line.text)
    return Paragraph(text, runs_on=len(text) < LONGEST and not SENTENCE_END.search(text[-20:]))


def _parts(
    before: Line, line: Line, after: Line | None, edge: float, gathered: Sequence[Line]
) -> bool:
    """Whether a paragraph ends between two lines."""
    size = max(before.size, line.size)
    fall = before.base - line.base
    if line.table or before.turn != line.turn:
        return True
    if abs(before.size - line.size) > 0.12 * size:
        close = 0 < fall < 1.9 * size and abs(before.size - line.size) < 0.3 * size
        return not (close and continues(before.text, line.text))  # a scan's sizes are guesses
    if ITEM.match(line.text) or LEADERS.search(before.text[-40:]):
        return True
    beside = line.left > before.right or line.right < before.left
    if fall < -size or beside:  # the next column, or another place
        return not continues(before.text, line.text)
    if fall > _leading(gathered, size):
        return True
    if before.text[-1:] in HYPHENS:
        return False
    if _had_room(before, line, edge):
        return True
    indent = line.left - before.left > 0.8 * size
    return bool(indent and after and abs(after.left - before.left) < 0.3 * size)


def continues(text: str, more: str) -> bool:
    """Whether a paragraph goes on, after a column's or a page's end."""
    if not text or SENTENCE_END.search(text[-20:]):
        return False
    return more[:1].islower() or text[-1] in HYPHENS


def _leading(gathered: Sequence[Line], size: float) -> float:
    """Return the fall from line to line that ends a paragraph."""
    falls = [a.base - b.base for a, b in pairwise(gathered[-5:])]
    usual = [fall for fall in falls if 0 < fall < 3 * size]
    return 1.3 * sum(usual) / len(usual) if usual else 1.9 * size


def _had_room(before: Line, line: Line, edge: float) -> bool:
    """Whether the first word of a line would have fitted on the line before."""
    word = line.text.split(" ", 1)[0]
    width = (line.right - line.left) * (len(word) + 1) / max(len(line.text), 1)
    return before.right + width < edge - 0.3 * line.size


def _edges_right(lines: Sequence[Line]) -> list[float]:
    """Return, for each line, where the right margin is of the column it stands in.

    The column is the run of lines that go down the page one below the other.
    """
    edges: list[float] = []
    start = 0
    for number in range(1, len(lines) + 1):
        if number == len(lines) or not _below(lines[number - 1], lines[number]):
            run = lines[start:number]
            edges += [max(line.right for line in run)] * len(run)
            start = number
    return edges


def _below(line: Line, other: Line) -> bool:
    return (
        0 < line.base - other.base < 12 * line.size
        and other.left < line.right
        and line.left < other.right
        and abs(line.size - other.size) < 0.12 * line.size
        and not other.table
        and not line.table
    )


def _marked(lines: Sequence[Line], headings: Headings) -> Iterator[tuple[Line, int]]:
    """Return each line with its heading level, a heading set over some lines as one."""
    levels = {_key(title): level for level, title in headings if _key(title)}
    at = 0
    while at < len(lines):
        for count in (1, 2, 3):
            part = lines[at : at + count]
            level = levels.get(_key(" ".join(line.text for line in part)), 0)
            if level and len(part) == count:
                break
        else:
            part, level = lines[at : at + 1], 0
        line = part[0]
        if level and len(part) > 1:
            line = Line(" ".join(p.text for p in part), line.left, line.right, line.base, line.size)
        yield line, level
        at += len(part)


def _key(title: str) -> str:
    """Return what two spellings of a heading share: neither white space nor its number."""
    return re.sub(r"\W+", "", re.sub(r"^[\d.\s]+(?=\D)", "", title)).casefold()
