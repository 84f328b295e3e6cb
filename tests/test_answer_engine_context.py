"""The seam to llama.cpp: what is never let through, and models whose memory cannot be shared."""

from operator import itemgetter
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np
import pytest

from answer.engine.batching import Batching
from answer.engine.context import Context, Row
from answer.engine.drafts import Gain
from answer.engine.figures import Figures
from answer.engine.jobs import Job
from answer.engine.limits import EngineLimits
from answer.engine.offload import offers
from answer.engine.options import WriteOptions
from answer.engine.prefixes import Prefixes
from answer.engine.sampling import Sampler
from answer.engine.template import Template
from answer.engine.text import Text
from answer.model import find_model

LIMITS = EngineLimits(context_tokens=512, cache_tokens=512, threads=1)


@pytest.fixture(scope="module")
def context() -> Context:
    """The bundled model with little memory."""
    return Context(str(find_model(None)), LIMITS)


@pytest.mark.parametrize(
    ("sequence", "start", "stop"),
    [(-1, 0, 1), (64, 0, 1), (0, -1, 5), (0, 5, -1), (0, 5, 4), (0, 0, 513)],
)
def test_no_range_that_means_everything_reaches_llama(
    context: Context, sequence: int, start: int, stop: int
) -> None:
    with pytest.raises(ValueError, match=r"no sequence|no range"):
        context.forget(sequence, start, stop)


@pytest.mark.parametrize("sequence", [-1, 64])
def test_no_sequence_that_is_not_there_is_copied_or_filled(context: Context, sequence: int) -> None:
    with pytest.raises(ValueError, match="no sequence"):
        context.save(sequence)
    with pytest.raises(ValueError, match="no sequence"):
        context.restore(np.zeros(8, np.uint8), sequence)


def test_a_copy_of_what_was_read_goes_on_to_the_last_bit_as_the_original(context: Context) -> None:
    tokens = context.tokenize("A part-time officer gets twelve days of leave a year.")
    context.decode([Row(token, at, 0, wanted=False) for at, token in enumerate(tokens)])
    copy = context.save(0)
    context.drop(0)

    assert context.restore(copy, 1)
    restored = context.decode([Row(7, len(tokens), 1, wanted=True)]).copy()
    context.clear()
    context.decode([Row(token, at, 0, wanted=False) for at, token in enumerate(tokens)])
    read = context.decode([Row(7, len(tokens), 0, wanted=True)])

    assert (restored == read).all()
    context.clear()


def test_a_copy_there_is_no_room_for_leaves_the_sequence_empty(context: Context) -> None:
    tokens = (context.tokenize("A part-time officer gets twelve days of leave a year. " * 40))[:300]
    context.decode([Row(token, at, 0, wanted=False) for at, token in enumerate(tokens)])
    copy = context.save(0)

    assert not context.restore(copy, 1), "300 of 512 cells are taken"
    context.drop(0)
    assert context.restore(copy, 1)
    context.clear()


def test_no_position_outside_the_memory_is_read_into(context: Context) -> None:
    with pytest.raises(ValueError, match="no range"):
        context.decode([Row(1, -1, 0, wanted=True)])
    with pytest.raises(ValueError, match="a batch has"):
        context.decode([])


