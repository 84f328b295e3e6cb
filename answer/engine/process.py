"""The parent's side of the model: many callers, one worker, replaced when it dies or hangs.

llama.cpp's threads wait for each other at every operation, so it never shares a process with
torch; a crash in it costs one answer's fluency and nothing else.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from answer.engine.child import LAST, Call, Reply, Worker
from answer.engine.figures import Figures
from answer.engine.limits import EngineLimits
from answer.engine.options import Score, WriteOptions
from answer.errors import ModelBusy, ModelFailed, ModelUnavailable, QuestionTooLong
from answer.model import Message, Piece
from answer.types import ModelCard, Usage, Waiting

CRASH_LOOP_S = 10.0
CRASH_PAUSE_S = 2.0
GRACE_S = 1.0
TELL_S = 1.0
"""Between two looks at the place in the queue."""
LIKELY_S = 2.0
"""How long an answer takes before any was timed."""


@dataclass(frozen=True, slots=True)
class Queue:
    """How many are waiting and being written for, and how long one more would likely wait."""

    waiting: int
    writing: int
    wait_s: float


@dataclass(slots=True)
class Waits:
    """How many requests were let in after how long altogether, and how many were not let in."""

    count: int = 0
    total_s: float = 0.0
    refused: int = 0


class LlamaProcess:
    """A GGUF model in a worker process that writes for many at once."""

    def __init__(
        self,
        path: Path,
        limits: EngineLimits | None = None,
        opening: Callable[[int | None], Sequence[Message]] | None = None,
        *,
        card: ModelCard | None = None,
    ) -> None:
        """`opening` returns what prompts for a model of so many parameters begin with; it is read
        as soon as the model is loaded. `card` names the model that `path` was made from, if that
        is another file."""
        self._path = path
        self._card = card
        self._limits = limits or EngineLimits()
        self._opening = opening
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._closed = False
        self._numbers = count(1)
        self._answer_s = LIKELY_S
        self._parameters: int | None = None
        self._before = Figures()
        self._retired: Worker | None = None
        self.restarts = 0
        """How often the worker was lost and started again."""
        self.waits = Waits()

    def start(self) -> None:
        """Load the model and return when it is ready; ModelUnavailable says why it is not."""
        worker = self._a_worker()
        if not self._is_ready(worker, self._limits.start_s):
            self._forget(worker)
            raise ModelUnavailable(
                f"The model {self._path.name} cannot be used: loading it took longer than"
                f" {self._limits.start_s:.0f} s. Set FOOTNOTE_MODEL to a smaller one."
            )

    @property
    def ready(self) -> bool:
        """Whether a prompt would be taken now."""
        worker = self._worker
        return worker is not None and worker.alive and worker.was_ready

    @property
    def parameters(self) -> int | None:
        """How many the model has; None until it was loaded once."""
        return self._parameters

    @property
    def gpu_layers(self) -> int | None:
        """How many layers of the model a GPU has; None if this build of llama.cpp uses none."""
        worker = self._worker
        return worker.gpu_layers if worker else None

    @property
    def pid(self) -> int | None:
        """The worker's process id, or None while there is no worker."""
        worker = self._worker
        return worker.process.pid if worker else None

    @property
    def queue(self) -> Queue:
        """Who waits, and for how long one more would."""
        calls = [call for worker in self._workers for call in worker.calls]
        waiting = sum(call.started is None for call in calls)
        behind = max(0, len(calls) + 1 - self._limits.sequences)
        wait_s = behind * self._answer_s / self._limits.sequences
        return Queue(waiting, len(calls) - waiting, wait_s)

    @property
    def figures(self) -> Figures:
        """What was done, also by workers that were lost."""
        with self._lock:
            return sum((worker.figures for worker in self._workers), self._before)

    @property
    def speed(self) -> tuple[float, float]:
        """Tokens read and tokens written a second of work, over the last minute."""
        worker = self._worker
        return worker.speed.rates(time.monotonic()) if worker else (0.0, 0.0)

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

    def write(
        self, messages: list[Message], *, max_tokens: int, options: WriteOptions | None = None
    ) -> Iterator[Piece]:
        """Yield text as it is written, then the usage; before, every second, the place in the
        queue.

        Closing the iterator stops the writing. Raises ModelBusy at once if the queue is full or
        else after `queue_s`, QuestionTooLong, and ModelFailed when the worker dies or hangs (it
        is then replaced) or cannot read the options' grammar.
        """
        if max_tokens < 1:
            raise ValueError("an answer has at least one token")
        request = {"max_tokens": max_tokens, "options": asdict(options or WriteOptions())}
        with closing(self._ask(messages, request)) as replies:
            for reply in replies:
                if "waiting" in reply:
                    yield reply["waiting"]
                else:
                    yield _usage(reply["usage"]) if "usage" in reply else str(reply["piece"])

    def score(self, messages: list[Message], text: str) -> Score:
        """Return how likely a text is as the answer to messages; raises what `write` does."""
        if not text:
            raise ValueError("there is no text to score")
        *_, last = self._ask(messages, {"text": text})
        return Score(last["score"], last["scored"])

    def change(self, path: Path, limits: EngineLimits) -> None:
        """Run from the next prompt on with other weights of the same model, or in another way;
        what is being written is written to its end. ModelUnavailable, and nothing changed, if
        they cannot be used.
        """
        worker = Worker(path, limits, self._lost)
        try:
            if not worker.wait_ready(limits.start_s):
                raise ModelUnavailable(f"Loading {path.name} took too long.")
            self._card = self.card  # of the file the operator chose
            with self._lock:
                if self._closed or not worker.alive:
                    raise ModelUnavailable(f"{path.name} was loaded and did not stay.")
                self._retire()
                self._retired, self._worker = self._worker, worker
                self._path, self._limits = path, limits
        except BaseException:
            worker.end("The service is stopping.")
            raise
        if not worker.alive:  # and said so before it was ours
            self._lost(worker)
        self._read_opening(worker)
        time.sleep(GRACE_S)  # for who has taken the old worker and not called it yet
        while (retired := self._retired) and retired.calls:
            time.sleep(0.1)
        with self._lock:
            self._retire()

    def close(self) -> None:
        """End the worker for good; what is being written fails."""
        with self._lock:
            self._closed = True
            worker, self._worker = self._worker, None
            self._retire()
        if worker:
            worker.end("The service is stopping.")

    @property
    def _workers(self) -> list[Worker]:
        return [worker for worker in (self._retired, self._worker) if worker]

    def _retire(self) -> None:
        """End the worker that was replaced on purpose."""
        if self._retired:
            self._retired.end("The model was changed.")
            self._before += self._retired.figures
            self._retired = None

    def _ask(
        self, messages: list[Message], request: dict[str, Any]
    ) -> Generator[Reply, None, None]:
        """Yield the replies to a request, and let go of it at the end, whatever that is."""
        call = Call(next(self._numbers))
        turns = [{"role": message.role, "content": message.content} for message in messages]
        worker = self._a_worker()
        if not self._is_ready(worker, min(self._limits.queue_s, self._limits.start_s)):
            if time.monotonic() - worker.began > self._limits.start_s:
                self._forget(worker)  # the next question starts another
            raise self._busy("The model is still being loaded.")
        most = self._limits.sequences + self._limits.queue
        if not worker.call(call, {"messages": turns, **request}, most=most):
            raise self._busy("As many as may wait for the model do already.")
        try:
            yield from self._replies(call, worker)
        finally:
            worker.cancel(call)

    def _replies(self, call: Call, worker: Worker) -> Iterator[Reply]:
        reply: Reply = {}
        while not reply.keys() & LAST:
            left_s = self._limits.queue_s - (time.monotonic() - call.asked)
            try:
                reply = call.receive(None if call.started else max(0.0, min(left_s, TELL_S)))
            except TimeoutError:
                if left_s <= TELL_S:
                    detail = f"The model was busy for {self._limits.queue_s:.0f} s."
                    raise self._busy(detail) from None
                yield {"waiting": self._place(call, worker)}
                continue
            if "started" in reply:
                self._let_in(call)
            elif "error" in reply:
                kind = QuestionTooLong if reply["error"] == "too_long" else ModelFailed
                raise kind(reply["detail"])
            elif "gone" not in reply:
                yield reply
        if call.started:
            self._answer_s += 0.1 * (time.monotonic() - call.started - self._answer_s)

    def _place(self, call: Call, worker: Worker) -> Waiting:
        waiting = [other.number for other in worker.calls if other.started is None]
        before = sum(number < call.number for number in waiting)
        return Waiting(before + 1, (before + 1) * self._answer_s / self._limits.sequences)

    def _let_in(self, call: Call) -> None:
        with self._lock:
            self.waits.count += 1
            self.waits.total_s += (call.started or call.asked) - call.asked

    def _busy(self, detail: str) -> ModelBusy:
        with self._lock:
            self.waits.refused += 1
        return ModelBusy(detail, retry_s=max(1.0, self.queue.wait_s))

    def _a_worker(self) -> Worker:
        """Return the worker, started if there is none."""
        with self._lock:
            if self._closed:
                raise ModelFailed("The service is stopping.")
            if self._worker is None:
                try:
                    self._worker = Worker(self._path, self._limits, self._lost)
                except OSError as problem:
                    why = f"The model's process cannot be started: {problem.strerror}."
                    raise ModelFailed(why) from problem
            return self._worker

    def _read_opening(self, worker: Worker) -> None:
        """Have what all prompts begin with read, once; nobody needs the reply."""
        with self._lock:
            opened, worker.opened = worker.opened, True
        if self._opening and not opened:
            messages = self._opening(worker.parameters)
            turns = [{"role": message.role, "content": message.content} for message in messages]
            worker.call(Call(0), {"messages": turns}, most=1)

    def _is_ready(self, worker: Worker, wait_s: float) -> bool:
        try:
            ready = worker.wait_ready(wait_s)
        except ModelUnavailable:
            self._forget(worker)
            raise
        if ready:
            self._parameters = worker.parameters
            self._read_opening(worker)
        return ready

    def _lost(self, worker: Worker) -> None:
        """Start another worker for one that is gone, without anybody having to wait for it."""
        with self._lock:
            if self._worker is not worker:
                return
            self._worker = None
            self._before += worker.figures
            if not worker.was_ready:
                return
            self.restarts += 1
        if time.monotonic() - worker.began < CRASH_LOOP_S:
            time.sleep(CRASH_PAUSE_S)  # whatever kills it at once must not keep the machine busy
        try:
            self.start()
        except (ModelUnavailable, ModelFailed):
            return  # the next question tries again, and says so if it fails

    def _forget(self, worker: Worker) -> None:
        with self._lock:
            if self._worker is worker:
                self._worker = None
        worker.end("The model cannot be used.")


def _usage(usage: dict[str, Any]) -> Usage:
    return Usage(
        usage["prompt"],
        usage["cached"],
        usage["completion"],
        cut_short=usage["cut_short"],
        logprobs=tuple(usage["logprobs"]),
    )
