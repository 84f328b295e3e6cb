"""The parent's side of the model: starts the worker, speaks to it, replaces it when it dies.

llama.cpp's threads spin while they wait for each other, so it never shares a process with
torch; a crash in it costs one answer's fluency and nothing else.
"""

import hashlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from answer.errors import ModelBusy, ModelFailed, ModelUnavailable, QuestionTooLong
from answer.model import Message, Piece
from answer.types import ModelCard, Usage

CLOSED: dict[str, Any] = {"closed": True}


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """How the model is run and how long anyone waits for it.

    `threads`, `n_ubatch`, `flash_attn` and `kv_type` ("f16" or "q8_0") are llama.cpp's own.
    """

    context_tokens: int = 4096
    threads: int = 2
    n_ubatch: int = 512
    flash_attn: bool = True
    kv_type: str = "f16"
    start_s: float = 120.0
    queue_s: float = 20.0
    piece_s: float = 30.0


class LlamaProcess:
    """A GGUF model in a worker process; questions take turns, in order."""

    def __init__(
        self, path: Path, limits: EngineLimits | None = None, *, card: ModelCard | None = None
    ) -> None:
        """`card` names the model that `path` was made from, if that is another file."""
        self._path = path
        self._limits = limits or EngineLimits()
        self._card = card
        self._turn = threading.Lock()
        self._state = threading.Lock()
        self._worker: _Worker | None = None
        self._closed = False
        self._last_id = 0

    def start(self) -> None:
        """Load the model and return when it is ready; ModelUnavailable says why it is not."""
        with self._turn:
            self._ready_worker()

    @property
    def ready(self) -> bool:
        """Whether a prompt would be taken now."""
        worker = self._worker
        return worker is not None and worker.alive

    @property
    def pid(self) -> int | None:
        """The worker's process id, or None while there is no worker."""
        worker = self._worker
        return worker.process.pid if worker else None

    @cached_property
    def card(self) -> ModelCard:
        """The model's name, as its file is called, and the file's SHA-256."""
        if self._card:
            return self._card
        try:
            with self._path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as problem:
            raise ModelFailed(f"The model's file is gone: {problem.strerror}.") from problem
        return ModelCard(self._path.stem, digest)

    def write(self, messages: list[Message], *, max_tokens: int) -> Iterator[Piece]:
        """Yield text as it is written, then the usage.

        Closing the iterator stops the worker's writing. Raises ModelBusy after `queue_s`,
        ModelFailed when the worker dies or hangs (it is then replaced), and
        QuestionTooLong.
        """
        if not self._turn.acquire(timeout=self._limits.queue_s):
            raise ModelBusy(f"The model was busy for {self._limits.queue_s:.0f} s.")
        try:
            worker = self._ready_worker()
            self._last_id += 1
            request = {
                "id": self._last_id,
                "messages": [{"role": m.role, "content": m.content} for m in messages],
                "max_tokens": max_tokens,
            }
            yield from self._converse(worker, request)
        finally:
            self._turn.release()

    def close(self) -> None:
        """End the worker for good; a prompt being written fails."""
        with self._state:
            self._closed = True
            worker, self._worker = self._worker, None
        if worker:
            worker.end()

    def _converse(self, worker: "_Worker", request: dict[str, Any]) -> Iterator[Piece]:
        worker.send(request)
        done = False
        try:
            while not done:
                reply = worker.receive(self._limits.piece_s)
                if reply.get("id") != request["id"]:
                    if reply is CLOSED:
                        done = True
                        self._replace(worker)
                        raise ModelFailed("The model's process died. It is being started again.")
                    continue  # the tail of an answer nobody waits for any more
                done = "usage" in reply or "error" in reply
                yield _piece(reply)
        except TimeoutError:
            done = True
            self._replace(worker)
            raise ModelFailed("The model hung. It is being started again.") from None
        finally:
            if not done:
                worker.send({"cancel": request["id"]})

    def _ready_worker(self) -> "_Worker":
        """Return the worker, started if there is none; the caller holds the turn."""
        with self._state:
            if self._closed:
                raise ModelFailed("The service is stopping.")
            if self._worker is None or not self._worker.alive:
                self._worker = _Worker(self._path, self._limits)
            worker = self._worker
        try:
            worker.wait_ready(self._limits.start_s)
        except ModelUnavailable:
            self._forget(worker)
            raise
        return worker

    def _replace(self, worker: "_Worker") -> None:
        """End a worker that failed and start another, without making the reader wait."""
        self._forget(worker)
        threading.Thread(target=self._restart, daemon=True).start()

    def _restart(self) -> None:
        try:
            self.start()
        except (ModelUnavailable, ModelFailed):
            return  # the next question tries again, and says so if it fails

    def _forget(self, worker: "_Worker") -> None:
        with self._state:
            if self._worker is worker:
                self._worker = None
        worker.end()


class _Worker:
    """One child process and the thread that reads what it says."""

    def __init__(self, path: Path, limits: EngineLimits) -> None:
        self._path = path
        self._replies: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._ready = False
        self._sending = threading.Lock()
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            # Threads that wait for work sleep instead of spinning, which leaves the cores
            # to whoever has something to do.
            "OMP_WAIT_POLICY": "PASSIVE",
        }
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-P",  # the current folder may hold anybody's queue.py
                "-m",
                "answer.engine.worker",
                str(path),
                str(limits.context_tokens),
                str(limits.threads),
                str(limits.n_ubatch),
                str(int(limits.flash_attn)),
                limits.kv_type,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
            # Ctrl-C is for the service, which then ends the worker itself.
            start_new_session=True,
        )
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("the worker was started without pipes")
        self._stdin, self._stdout = self.process.stdin, self.process.stdout
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def wait_ready(self, wait_s: float) -> None:
        """Return when the model is loaded; ModelUnavailable says why it cannot be."""
        if self._ready:
            return
        try:
            reply = self.receive(wait_s)
        except TimeoutError:
            reply = {"unusable": f"loading it took longer than {wait_s:.0f} s."}
        if "ready" not in reply:
            why = reply.get("unusable", "the process that loads it died.")
            raise ModelUnavailable(f"The model {self._path.name} cannot be used: {why}")
        self._ready = True

    def send(self, request: dict[str, Any]) -> None:
        """Hand the worker a line; one that is dead shows when its reply is awaited."""
        with self._sending, suppress(BrokenPipeError, ValueError):
            self._stdin.write(json.dumps(request) + "\n")
            self._stdin.flush()

    def receive(self, wait_s: float) -> dict[str, Any]:
        """Return the next reply, CLOSED when there will be none; TimeoutError."""
        try:
            return self._replies.get(timeout=wait_s)
        except queue.Empty:
            raise TimeoutError from None

    def end(self) -> None:
        """Kill the process and wait until it is gone."""
        self.process.kill()
        self.process.wait()
        with self._sending, suppress(BrokenPipeError):
            self._stdin.close()

    def _read(self) -> None:
        try:
            with self._stdout as lines:
                for line in lines:
                    self._replies.put(json.loads(line))
        except ValueError:
            self.process.kill()  # what does not speak the protocol is not our worker any more
        finally:
            self._replies.put(CLOSED)


def _piece(reply: dict[str, Any]) -> Piece:
    if "error" in reply:
        raise (QuestionTooLong if reply["error"] == "too_long" else ModelFailed)(reply["detail"])
    if "usage" in reply:
        usage = reply["usage"]
        return Usage(
            usage["prompt"], usage["cached"], usage["completion"], cut_short=usage["cut_short"]
        )
    return str(reply["piece"])
