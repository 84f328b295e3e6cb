"""The engine's parts that need no model: the tree of prefixes, text, figures."""

import random
from collections import defaultdict
from itertools import takewhile

import pytest

from answer.engine.figures import Figures, Speed
from answer.engine.prefixes import Node, Prefixes
from answer.engine.text import Text


class Memory:
    """What llama.cpp does with sequences, as sets: a cell is what was read, and is shared."""

    def __init__(self) -> None:
        self.sequences: defaultdict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
        self._made = 0

    def read(self, sequence: int, position: int, token: int) -> None:
        assert position not in self.sequences[sequence]
        self._made += 1
        self.sequences[sequence][position] = (token, self._made)

    def share(self, source: int, target: int, start: int, stop: int) -> None:
        for position in range(start, stop):
            assert position not in self.sequences[target]
            self.sequences[target][position] = self.sequences[source][position]

    def forget(self, sequence: int, start: int, stop: int) -> None:
        for position in range(start, stop):
            del self.sequences[sequence][position]

    @property
    def cells(self) -> int:
        return len({cell for cells in self.sequences.values() for cell in cells.values()})


class Reader:
    """Reads prompts through the tree, as the engine does."""

    def __init__(self, room: int = 10_000, nodes: int = 40) -> None:
        self.memory = Memory()
        self.prefixes = Prefixes(self.memory, range(100, 100 + nodes))
        self.room = room

    def read(self, prompt: list[int], sequence: int = 0) -> tuple[int, Node]:
        """Return how many tokens need not be read, and the node that is held."""
        cached, node = self.prefixes.attach(prompt, sequence, len(prompt) - 1)
        assert self.prefixes.make_room(len(prompt) - cached, self.room)
        for position in range(cached, len(prompt)):
            self.memory.read(sequence, position, prompt[position])
        held = self.memory.sequences[sequence]
        assert [held[position][0] for position in range(len(prompt))] == prompt
        return cached, self.prefixes.insert(prompt, sequence, node)[1]

    def leave(self, sequence: int, node: Node) -> None:
        self.memory.sequences.pop(sequence, None)
        self.prefixes.release(node)

    def ask(self, prompt: list[int]) -> int:
        cached, node = self.read(prompt)
        self.leave(0, node)
        return cached


def alike(a: list[int], b: list[int]) -> int:
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))))


def test_prompts_share_as_much_as_they_begin_alike() -> None:
    reader = Reader()

    assert reader.ask([1, 2, 3, 4, 5]) == 0
    assert reader.ask([1, 2, 3, 9, 9]) == 3
    assert reader.ask([1, 2, 7]) == 2
    assert reader.ask([1, 2, 3, 9, 8]) == 4
    assert reader.ask([1, 2, 3, 4, 5]) == 4, "the last token is read for what follows it"
    assert reader.prefixes.held == reader.memory.cells == 9


@pytest.mark.parametrize("seed", range(20))
def test_any_prompts_in_any_order_share_all_they_can_and_count_their_cells(seed: int) -> None:
    draw = random.Random(seed)
    reader, before, writing = Reader(), list[list[int]](), dict[int, Node]()
    for _ in range(30):
        prompt = [draw.randrange(3) for _ in range(draw.randrange(1, 12))]
        sequence = draw.randrange(4)
        if sequence in writing:
            reader.leave(sequence, writing.pop(sequence))
        cached, writing[sequence] = reader.read(prompt, sequence)
        assert cached == min(len(prompt) - 1, max((alike(prompt, b) for b in before), default=0))
        before.append(prompt)
    for sequence, node in writing.items():
        reader.leave(sequence, node)

    assert reader.memory.cells == reader.prefixes.held
    assert reader.prefixes.make_room(reader.room, reader.room)
    assert reader.memory.cells == 0


def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    reader = Reader(room=12)
    reader.ask([1, 1, 1, 1])
    reader.ask([2, 2, 2, 2])
    reader.ask([1, 1, 1, 1])
    reader.ask([3, 3, 3, 3])
    reader.ask([4, 4, 4, 4])

    assert reader.ask([1, 1, 1, 1]) == 3
    assert reader.ask([2, 2, 2, 2]) == 0


def test_what_is_written_from_is_not_forgotten() -> None:
    reader = Reader(room=8)
    _, node = reader.read([1, 2, 3, 4, 5], sequence=1)

    assert not reader.prefixes.make_room(4, 8)
    reader.leave(1, node)
    assert reader.prefixes.make_room(4, 8)


def test_few_sequences_hold_as_many_prefixes_as_they_can() -> None:
    reader = Reader(nodes=3)
    for number in range(10):
        reader.ask([1, number, number])

    assert len(list(reader.prefixes)) <= 3
    assert reader.ask([1, 9, 9]) == 2


def test_a_character_is_shown_when_all_of_it_is_there() -> None:
    text, data = Text(), "a – 🦊".encode()

    shown = [text.add(bytes([byte])) for byte in data]

    assert "".join(shown) + text.finish() == "a – 🦊"
    assert "\ufffd" not in "".join(shown)


def test_half_a_character_at_the_end_is_left_out() -> None:
    text = Text()

    assert text.add("ok 🦊".encode()[:-1]) + text.finish() == "ok "


def test_nothing_of_a_stop_text_is_shown() -> None:
    text = Text(["END", "\n\n"])

    shown = [text.add(data) for data in (b"one E", b"N", b"tity EN", b"D two")]

    assert "".join(shown) == "one ENtity "
    assert text.stopped
    assert text.add(b"three") + text.finish() == ""


def test_the_beginning_of_a_stop_text_is_shown_if_it_does_not_come() -> None:
    text = Text(["END"])

    assert text.add(b"the EN") == "the "
    assert text.finish() == "EN"


def test_speed_is_tokens_for_each_second_of_work_of_late() -> None:
    speed = Speed(window_s=60)
    for now_s, read, busy_s in ((0, 0, 0.0), (50, 1000, 1.0), (100, 1300, 2.0)):
        speed.note(now_s, Figures(read=read, written=read // 10, busy_s=busy_s))

    assert speed.rates(100) == (300.0, 30.0)
    assert speed.rates(500) == (0.0, 0.0)
