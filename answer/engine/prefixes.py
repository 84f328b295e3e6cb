"""A tree of what was read, so that nothing is read twice.

Each node holds a stretch of tokens in a sequence of its own; the nodes from the root to it are
what stands before. Prompts that begin alike share the nodes they have in common, and whoever
writes shares the cells of its nodes. What was used longest ago is forgotten first, from the ends.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol


class Cells(Protocol):
    """Memory whose cells sequences share; see `answer.engine.context.Context`."""

    def share(self, source: int, target: int, start: int, stop: int) -> None:
        """Let a sequence also have the cells of another at positions start to stop."""

    def forget(self, sequence: int, start: int, stop: int) -> None:
        """Take positions start to stop from a sequence."""


@dataclass(slots=True, eq=False)
class Node:
    """Tokens from position `start` on; `users` write from them now, so they must stay."""

    tokens: list[int]
    start: int
    sequence: int
    parent: "Node | None"
    children: dict[int, "Node"] = field(default_factory=dict)
    users: int = 0
    used: int = 0

    @property
    def stop(self) -> int:
        """The position after the last token."""
        return self.start + len(self.tokens)


class Prefixes:
    """The tree. `sequences` are the ids its nodes may take."""

    def __init__(self, cells: Cells, sequences: Sequence[int]) -> None:
        self._cells = cells
        self._all_ids = tuple(sequences)
        self._clock = count(1)
        self.clear()

    def clear(self) -> None:
        """Forget the tree, not the cells: for when the memory was emptied."""
        self._root = Node([], 0, -1, None)
        self._free = list(self._all_ids)
        self.held = 0
        """Cells that the tree keeps."""

    def attach(self, tokens: Sequence[int], sequence: int, most: int) -> tuple[int, Node]:
        """Share with a sequence as many leading tokens as were read before, `most` at most.

        Returns how many, and the node they end in, which stays until it is released.
        """
        length, node = 0, self._root
        for node, length in self._path(tokens):
            node.used = next(self._clock)
            length = min(length, most)
            self._cells.share(node.sequence, sequence, node.start, max(node.start, length))
        node.users += 1
        return length, node

    def insert(self, tokens: Sequence[int], sequence: int, node: Node) -> tuple[int, Node]:
        """Keep the tokens a sequence has read, of which those up to `node` were shared.

        Returns how many cells the tree keeps more, and the node the tokens end in, which takes the
        place of the one that was held. With no room for another node nothing is kept.
        """
        if not self._make_ids(2):
            return 0, node
        path = list(self._path(tokens))
        for passed, _ in path:
            passed.used = next(self._clock)
        last, length = path[-1] if path else (self._root, 0)
        if length < last.stop:
            last = self._split(last, length)
        added = len(tokens) - length
        if added:
            last = self._grow(last, tokens[length:], sequence)
        last.users += 1
        self.release(node)
        return added, last

    def release(self, node: Node) -> None:
        """Let a node be forgotten, as far as its user is concerned."""
        node.users -= 1

    def make_room(self, wanted: int, room: int) -> bool:
        """Forget what was used longest ago until the tree keeps at most `room` - `wanted` cells."""
        while self.held + wanted > room:
            if not self._forget_oldest():
                return False
        return True

    def __iter__(self) -> Iterator[Node]:
        """Yield all nodes but the root."""
        nodes = list(self._root.children.values())
        while nodes:
            node = nodes.pop()
            yield node
            nodes.extend(node.children.values())

    def _path(self, tokens: Sequence[int]) -> Iterator[tuple[Node, int]]:
        """Yield the nodes that tokens lead through, each with how far they agree with it."""
        node, at = self._root, 0
        while at < len(tokens) and at == node.stop and tokens[at] in node.children:
            node = node.children[tokens[at]]
            at += _alike(node.tokens, tokens[at : at + len(node.tokens)])
            yield node, at

    def _split(self, node: Node, at: int) -> Node:
        """Part a node at a position; return the new node of what stands before it.

        The end keeps its identity, since whoever holds the node needs all of it.
        """
        if node.parent is None:
            raise ValueError("the root cannot be split")
        head = Node(
            node.tokens[: at - node.start],
            node.start,
            self._free.pop(),
            node.parent,
            used=node.used,
        )
        self._cells.share(node.sequence, head.sequence, node.start, at)
        self._cells.forget(node.sequence, node.start, at)
        node.parent.children[head.tokens[0]] = head
        node.tokens, node.start, node.parent = node.tokens[at - node.start :], at, head
        head.children[node.tokens[0]] = node
        return head

    def _grow(self, parent: Node, tokens: Sequence[int], sequence: int) -> Node:
        node = Node(list(tokens), parent.stop, self._free.pop(), parent, used=next(self._clock))
        self._cells.share(sequence, node.sequence, node.start, node.stop)
        parent.children[node.tokens[0]] = node
        self.held += len(tokens)
        return node

    def _make_ids(self, wanted: int) -> bool:
        while len(self._free) < wanted:
            if not self._forget_oldest():
                return False
        return True

    def _forget_oldest(self) -> bool:
        """Forget the end of a branch that was used longest ago; False if all are in use."""
        ends = [node for node in self if not node.children and not node.users]
        if not ends:
            return False
        oldest = min(ends, key=lambda node: node.used)
        self._cells.forget(oldest.sequence, oldest.start, oldest.stop)
        if oldest.parent is not None:
            del oldest.parent.children[oldest.tokens[0]]
        self._free.append(oldest.sequence)
        self.held -= len(oldest.tokens)
        return True


def _alike(a: Sequence[int], b: Sequence[int]) -> int:
    """Return how many leading tokens are the same."""
    return next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
