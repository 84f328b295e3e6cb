"""The engine's parts that need no model: what was read before, guesses, text, figures."""

import random
from itertools import takewhile

import numpy as np
import pytest

from answer.engine.drafts import LONGEST, RARELY, Draft, Gain
from answer.engine.figures import Figures, Speed
from answer.engine.prefixes import Prefixes, State
from answer.engine.text import Text


class Memory:
    """What llama.cpp does with sequences, as lists of tokens."""

    def __init__(self, cells: int) -> None:
        self.sequences: dict[int, list[int]] = {}
        self._cells = cells

    def save(self, sequence: int) -> State:
        return np.array(self.sequences[sequence], np.uint8)

    def restore(self, state: State, sequence: int) -> bool:
        assert not self.sequences.get(sequence)
        if len(state) > self._cells:
            return False
        self.sequences[sequence] = state.tolist()
        return True

    def forget(self, sequence: int, start: int, stop: int) -> None:
        assert stop == len(self.sequences[sequence])
        del self.sequences[sequence][start:stop]


class Reader:
    """Reads prompts with what is remembered, as the engine does."""

    def __init__(self, room: int = 10_000, cells: int = 100) -> None:
        self.memory = Memory(cells)
        self.prefixes = Prefixes(self.memory, room)

    def ask(self, prompt: list[int]) -> int:
        """Return how many tokens need not be read."""
        self.memory.sequences[0] = []
        cached = self.prefixes.attach(prompt[:-1], 0)
        assert self.memory.sequences[0] == prompt[:cached]
        self.memory.sequences[0] += prompt[cached:]
        self.prefixes.keep(prompt, 0)
        return cached


def in_common(a: list[int], b: list[int]) -> int:
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))))


def test_prompts_get_as_much_as_they_begin_alike() -> None:
    reader = Reader()

    assert reader.ask([1, 2, 3, 4, 5]) == 0
    assert reader.ask([1, 2, 3, 9, 9]) == 3
    assert reader.ask([1, 2, 7]) == 2
    assert reader.ask([1, 2, 3, 9, 8]) == 4
    assert reader.ask([1, 2, 3, 4, 5]) == 4, "the last token is read for what follows it"
    assert reader.prefixes.held == 18, "what was read twice is kept once"


@pytest.mark.parametrize("seed", range(20))
def test_any_prompts_in_any_order_get_all_they_can(seed: int) -> None:
    draw = random.Random(seed)
    reader, before = Reader(), list[list[int]]()
    for _ in range(30):
        prompt = [draw.randrange(3) for _ in range(draw.randrange(1, 12))]
        expected = max((in_common(prompt, b) for b in before), default=0)
        assert reader.ask(prompt) == min(len(prompt) - 1, expected)
        before.append(prompt)


@pytest.mark.parametrize("seed", range(20))
def test_no_more_is_remembered_than_there_is_room_for(seed: int) -> None:
    draw = random.Random(seed)
    reader = Reader(room=20)
    for _ in range(40):
        prompt = [draw.randrange(9) for _ in range(draw.randrange(1, 30))]
        again = 0 if len(prompt) > 20 else len(prompt) - 1
        reader.ask(prompt)
        assert reader.prefixes.held <= 20
        assert reader.prefixes.common(prompt[:-1]) >= again, "the last one is remembered if it fits"


def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    reader = Reader(room=12)
    reader.ask([1, 1, 1, 1])
    reader.ask([2, 2, 2, 2])
    reader.ask([1, 1, 1, 1])
    reader.ask([3, 3, 3, 3])
    reader.ask([4, 4, 4, 4])

    assert reader.ask([1, 1, 1, 1]) == 3
    assert reader.ask([2, 2, 2, 2]) == 0


def test_what_there_is_no_room_for_is_read_again() -> None:
    reader = Reader(cells=4)

    assert reader.ask([1, 2, 3, 4, 5]) == 0
    assert reader.ask([1, 2, 3]) == 0


def test_what_followed_the_last_two_tokens_before_is_guessed() -> None:
    draft = Draft([1, 2, 3, 4, 5, 9, 2, 3, 7])
    assert draft.guess(9) == [], "nothing followed 3 and 7"

    draft.add(2)
    draft.add(3)

    assert draft.guess(9) == [7, 2, 3], "the last place counts, and the end is not looked up"
    assert draft.guess(1) == [7]
    assert draft.guess(0) == []


@pytest.mark.parametrize("seed", range(10))
def test_a_guess_is_always_what_followed_somewhere(seed: int) -> None:
    random_tokens = random.Random(seed)
    tokens = [random_tokens.randrange(4) for _ in range(60)]
    draft = Draft(tokens[:20])
    for at in range(20, 60):
        guess = draft.guess(LONGEST)
        seen = tokens[:at]
        places = [i for i in range(2, at) if seen[i - 2 : i] == seen[-2:]]
        assert guess == (seen[places[-1] : places[-1] + LONGEST] if places else [])
        draft.add(tokens[at])


def gain_of(alone_s: float, with_three_s: float, right: int) -> Gain:
    """Return what was learnt of steps of one token and of four, with so many guesses of 3 right."""
    gain = Gain()
    for _ in range(100):
        gain.learn(1, alone_s)
        gain.learn(4, with_three_s)
        gain.tell(3, right)
    return gain


def test_guesses_are_made_where_a_longer_step_costs_less_than_what_they_give() -> None:
    assert gain_of(0.010, 0.019, right=2).pays(1, 3)
    assert not gain_of(0.010, 0.019, right=0).pays(1, 3)
    assert not gain_of(0.010, 0.031, right=2).pays(1, 3)
    assert not gain_of(0.010, 0.019, right=2).pays(1, 0), "there is nothing to guess"


def test_guesses_that_do_not_pay_are_tried_again_now_and_then() -> None:
    gain = gain_of(0.010, 0.040, right=2)

    tried = [gain.pays(1, 3) for _ in range(3 * (RARELY + 1))]

    assert sum(tried) == 3
    gain.learn(4, 0.012)
    assert gain.pays(1, 3), "the machine has become another"


def test_one_slow_step_does_not_end_guessing() -> None:
    gain = gain_of(0.010, 0.019, right=2)

    gain.learn(4, 2.0)

    assert gain.pays(1, 3)


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
