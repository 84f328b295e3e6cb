"""Sources whose keys and values were computed once, spliced into prompts, or prompts read whole.

    python -m scripts.bench_splicing KIT [--set FOLDER] [--home FOLDER] [--only NAME,…] [--limit N]

After EPIC/LegoLink (Hu et al. 2024) and APE (Yang et al. 2025). Each source is read behind the
instructions alone. For a prompt its cells are moved to where the source stands and shared, and the
number before it and its first tokens are read again; `apart` leaves all sources at the position
behind the instructions instead, so that nothing is moved. What was read for a source is taken to be
there already: the time is the best that can be had. Ways: whole, first_0, first_4, first_16 (tokens
read again), apart. Everything else is as in `bench_prompts`. Prints one JSON line for each.
"""

import json
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import llama_cpp.llama_cpp as llama

from answer.engine import EngineLimits
from answer.engine.context import Context, Logits, Row
from answer.engine.template import Template
from answer.evidence import Judgement
from answer.judge import JudgeScorer
from answer.model import Message, Piece, find_model
from answer.types import ModelCard, Usage
from scripts.end_to_end import Remembering, opened, options, reply, scored

ANSWER, OPENING, SOURCE = 0, 1, 2
"""Sequences; each source has one of its own from the last on."""
WAYS: dict[str, int | None] = {"whole": None, "first_0": 0, "first_4": 4, "first_16": 16}
APART = "apart"


@dataclass(frozen=True, slots=True)
class Source:
    """The tokens of a source: of its number, and of its text."""

    number: list[int]
    text: list[int]


class Spliced:
    """A model in this process that reads prompts in one of the ways."""

    card = ModelCard("spliced", "")
    ready = True

    def __init__(self, context: Context, way: str) -> None:
        self._context = context
        self._template = Template(context)
        self._way = way
        self.first_s: list[float] = []
        self.read: list[int] = []
        self._count = 0

    @property
    def parameters(self) -> int | None:
        """How many it has."""
        return self._context.parameters

    def close(self) -> None:
        """Leave it to who made it."""

    def write(self, messages: list[Message], *, max_tokens: int) -> Iterator[Piece]:
        """Write greedily."""
        opening, sources, rest = self._cut(messages)
        self._context.clear()
        self._read(OPENING, opening, 0)
        for number, source in enumerate(sources):
            self._share(OPENING, SOURCE + number, 0, len(opening))
            self._read(SOURCE + number, source.text, len(opening))
        began, self._count = time.perf_counter(), 0
        self._share(OPENING, ANSWER, 0, len(opening))
        at = self._place(sources, len(opening))
        logits = self._read(ANSWER, rest, at)
        self.first_s.append(time.perf_counter() - began)
        self.read.append(self._count)
        at += len(rest)
        text, written = b"", 0
        while written < max_tokens:
            token = int(logits.argmax())
            if self._context.ends(token):
                break
            text, written = text + self._context.piece(token), written + 1
            logits = self._read(ANSWER, [token], at)
            at += 1
        yield text.decode("utf-8", "replace")
        yield Usage(at - written, 0, written, cut_short=written == max_tokens)

    def _place(self, sources: Sequence[Source], at: int) -> int:
        """Put the sources into the answer's sequence; return the position behind them."""
        behind = at
        for number, source in enumerate(sources):
            mine = SOURCE + number
            if self._way == APART:
                self._share(mine, ANSWER, behind, behind + len(source.text))
                at = max(at, behind + len(source.text))
                continue
            again = WAYS[self._way]
            again = len(source.text) if again is None else min(again, len(source.text))
            self._read(ANSWER, [*source.number, *source.text[:again]], at)
            at += len(source.number)
            stop, moved = behind + len(source.text), at - behind
            if again < len(source.text):
                self._context._check(mine, behind, stop + moved)  # never "all" by mistake
                memory = self._context._memory
                llama.llama_memory_seq_add(memory, mine, behind, stop, moved)
                self._share(mine, ANSWER, at + again, stop + moved)
            at += len(source.text)
        return at

    def _share(self, source: int, target: int, start: int, stop: int) -> None:
        """Let a sequence also have the cells of another at positions start to stop."""
        self._context._check(source, start, stop)  # never "all" by mistake
        self._context._check(target, start, stop)
        llama.llama_memory_seq_cp(self._context._memory, source, target, start, stop)

    def _read(self, sequence: int, tokens: Sequence[int], at: int) -> Logits:
        self._count += len(tokens)
        rows = [Row(t, at + i, sequence, i + 1 == len(tokens)) for i, t in enumerate(tokens)]
        return self._context.decode(rows)[-1] if rows else self._context.decode([])

    def _cut(self, messages: list[Message]) -> tuple[list[int], list[Source], list[int]]:
        """Return the tokens before the sources, of each source, and behind them."""
        turns = [{"role": m.role, "content": m.content} for m in messages]
        whole = self._template.text(turns)
        content = messages[-1].content
        before, after = whole.split(content)
        lines, rest = content.split("\n\nQuestion: ")
        cut = self._context.tokenize
        sources = []
        for line in lines.split("\n"):
            number, text = line.split(" ", 1)
            sources.append(Source(cut(number), cut(f" {text}\n")))
        behind = cut(f"\nQuestion: {rest}") + cut(after, special=True)
        return cut(before, special=True), sources, behind


def main() -> None:
    """Answer, score and print."""
    given = options(__doc__, [*WAYS, APART])
    with opened(given) as asked:
        judgement = Remembering(Judgement(JudgeScorer(asked.judge, asked.features)))
        context = Context(str(find_model(None)), EngineLimits())
        for way in given.only:
            model = Spliced(context, way)
            answerer = asked.answerer(model, judgement=judgement)
            replies = [reply(question, answerer) for question in asked.questions]
            figures = scored(given.kit, asked.folder, replies, way)
            ms = statistics.median(model.first_s) * 1000
            more = {"first_token_ms": round(ms, 1), "tokens_read": statistics.median(model.read)}
            print(json.dumps({**figures, "bench": "splicing", **more}), flush=True)


if __name__ == "__main__":
    main()
