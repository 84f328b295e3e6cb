"""What was read, kept outside the model's memory, so that nothing is read twice.

A prompt that was read is copied out with the keys and values that llama.cpp made of it; one that
begins alike gets the copy, as far as they agree, which takes a millisecond where reading takes
hundreds. Within the model's memory the cells of what nobody writes from would slow each step: all
sequences lie in one pool, and attention goes over the pool up to the last cell that is taken.
What was used longest ago is forgotten first.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol, TypeAlias

from numpy import uint8
from numpy.typing import NDArray

State: TypeAlias = NDArray[uint8]
"""All that llama.cpp has of a sequence, as bytes of its own making."""
Tokens: TypeAlias = tuple[int, ...]


class Memory(Protocol):
    """What sequences lie in; see `answer.engine.context.Context`."""

    def save(self, sequence: int) -> State:
        """Return a copy of a sequence."""

    def restore(self, state: State, sequence: int) -> bool:
        """Fill an empty sequence with a copy; False, and it stays empty, if there is no room."""

    def forget(self, sequence: int, start: int, stop: int) -> None:
        """Take positions start to stop from a sequence."""


class Prefixes:
    """The copies: at most `room` tokens of them together."""

    def __init__(self, memory: Memory, room: int) -> None:
        self._memory = memory
        self._room = room
        self._kept: OrderedDict[Tokens, State] = OrderedDict()
        self._sorted: list[Tokens] = []
        self.held = 0
        """Tokens that are kept."""

    def common(self, tokens: Sequence[int]) -> int:
        """Return how many leading tokens were read before."""
        return self._nearest(tuple(tokens))[1]

    def attach(self, tokens: Sequence[int], sequence: int) -> int:
        """Fill an empty sequence with as many leading tokens as were read before; return how many.

        None are where there is no room for the copy.
        """
        found, length = self._nearest(tuple(tokens))
        if not length or not self._memory.restore(self._kept[found], sequence):
            return 0
        self._kept.move_to_end(found)
        self._memory.forget(sequence, length, len(found))
        return length

    def keep(self, tokens: Sequence[int], sequence: int) -> None:
        """Keep a copy of a sequence, which has these tokens and no more, for who comes after."""
        new = tuple(tokens)
        found, length = self._nearest(new)
        if length == len(new):
            self._kept.move_to_end(found)
        elif len(new) <= self._room:
            while self.held + len(new) > self._room:
                oldest, _ = self._kept.popitem(last=False)
                del self._sorted[bisect_left(self._sorted, oldest)]
                self.held -= len(oldest)
            self._kept[new] = self._memory.save(sequence)
            insort(self._sorted, new)
            self.held += len(new)

    def _nearest(self, tokens: Tokens) -> tuple[Tokens, int]:
        """Return what begins most like tokens, and how many they have in common.

        In order of tokens that is a neighbour of where they would stand.
        """
        at = bisect_left(self._sorted, tokens)
        around = self._sorted[max(0, at - 1) : at + 1]
        length, best = max(((_alike(one, tokens), one) for one in around), default=(0, ()))
        return best, length


def _alike(a: Sequence[int], b: Sequence[int]) -> int:
    """Return how many leading tokens are the same."""
    return next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
