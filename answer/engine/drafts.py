"""Guessing the next tokens from the prompt: answers copy from their sources.

Prompt lookup (Saxena 2023; Yang et al. 2023, "Inference with Reference"): where the last tokens
stood before, what followed them then may follow again. The model checks a guess in one step, so
that what it writes is the same with or without.
"""

from collections.abc import Sequence

PAIR = 2
"""Tokens that must stand the same: one is too common, three are found too late."""


class Drafts:
    """What followed each pair of tokens in a text, the latest time."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}
        for token in tokens:
            self.add(token)

    def add(self, token: int) -> None:
        """Go on by one token."""
        # The pair before this token is what this token followed.
        if len(self._tokens) >= PAIR:
            self._after[tuple(self._tokens[-PAIR:])] = len(self._tokens)
        self._tokens.append(token)

    def guess(self, most: int) -> list[int]:
        """Return up to `most` tokens that may come next."""
        at = self._after.get(tuple(self._tokens[-PAIR:]))
        return [] if at is None else self._tokens[at : at + most]
