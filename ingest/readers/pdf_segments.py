"""Stretches of text on a line, put together from the strings a page shows."""

import re
from dataclasses import dataclass

WORD_GAP = 0.4
"""A gap of this share of a space parts two words: tight lines have less than half."""
COLUMN_GAP = 1.15
"""A gap of this many font sizes is no space between words but the way to another column."""
OVERLAP = 0.5
"""Text may reach back over what is before it by this share of the font size."""
FIGURE_GAP = 0.6
"""Between two figures a smaller gap is enough: tables set them close."""
FIGURE = re.compile(r"[$€£(+\-–−]?[\d.,]*\d[)%]*|[$€£¥]")
FIGURE_END = re.compile(r"[\d)%] ?$")
SAME_LINE = 0.4
"""Text raised or lowered by less than this share of the font size is still on the line."""
RAISED = 0.6
"""The same for smaller type: the number of a footnote."""


@dataclass(slots=True)
class Segment:
    """Text on one line without a wide gap, in the direction it is read.

    `left` and `right` count points along the line and `base` across it, upwards; `turn` says
    by how many degrees the line is turned on the page. `size` is the font's, in points.
    """

    left: float
    right: float
    base: float
    size: float
    turn: int
    parts: list[str]

    @property
    def text(self) -> str:
        """The characters, in the order they are seen."""
        return "".join(self.parts)

    def take(self, other: "Segment", space: float) -> bool:
        """Join another to this one if it goes on here; `space` is a space's share of its size."""
        if not self._on_line(other):
            return False
        larger = max(self.size, other.size)
        enough = WORD_GAP * space * min(self.size, other.size)
        after, before = other.left - self.right, self.left - other.right
        text = other.parts[0]
        if after > FIGURE_GAP * larger and self._parts_figures(text):
            return False
        if -OVERLAP * larger < after < COLUMN_GAP * larger:
            if after < 0 and self.parts[-1] == text and other.left - self.left < 0.2 * larger:
                return True  # drawn twice, to look bold
            self.parts.append(f" {text}" if after > enough else text)
            self.right = max(other.right, self.right)
        elif -OVERLAP * larger < before < COLUMN_GAP * larger:
            self.parts.insert(0, f"{text} " if before > enough else text)
            self.left = min(other.left, self.left)
        else:
            return False
        if other.size > self.size:
            self.size, self.base = other.size, other.base
        return True

    def _on_line(self, other: "Segment") -> bool:
        larger = max(self.size, other.size)
        raised = min(self.size, other.size) < 0.8 * larger
        apart = abs(self.base - other.base)
        return self.turn == other.turn and apart <= (RAISED if raised else SAME_LINE) * larger

    def _parts_figures(self, text: str) -> bool:
        return bool(FIGURE_END.search(self.parts[-1]) and FIGURE.fullmatch(text.strip()))


class Segments(list[Segment]):
    """A page's segments in the order they are drawn, without what is drawn twice."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[tuple[str, int, int]] = set()

    def add(self, segment: Segment, space: float) -> None:
        """Put a segment on the last one's line, or after it; `space` as in `Segment.take`."""
        text = segment.parts[0]
        key = (text, round(segment.left), round(segment.base))
        if key in self._seen and len(text) > 1:
            return  # its shadow
        self._seen.add(key)
        if not (self and self[-1].take(segment, space)):
            self.append(segment)