@pytest.mark.parametrize("full", ["weights", "cache"])
@pytest.mark.parametrize(("room", "taken"), [(99, 31), (30, 27), (12, 11), (0, 0)])
def test_a_gpu_takes_all_layers_or_as_many_as_fit(
    room: int, taken: int, full: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The GPU is made up: here there is none. The model and its 30 blocks are real."""
    load, init = llama.llama_model_load_from_file, llama.llama_init_from_model
    asked = [0]

    def loaded(path: bytes, params: Any) -> Any:
        asked.append(0 if params.vocab_only else params.n_gpu_layers)
        return load(path, params) if full == "cache" or asked[-1] <= room else None

    def begun(model: Any, params: Any) -> Any:
        return init(model, params) if asked[-1] <= room else None

    monkeypatch.setattr(llama, "llama_supports_gpu_offload", lambda: True)
    monkeypatch.setattr(llama, "llama_model_load_from_file", loaded)
    monkeypatch.setattr(llama, "llama_init_from_model", begun)

    assert Context(str(find_model(None)), LIMITS).gpu_layers == taken


def test_without_a_gpu_none_is_asked(context: Context) -> None:
    assert context.gpu_layers == 0
    assert offers("no model") == [0]


def answer(context: Context, batching: Batching, number: int) -> dict[str, Any]:
    """Write three tokens after a prompt; return the last reply, with the text."""
    replies: list[dict[str, Any]] = []
    prompt = context.tokenize("The lighthouse keeper wrote seventeen letters to the harbour")
    sampler = Sampler(WriteOptions(), context.grammar)
    batching.add(Job(number, prompt, 3, sampler, Text(), replies.append))
    while batching.busy:
        batching.step()
    return {**replies[-1], "text": "".join(reply.get("piece", "") for reply in replies)}


def test_a_model_whose_memory_cannot_be_shared_writes_the_same_and_reads_all(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    sharing = answer(context, Batching(context, LIMITS), 1)
    context.clear()
    monkeypatch.setattr(context, "shares", False)
    batching = Batching(context, LIMITS)
    alone = [answer(context, batching, number) for number in (1, 2)]

    assert [one["usage"]["cached"] for one in alone] == [0, 0]
    assert {one["text"] for one in alone} == {sharing["text"]}


NO_SYSTEM = """{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('System role not
supported') }}{% endif %}<{{ m.role }}>{{ m.content }}{% endfor %}"""


def test_a_template_without_system_turns_has_the_user_say_it(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "metadata", lambda _: NO_SYSTEM)
    template = Template(context)
    question = {"role": "user", "content": "Who?"}

    assert template.text([question]) == "<user>Who?"
    assert template.text([{"role": "system", "content": "Be brief."}, question]) == (
        "<user>Be brief.\n\nWho?"
    )
    with pytest.raises(ValueError, match="System role"):
        template.text([{"role": "system", "content": "Be brief."}])


def test_a_job_that_cannot_be_let_in_is_told_and_frees_its_place(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise RuntimeError("this memory takes nothing back")

    batching = Batching(context, LIMITS)
    for number in range(LIMITS.sequences + 1):
        told: list[dict[str, Any]] = []
        sampler = Sampler(WriteOptions(), context.grammar)
        batching.add(Job(number, [1, 2], 1, sampler, Text(), told.append))
        with monkeypatch.context() as broken:
            broken.setattr(Prefixes, "common", refuse)
            with pytest.raises(RuntimeError) as problem:
                batching.step()
        batching.fail(str(problem.value))  # as the worker does

        assert told[-1] == {"id": number, "error": "failed", "detail": str(problem.value)}
    assert not batching.busy
    assert answer(context, batching, 99)["usage"]["completion"] == 3


RHYME = "Row, row, row your boat, gently down the stream. Merrily, merrily, merrily, merrily. "


@pytest.mark.parametrize(
    ("at_once", "options"),
    [
        (1, WriteOptions()),
        (3, WriteOptions()),
        (1, WriteOptions(temperature=0.4, seed=2)),
        (1, WriteOptions(stop=("stream",))),
    ],
)
def test_guesses_change_no_word_and_save_steps(
    context: Context, monkeypatch: pytest.MonkeyPatch, at_once: int, options: WriteOptions
) -> None:
    prompt = context.tokenize(RHYME * 2 + "Row, row, row your", begin=True)

    def write(guesses: bool) -> tuple[list[dict[str, Any]], Figures]:
        context.clear()
        monkeypatch.setattr(Gain, "pays", lambda *_: guesses)
        batching, told = Batching(context, LIMITS), list[dict[str, Any]]()
        for number in range(at_once):
            sampler = Sampler(options, context.grammar)
            batching.add(Job(number, prompt, 8 + number, sampler, Text(options.stop), told.append))
        while batching.busy:
            batching.step()
        return sorted(said_by_each(told), key=itemgetter("id")), batching.figures

    (with_them, figures), (without, plain) = write(guesses=True), write(guesses=False)

    assert with_them == without
    assert figures.right <= figures.guessed
    assert figures.steps < plain.steps, "some guesses were right"
    assert plain.guessed == 0


def said_by_each(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how each job ended, and all that was written."""
    pieces: dict[int, str] = {}
    for reply in told:
        pieces[reply["id"]] = pieces.get(reply["id"], "") + reply.get("piece", "")
    ended = [reply for reply in told if "usage" in reply]
    for reply in ended:
        del reply["usage"]["cached"]  # what one has read for another is a matter of who is faster
    return [{**reply, "text": pieces[reply["id"]]} for reply in ended]


def test_a_step_that_llama_refuses_fails_those_in_it_and_no_others(context: Context) -> None:
    context.clear()
    batching = Batching(context, LIMITS)
    replies: list[dict[str, Any]] = []
    sampler = Sampler(WriteOptions(), context.grammar)
    batching.add(Job(1, [10**6], 3, sampler, Text(), replies.append))  # there is no such token
    while batching.busy:
        batching.step()

    assert replies[-1]["error"] == "failed"
    assert answer(context, batching, 2)["usage"]["completion"] == 3
