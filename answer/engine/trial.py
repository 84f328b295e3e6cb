"""How fast a model answers with one set-up: the real process, typical prompts, greedy text.

What is timed is what readers wait for, by the seam that answers use.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from answer.engine.limits import EngineLimits
from answer.engine.process import LlamaProcess
from answer.errors import ModelFailed
from answer.model import Message
from answer.prompt import Form, opening
from answer.types import Usage, Waiting

READ = 300
WRITTEN = 40
"""Tokens of a typical question: its prompt, and the answer."""
FACTS = (
    "Each of the {n} allotments at Mill Lane is let for twelve months from the first of October, "
    "and the rent of {n}4 pounds is due before the keys are handed over at the gatehouse.",
    "A tenant who gives notice before the end of June gets back {n} tenths of the rent for the "
    "months that are left, less the cost of clearing whatever was planted after the notice.",
    "Water is turned on from {n} March until the first frost, by a rota that the secretary pins to "
    "the shed; hoses may be used in the evening, and cans at any time of the day.",
    "Bonfires are allowed on {n} Saturdays a year, never within twenty metres of the orchard, and "
    "only if the warden has been told by noon on the Thursday before.",
    "The shared tools are kept in shed {n}, where the book by the door must be signed; what is "
    "broken is reported to the treasurer, who has it mended from the tool fund.",
    "Up to {n} hens may be kept on a double plot if their house is no higher than a metre and a "
    "half, but cockerels, bees and rabbits need the written consent of the committee.",
)
ASKED = "What does it cost, and which dates, numbers and people matter? Say it all in one sentence."


@dataclass(frozen=True, slots=True)
class Trial:
    """Tokens read and written a second, and the texts.

    Of the prompts the fastest counts: whatever else runs can only slow one down.
    """

    read_per_s: float
    written_per_s: float
    texts: tuple[str, ...]

    @property
    def answer_s(self) -> float:
        """The time of a typical question."""
        return READ / self.read_per_s + WRITTEN / self.written_per_s


def prompts(count: int) -> list[list[Message]]:
    """Return prompts of about 300 tokens that share the instruction, as answers' prompts do."""
    made = []
    for number in range(2, count + 2):
        turned = FACTS[number % len(FACTS) :] + FACTS[: number % len(FACTS)]
        lines = [f"[{n}] {fact.format(n=number)}" for n, fact in enumerate(turned, start=1)]
        content = "\n".join((*lines, "", f"Question: {ASKED}"))
        made.append([*opening(Form.SHORT), Message("user", content)])
    return made


def attempt(
    weights: Path,
    limits: EngineLimits,
    asked: Sequence[Sequence[Message]],
    *,
    written: int = WRITTEN,
    most_s: float | None = None,
) -> Trial:
    """Answer prompts with a set-up.

    Raises ModelUnavailable or ModelFailed if it cannot be run, or not in so many seconds.
    """
    read, wrote, texts = [], [], []
    with closing(LlamaProcess(weights, limits)) as model, _at_most(most_s, model.close):
        model.start()
        list(model.write([*opening(Form.SHORT), Message("user", "Hello.")], max_tokens=1))
        for prompt in asked:
            began = time.perf_counter()
            pieces = model.write([*prompt], max_tokens=written)
            heard = [(p, time.perf_counter()) for p in pieces if not isinstance(p, Waiting)]
            (_, first), (used, ended) = heard[0], heard[-1]
            if not isinstance(used, Usage) or used.completion_tokens < 2 or ended <= first:
                raise ModelFailed("The model wrote nothing to a typical prompt.")
            texts.append("".join(piece for piece, _ in heard if isinstance(piece, str)))
            read.append((used.prompt_tokens - used.cached_tokens) / (first - began))
            wrote.append((used.completion_tokens - 1) / (ended - first))
    return Trial(max(read), max(wrote), tuple(texts))


@contextmanager
def _at_most(most_s: float | None, stop: Callable[[], None]) -> Iterator[None]:
    """Stop what goes on too long, from outside: it may be stuck where no clock is looked at."""
    if most_s is None:
        yield
        return
    timer = threading.Timer(max(0.0, most_s), stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
