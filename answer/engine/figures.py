"""What the engine has done, counted."""

from collections import deque
from dataclasses import dataclass, field, fields


@dataclass(slots=True)
class Figures:
    """Counts since a start. `joined` counts each request in each step, `busy_s` the time in steps.

    `read` are tokens of prompts that were read, `cached` those that need not be. `guessed` are
    tokens of answers that were guessed, `right` those of them that were written.
    """

    steps: int = 0
    joined: int = 0
    read: int = 0
    cached: int = 0
    written: int = 0
    guessed: int = 0
    right: int = 0
    busy_s: float = 0.0

    def __add__(self, other: "Figures") -> "Figures":
        """Return the counts of two processes together."""
        return Figures(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(slots=True)
class Speed:
    """Tokens read and written for each second of work, over the last `window_s` seconds."""

    window_s: float = 60.0
    _samples: "deque[tuple[float, Figures]]" = field(default_factory=deque)

    def note(self, now_s: float, figures: Figures) -> None:
        """Take a count at a time into account."""
        self._samples.append((now_s, figures))
        while now_s - self._samples[0][0] > self.window_s:
            self._samples.popleft()

    def rates(self, now_s: float) -> tuple[float, float]:
        """Return how fast prompts were read and answers written; zero when nothing was done."""
        samples = tuple(self._samples)  # at once: another thread may note one meanwhile
        recent = [figures for then_s, figures in samples if now_s - then_s <= self.window_s]
        if len(recent) < 2 or recent[-1].busy_s <= recent[0].busy_s:
            return 0.0, 0.0
        first, last = recent[0], recent[-1]
        took_s = last.busy_s - first.busy_s
        return (last.read - first.read) / took_s, (last.written - first.written) / took_s
