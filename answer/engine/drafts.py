"""Drafts: what an answer says next often stands in its prompt, so it is guessed from there.

What followed the last two tokens where they stood before is put behind the last token, and the
model reads all of them in one step. Where it would have written the same, a step gives several
tokens; where not, the guess is taken back. Whether a longer step pays depends on the model and the
machine, so that is learnt while writing. The text is the same then, since one token is read as
several are. Where several threads, or a GPU, read a single one, the last bits differ: there guesses
are always made, which is what pays with models so large, and not by the clock.
(Prompt lookup: https://github.com/apoorvumang/prompt-lookup-decoding.)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

MATCH = 2
LONGEST = 3
"""Tokens that must have stood before, and tokens guessed. Of 1,067 tokens written after 32 real
prompts these saved the most time: fewer to match are wrong too often, longer guesses, too."""
RARELY = 32
"""Steps without guesses after which they are tried again: the machine may be another by then."""


class Draft:
    """One prompt and its answer, and where each pair of tokens stood last."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}
        for token in tokens:
            self.add(token)

    def add(self, token: int) -> None:
        """Note the next token."""
        # Only now: the last tokens themselves must not be found when they are looked up.
        self._after[tuple(self._tokens[-MATCH:])] = len(self._tokens)
        self._tokens.append(token)

    def guess(self, most: int) -> list[int]:
        """Return what may come next, `most` or LONGEST tokens, or fewer, or none."""
        at = self._after.get(tuple(self._tokens[-MATCH:]))
        return [] if at is None else self._tokens[at : at + max(0, min(most, LONGEST))]


@dataclass(slots=True)
class Gain:
    """What guesses are worth: how often they are right, and what steps take by their tokens.

    With `always` they are made whatever that says.
    """

    always: bool = False
    _right: float = 0.5
    _took_s: dict[int, float] = field(default_factory=dict)
    _skipped: int = 0

    def pays(self, writers: int, guessed: int) -> bool:
        """Whether so many answers are written faster with so many guesses in a step."""
        if not guessed or self.always:
            return guessed > 0
        if not self._took_s:
            return False
        with_them = (writers + self._right * guessed) / self._step_s(writers + guessed)
        if with_them > writers / self._step_s(writers) or self._skipped == RARELY:
            self._skipped = 0
            return True
        self._skipped += 1
        return False

    def learn(self, tokens: int, took_s: float) -> None:
        """Take a step into account. What else runs only slows steps down, so the fastest counts,
        but not for ever."""
        self._took_s[tokens] = min(took_s, 1.02 * self._took_s.get(tokens, took_s))

    def tell(self, guessed: int, right: int) -> None:
        """Take into account how many of the tokens guessed were right."""
        self._right += 0.05 * (right / guessed - self._right)

    def _step_s(self, tokens: int) -> float:
        """Return what a step takes; a longer one than there was counts as the longest, and is tried
        for that."""
        known = sorted(self._took_s)
        return float(np.interp(tokens, known, [self._took_s[one] for one in known]))
