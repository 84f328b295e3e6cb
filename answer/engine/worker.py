"""The child that owns llama.cpp: JSON lines in and out, many requests at once.

In:   {"id": 1, "messages": [{"role", "content"}, …], "max_tokens": 64, "options": {…}}
      {"id": 2, "messages": […], "text": "a text to score"} · {"cancel": 1}
Out:  {"ready": {"parameters", "gpu_layers"}} or {"unusable": "why"}, once
      {"id": 1, "started": true}, {"id": 1, "piece": "text"} …, and last one of
      {"id": 1, "usage": {…}, "score": -1.2, "scored": 3} · {"id": 1, "gone": true} ·
      {"id": 1, "error": "too_long" | "failed", "detail": "…"}
      {"figures": {…}} twice a second while there is work, as a sign of life, and at its end
"""

import contextlib
import json
import os
import queue
import sys
import threading
import time
from dataclasses import asdict
from functools import partial
from typing import Any

from answer.engine.batching import Batching
from answer.engine.context import Context, Unusable
from answer.engine.jobs import Job
from answer.engine.limits import EngineLimits
from answer.engine.offload import uses_gpus
from answer.engine.options import WriteOptions
from answer.engine.sampling import GrammarInvalid, Sampler
from answer.engine.template import Template
from answer.engine.text import Text

Message = dict[str, Any]
SIGN_S = 0.5


class Outbox:
    """Lines to the parent, from any thread."""

    def __init__(self) -> None:
        # llama.cpp and its binding print at times, also from C: that must not reach the parent.
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def send(self, reply: Message) -> None:
        """Write one line."""
        self.add(reply)
        self.flush()

    def add(self, reply: Message) -> None:
        """Write one line that may wait for the end of the step: each that is sent wakes the parent,
        which then wants a core that the next step has."""
        line = json.dumps(reply) + "\n"
        with self._lock:
            self._out.write(line)

    def flush(self) -> None:
        """Send what was added."""
        with self._lock:
            self._out.flush()


class Desk:
    """Turns requests into jobs. What cannot be done is refused before it is queued."""

    def __init__(self, context: Context, limits: EngineLimits, outbox: Outbox) -> None:
        self._context = context
        self._limits = limits
        self._template = Template(context)
        self._outbox = outbox

    def job(self, request: Message) -> Job | None:
        """Return the job of a request; None if it was refused."""
        try:
            return self._job(request)
        except GrammarInvalid as problem:
            self._refuse(request, "failed", str(problem))
        except Exception as problem:  # the next request must not suffer from this one
            self._refuse(request, "failed", f"{type(problem).__name__}: {problem}"[:300])
        return None

    def _job(self, request: Message) -> Job | None:
        prompt = self._template.prompt(request["messages"])
        scored = self._context.tokenize(request["text"]) if "text" in request else []
        most, room = request.get("max_tokens", 0), self._limits.context_tokens
        if len(prompt) + len(scored) + most > room:
            detail = f"The prompt has {len(prompt) + len(scored)} tokens of {room}"
            self._refuse(request, "too_long", f"{detail}, and {most} are for the answer.")
            return None
        options = WriteOptions(**request.get("options", {}))
        return Job(
            number=request["id"],
            prompt=[*prompt, *scored],
            max_tokens=most,
            sampler=Sampler(options, self._context.grammar),
            text=Text(options.stop),
            send=self._outbox.add,
            logprobs=options.logprobs,
            scored=len(scored),
        )

    def _refuse(self, request: Message, error: str, detail: str) -> None:
        self._outbox.send({"id": request["id"], "error": error, "detail": detail})


def serve(path: str, limits: EngineLimits) -> None:
    """Load a model and answer requests until standard input closes."""
    outbox = Outbox()
    try:
        context = Context(path, limits)
        desk = Desk(context, limits, outbox)
    except Unusable as problem:
        outbox.send({"unusable": str(problem)})
        return
    batching = Batching(context, limits)
    arrived: queue.SimpleQueue[Job | int] = queue.SimpleQueue()
    working = threading.Event()
    for loop in (partial(_listen, desk, arrived), partial(_live, batching, working, outbox)):
        threading.Thread(target=loop, daemon=True).start()
    layers = context.gpu_layers if uses_gpus() else None
    outbox.send({"ready": {"parameters": context.parameters, "gpu_layers": layers}})
    while True:
        _take_in(batching, arrived)
        working.set()
        while batching.busy:
            try:
                batching.step()
            except Exception as problem:  # those who come next must not suffer from these
                batching.fail(f"{type(problem).__name__}: {problem}"[:300])
            while not arrived.empty():
                _take_in(batching, arrived)
            outbox.flush()
        working.clear()
        outbox.send({"figures": asdict(batching.figures)})


def _take_in(batching: Batching, arrived: "queue.SimpleQueue[Job | int]") -> None:
    """Wait for a job, or for the number of one that is cancelled."""
    match arrived.get():
        case int(number):
            batching.cancel(number)
        case job:
            batching.add(job)


def _listen(desk: Desk, arrived: "queue.SimpleQueue[Job | int]") -> None:
    """Read requests, so that a cancel is heard while the model works."""
    for line in sys.stdin:
        request = json.loads(line)
        if "cancel" in request:
            arrived.put(request["cancel"])
        elif job := desk.job(request):
            arrived.put(job)
    # The parent has gone, even if it was killed: nothing may be left running.
    os._exit(0)


def _live(batching: Batching, working: threading.Event, outbox: Outbox) -> None:
    """Give signs of life while there is work, and none while there is not."""
    while True:
        working.wait()
        outbox.send({"figures": asdict(batching.figures)})
        time.sleep(SIGN_S)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        serve(sys.argv[1], EngineLimits(**json.loads(sys.argv[2])))
