"""One worker process as its parent sees it: what it is asked, what it says, whether it lives."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from answer.engine.figures import Figures, Speed
from answer.engine.limits import EngineLimits
from answer.errors import ModelUnavailable

Reply = dict[str, Any]
LAST = frozenset({"usage", "error", "gone"})
"""What a reply holds that is the last of its request."""
LOOK_S = 0.25
WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}
"""How the threads of one step wait for each other: they spin for some microseconds, since most are
that close, and then sleep, which leaves the cores to whoever has something to do. See
docs/engine.md."""


@dataclass(slots=True, eq=False)
class Call:
    """A request under way; `replies` ends with one that holds any of LAST."""

    number: int
    asked: float = field(default_factory=time.monotonic)
    started: float | None = None
    replies: "queue.SimpleQueue[Reply]" = field(default_factory=queue.SimpleQueue)

    def receive(self, wait_s: float | None = None) -> Reply:
        """Return the next reply; TimeoutError."""
        try:
            return self.replies.get(timeout=wait_s)
        except queue.Empty:
            raise TimeoutError from None


class Worker:
    """A child process, a thread that reads what it says, and one that watches over it."""

    def __init__(
        self, path: Path, limits: EngineLimits, on_death: "Callable[[Worker], None]"
    ) -> None:
        """`on_death` is called once, from a thread, when the process is gone."""
        self._path = path
        self._limits = limits
        self._on_death = on_death
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._calls: dict[int, Call] = {}
        self.opened = False
        """Whether what all prompts begin with was sent for reading."""
        self._busy = threading.Event()
        self._greeted = threading.Event()
        self._greeting: Reply = {}
        self._heard = self._moved = time.monotonic()
        self._why = "The model's process died. It is being started again."
        self.figures = Figures()
        self.speed = Speed()
        self.began = time.monotonic()
        self.process = self._start()
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("the worker was started without pipes")
        self._stdin, self._stdout = self.process.stdin, self.process.stdout
        for loop in (self._read, self._watch):
            threading.Thread(target=loop, daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    @property
    def calls(self) -> list[Call]:
        """The requests under way, in order."""
        with self._lock:
            return list(self._calls.values())

    def wait_ready(self, wait_s: float) -> bool:
        """Return whether the model was loaded in time; ModelUnavailable says why it cannot be."""
        if not self._greeted.wait(wait_s):
            return False
        if not self.was_ready:
            why = self._greeting.get("unusable", "the process that loads it died.")
            raise ModelUnavailable(f"The model {self._path.name} cannot be used: {why}")
        return True

    @property
    def was_ready(self) -> bool:
        """Whether the model was loaded."""
        return "ready" in self._greeting

    @property
    def parameters(self) -> int | None:
        """How many the model has; None until it is loaded."""
        found = self._greeting.get("ready", {}).get("parameters")
        return None if found is None else int(found)

    @property
    def gpu_layers(self) -> int | None:
        """How many layers a GPU has; None if this build uses none, or until the model is loaded."""
        found = self._greeting.get("ready", {}).get("gpu_layers")
        return None if found is None else int(found)

    def call(self, call: Call, request: Reply, *, most: int) -> bool:
        """Send a request and return True, unless `most` are under way; its replies say the rest.

        The opening of prompts, which nobody waits for, has the number 0 and takes no place.
        """
        with self._lock:
            if sum(number > 0 for number in self._calls) >= most:
                return False
            if not self._calls:
                self._heard = self._moved = time.monotonic()
            self._calls[call.number] = call
            self._busy.set()
        self._send({"id": call.number, **request})
        if not self.alive:
            self._fail_all()
        return True

    def cancel(self, call: Call) -> None:
        """Have a request stopped, unless it is over."""
        with self._lock:
            going = call.number in self._calls
        if going:
            self._send({"cancel": call.number})

    def end(self, why: str) -> None:
        """Kill the process and wait until it is gone; requests under way fail, and say why."""
        self._why = why
        self.process.kill()
        self.process.wait()

    def _start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [
                sys.executable,
                "-P",  # the current folder may hold anybody's queue.py
                *("-m", "answer.engine.worker"),
                *(str(self._path), json.dumps(asdict(self._limits))),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(Path(__file__).parents[2]),
                **WAITING,
                # Else ggml starts a debugger before it aborts, which takes seconds.
                "GGML_NO_BACKTRACE": "1",
            },
            # Ctrl-C is for the service, which then ends the worker itself.
            start_new_session=True,
        )

    def _send(self, request: Reply) -> None:
        # One that is dead shows when the replies end.
        with self._sending, suppress(BrokenPipeError, ValueError):
            self._stdin.write(json.dumps(request) + "\n")
            self._stdin.flush()

    def _read(self) -> None:
        try:
            with self._stdout as lines:
                for line in lines:
                    self._hear(json.loads(line))
        except (ValueError, AttributeError, TypeError):
            pass  # what does not speak the protocol is not our worker any more
        finally:
            self.process.kill()
            self.process.wait()
            with self._sending, suppress(BrokenPipeError):
                self._stdin.close()
            self._greeted.set()
            self._busy.set()
            self._fail_all()
            self._on_death(self)

    def _hear(self, reply: Reply) -> None:
        self._heard = time.monotonic()
        if "figures" in reply:
            figures = Figures(**reply["figures"])
            if figures.steps != self.figures.steps:
                self._moved = self._heard
            self.figures = figures
            self.speed.note(self._heard, figures)
        elif "id" in reply:
            self._dispatch(reply)
        else:
            self._greeting = reply
            self._greeted.set()

    def _dispatch(self, reply: Reply) -> None:
        with self._lock:
            call = self._calls.get(reply["id"])
            if call is None:
                return
            if "started" in reply:
                call.started = self._heard
            elif reply.keys() & LAST:
                del self._calls[call.number]
                if not self._calls:
                    self._busy.clear()
        call.replies.put(reply)

    def _fail_all(self) -> None:
        with self._lock:
            calls, self._calls = list(self._calls.values()), {}
        for call in calls:
            call.replies.put({"error": "failed", "detail": self._why})

    def _watch(self) -> None:
        """Kill the process when it gives no sign of life, or gets nowhere, while there is work.

        It must be seen twice: when the service itself was stopped for a while (Ctrl-Z, a paused
        container), what the process said meanwhile is still to be read.
        """
        seen = 0
        while self.alive:
            self._busy.wait()
            time.sleep(LOOK_S)
            with self._lock:
                now, busy = time.monotonic(), bool(self._calls)
                silent = now - self._heard > self._limits.silence_s
                stuck = now - self._moved > self._limits.step_s
            hung = busy and self._greeted.is_set() and (silent or stuck)
            seen = seen + 1 if hung else 0
            if seen == 2:
                self._why = "The model hung. It is being started again."
                self.process.kill()
                return
