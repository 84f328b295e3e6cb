"""What `bench_engine` compares: our engine, `llama_cpp.Llama` behind a lock, llama.cpp's server."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from answer.engine import EngineLimits, LlamaProcess
from answer.errors import ModelFailed
from answer.model import Message, Piece
from answer.prompt import Form, opening
from answer.remote import RemoteModel, Server
from answer.types import Usage
from answer.writing import MAX_TOKENS

Prompt = list[Message]
WARM_UP = [Message("user", "Warm up.")]
AS_STARTED = {**os.environ}
"""The environment of the others: before ours says, for our processes, how threads wait."""
SLOTS = 16
SLOT_TOKENS = 1024
"""What llama.cpp's server has for each of those who ask at once."""


@dataclass(frozen=True, slots=True)
class Told:
    """One answer: what was written, and when."""

    text: str
    tokens: int
    first_s: float
    whole_s: float


Writer = Callable[[Prompt], Told]


@contextmanager
def engine(path: Path, limits: EngineLimits) -> Iterator[Writer]:
    """Our engine, as the service runs it."""
    with closing(LlamaProcess(path, limits, lambda count: opening(Form.of(count)))) as process:
        process.start()

        def write(prompt: Prompt) -> Told:
            return timed(process.write(prompt, max_tokens=MAX_TOKENS))

        write(WARM_UP)
        yield write


@contextmanager
def baseline(path: Path, threads: int) -> Iterator[Writer]:
    """`Llama` with its defaults behind a lock, in a process of its own like ours."""
    command = [sys.executable, "-m", "scripts.llama_baseline", str(path), str(threads)]
    lock = threading.Lock()
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=AS_STARTED,
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the baseline was started without pipes")
        asks, replies = process.stdin, process.stdout

        def pieces(prompt: Prompt) -> Iterator[str | Usage]:
            with lock:
                turns = [{"role": message.role, "content": message.content} for message in prompt]
                asks.write(json.dumps({"messages": turns, "max_tokens": MAX_TOKENS}) + "\n")
                asks.flush()
                while "done" not in (reply := json.loads(replies.readline())):
                    yield reply["piece"]
                yield Usage(completion_tokens=reply["done"])

        def write(prompt: Prompt) -> Told:
            return timed(pieces(prompt))

        write(WARM_UP)
        yield write
        asks.close()


@contextmanager
def server(program: Path, path: Path, threads: int) -> Iterator[Writer]:
    """llama.cpp's own server with continuous batching and a slot for each who asks, else as it
    comes; asked by our client of such servers."""
    port = free_port()
    command = [
        *(str(program), "--model", str(path), "--port", str(port), "--threads", str(threads)),
        *("--parallel", str(SLOTS), "--ctx-size", str(SLOTS * SLOT_TOKENS)),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=AS_STARTED
    ) as process:
        try:
            with closing(RemoteModel(Server(f"http://127.0.0.1:{port}/v1", None, None))) as model:

                def write(prompt: Prompt) -> Told:
                    return timed(model.write(prompt, max_tokens=MAX_TOKENS))

                _retry(write, 120.0)
                yield write
        finally:
            process.terminate()


def timed(pieces: Iterator[Piece]) -> Told:
    """Take an answer in, and the time."""
    began, text, first_s = time.perf_counter(), "", 0.0
    for piece in pieces:
        if isinstance(piece, Usage):
            return Told(text, piece.completion_tokens, first_s, time.perf_counter() - began)
        if isinstance(piece, str):
            first_s = first_s or time.perf_counter() - began
            text += piece
    raise RuntimeError("an answer ends with its usage")


def _retry(write: Writer, most_s: float) -> None:
    """Ask until the server answers."""
    end = time.monotonic() + most_s
    while True:
        try:
            write(WARM_UP)
            return
        except ModelFailed:
            if time.monotonic() > end:
                raise
            time.sleep(1)


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
