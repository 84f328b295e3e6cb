"""What the form of the prompt earns: the same evidence written from in several ways.

    python -m scripts.bench_prompts KIT [--set FOLDER] [--home FOLDER] [--only NAME,…] [--limit N]

As `bench_truth`, whose library it may share, but with the model asked in other ways; the gate and
everything else are as they are. Forms:

    none          no model: quotes only
    short         the instruction for small models, as it is
    large         the instruction for large models, as it is: with places, and cited by number
    places        short, each source led by its title and headings
    answer_first  the answer in a few words, and then the sentence that says so
    quote_first   the sentence that answers, copied, and then the answer
    few_shot      short, after two examples
    grammar       short, with a grammar: one sentence of 25 words at most, and a source's number
    words         short, with a grammar that has only the words of sources and question

Prints, for each, what the scorer prints, as one JSON line, with the time to write an answer.
"""

import json
import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from unittest.mock import patch

from answer import Answerer
from answer.engine import LlamaProcess
from answer.engine.options import WriteOptions
from answer.evidence import Judgement
from answer.judge import JudgeScorer
from answer.model import Message, Piece
from answer.prompt import DATA, Form, build_prompt
from answer.types import Evidence, ModelCard
from scripts.end_to_end import Opened, Remembering, opened, options, reply, scored
from web.models import start_model

SAME = "with the words of the numbered sources and nothing else."
ANSWER_FIRST = (
    f"Answer the question in a few words, then give the sentence that says so, {SAME} {DATA}"
)
QUOTE_FIRST = (
    f"Copy the sentence that answers the question, then answer in a few words, {SAME} {DATA}"
)
EXAMPLES = (
    (
        "[1] The pool is open from May to September.\n[2] A season ticket is 40 euros.\n\n"
        "Question: how much is a ticket for the season",
        "A season ticket is 40 euros.",
    ),
    (
        "[1] Keys are handed out by the caretaker, who lives next door.\n\n"
        "Question: Who has the keys?",
        "Keys are handed out by the caretaker.",
    ),
)

Build = Callable[[str, Sequence[Evidence], Form], list[Message]]


@dataclass(frozen=True)
class Way:
    """How the model is asked: the messages, and a grammar for the answer to them."""

    build: Build
    grammar: Callable[[Sequence[Message]], str] | None = None


@dataclass
class Asking:
    """The model, asked with a grammar."""

    model: LlamaProcess
    grammar: Callable[[Sequence[Message]], str] | None

    @property
    def card(self) -> ModelCard:
        """Its name."""
        return self.model.card

    @property
    def ready(self) -> bool:
        """Whether it would be asked now."""
        return self.model.ready

    @property
    def parameters(self) -> int | None:
        """How many it has."""
        return self.model.parameters

    def write(self, messages: list[Message], *, max_tokens: int) -> Iterator[Piece]:
        """Write with the grammar."""
        grammar = self.grammar(messages) if self.grammar else None
        options = WriteOptions(grammar=grammar)
        return self.model.write(messages, max_tokens=max_tokens, options=options)

    def close(self) -> None:
        """Leave it to who started it."""


def main() -> None:
    """Answer, score and print."""
    given = options(__doc__, ["none", *WAYS])
    with opened(given) as asked:
        for name, answerer in _forms(asked, given.only):
            replies = [reply(question, answerer) for question in asked.questions]
            took = [r["seconds"] - r["first_token_s"] for r in replies if r["status"] == "answered"]
            figures = scored(given.kit, asked.folder, replies, name)
            figures |= {"bench": "prompts", "writing_s": round(statistics.median(took or [0]), 3)}
            print(json.dumps(figures), flush=True)


def _forms(asked: Opened, wanted: Sequence[str]) -> Iterator[tuple[str, Answerer]]:
    """Yield each form while it can be asked."""
    judgement = Remembering(Judgement(JudgeScorer(asked.judge, asked.features)))
    with closing(start_model(asked.settings)) as model:
        if not isinstance(model, LlamaProcess):
            raise SystemExit("This compares forms for a model on this machine, not on a server.")
        for name in wanted:
            way = WAYS.get(name)
            build = patch("answer.answerer.build_prompt", way.build) if way else nullcontext()
            asking = Asking(model, way.grammar) if way else None
            with build:
                yield name, asked.answerer(asking, judgement=judgement)


def _with(instruction: str) -> Build:
    def build(
        question: str, evidence: Sequence[Evidence], form: Form = Form.SHORT
    ) -> list[Message]:
        *_, last = build_prompt(question, evidence, form)
        return [Message("system", instruction), last]

    return build


def _places(question: str, evidence: Sequence[Evidence], _: Form) -> list[Message]:
    opening, *_rest = build_prompt(question, evidence, Form.SHORT)
    return [opening, build_prompt(question, evidence, Form.LONG)[-1]]


def _long(question: str, evidence: Sequence[Evidence], _: Form) -> list[Message]:
    return build_prompt(question, evidence, Form.LONG)


def _few_shot(question: str, evidence: Sequence[Evidence], _: Form) -> list[Message]:
    opening, last = build_prompt(question, evidence, Form.SHORT)
    turns = [
        Message(r, t) for pair in EXAMPLES for r, t in zip(("user", "assistant"), pair, strict=True)
    ]
    return [opening, *turns, last]


def _one_sentence(messages: Sequence[Message]) -> str:
    """Return a grammar: at most 25 words, a full stop, and the number of a source."""
    count = len(re.findall(r"^\[\d+\] ", messages[-1].content, re.MULTILINE))
    numbers = " | ".join(f'"{n}"' for n in range(1, count + 1))
    return (
        f'root ::= word (" " word){{0,24}} ". [" ({numbers}) "]"\n'
        "word ::= [^ \\n.!?\\[\\]]+ ([.,] [0-9]+)*\n"
    )


def _only_words(messages: Sequence[Message]) -> str:
    """Return a grammar that has the words of sources and question, each as it stands there."""
    found = dict.fromkeys(
        re.sub(r"^\[\d+\] ", "", messages[-1].content, flags=re.MULTILINE).split()
    )
    words = " | ".join(json.dumps(word, ensure_ascii=False) for word in found)
    return f'root ::= word (" " word){{0,39}}\nword ::= {words}\n'


WAYS = {
    "short": Way(build_prompt),
    "large": Way(_long),
    "places": Way(_places),
    "answer_first": Way(_with(ANSWER_FIRST)),
    "quote_first": Way(_with(QUOTE_FIRST)),
    "few_shot": Way(_few_shot),
    "grammar": Way(build_prompt, _one_sentence),
    "words": Way(build_prompt, _only_words),
}

if __name__ == "__main__":
    main()
