"""Ask the engine without end, hang up often, kill its worker at times, and see what becomes of it.

    python -m scripts.soak_engine [--minutes 60] [--readers 8] [--kill-minutes 5] [--plot FILE]

Readers ask typical prompts, some of them known and some new, one after the other. Three in ten hang
up: at once, while they wait, or in the middle of the answer. Every so often the worker is killed as
a crash would. A request is lost if it ends neither with its answer, nor by hanging up, nor with an
error that says what happened, or if nothing is heard of it for STUCK_S: how long a whole answer
takes is a matter of the machine. Memory is that of the worker and of this process. Prints one JSON
line; --plot draws memory and answers over time.
"""

import argparse
import json
import os
import random
import signal
import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from answer.engine import EngineLimits, LlamaProcess
from answer.engine.trial import prompts
from answer.errors import ModelBusy, ModelFailed
from answer.model import Message, find_model
from answer.prompt import Form, opening
from answer.types import Usage

HANG_UP = 0.3
KNOWN = 0.5
MAX_TOKENS = 96
STUCK_S = 60.0
LOOK_S = 5.0
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Seen:
    """What became of the requests, and what was measured over time."""

    ends: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0
    silent_s: float = 0.0
    back_s: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    worker_mib: list[float] = field(default_factory=list)
    service_mib: list[float] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ended(self, how: str, heard: Sequence[float]) -> None:
        """Count how a request ended; `heard` is when it began, and each time something came."""
        times = [*heard, time.monotonic()]
        silent = max(b - a for a, b in pairwise(times))
        with self.lock:
            self.ends["lost" if silent > STUCK_S else how] += 1
            self.longest_s = max(self.longest_s, times[-1] - times[0])
            self.silent_s = max(self.silent_s, silent)


def main() -> None:
    """Soak, print, and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--readers", type=int, default=8)
    parser.add_argument("--kill-minutes", type=float, default=5)
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    seen, over = Seen(), threading.Event()
    limits = EngineLimits(threads=min(os.cpu_count() or 2, 8))
    began = time.monotonic()
    with closing(
        LlamaProcess(find_model(None), limits, lambda count: opening(Form.of(count)))
    ) as model:
        model.start()
        readers = [
            threading.Thread(target=_read, args=(model, seen, over, number))
            for number in range(given.readers)
        ]
        for reader in readers:
            reader.start()
        _watch(model, seen, began, given)
        over.set()
        for reader in readers:
            reader.join(STUCK_S)
        seen.ends["lost"] += sum(reader.is_alive() for reader in readers)
        figures = _figures(model, seen, given.minutes)
    print(json.dumps({"soak": "engine", "readers": given.readers, **figures}))
    if given.plot:
        _draw(seen, given.plot)


def _read(model: LlamaProcess, seen: Seen, over: threading.Event, number: int) -> None:
    """Ask until it is over."""
    rng, typical = random.Random(number), prompts(6)
    while not over.is_set():
        prompt = [*rng.choice(typical)]
        if rng.random() > KNOWN:
            mark = Message("user", f"[0] {rng.random()}\n{prompt[-1].content}")
            prompt = [*prompt[:-1], mark]
        leaves_after = rng.uniform(0, 2.0) if rng.random() < HANG_UP else None
        heard = [time.monotonic()]
        try:
            seen.ended(_ask(model, prompt, leaves_after, heard), heard)
        except ModelBusy:
            seen.ended("busy", heard)
        except ModelFailed:
            seen.ended("told of a failure", heard)
        except Exception as problem:  # whatever it is, it is what we look for
            seen.ended(f"lost: {type(problem).__name__}", heard)


def _ask(
    model: LlamaProcess, prompt: list[Message], leaves_after: float | None, heard: list[float]
) -> str:
    pieces = model.write(prompt, max_tokens=MAX_TOKENS)
    with closing(pieces):  # type: ignore[type-var]  # it is a generator
        for piece in pieces:
            heard.append(time.monotonic())
            if isinstance(piece, Usage):
                return "answered"
            if leaves_after is not None and heard[-1] - heard[0] > leaves_after:
                return "hung up"
    return "lost"


def _watch(model: LlamaProcess, seen: Seen, began: float, given: argparse.Namespace) -> None:
    """Look at the memory, and kill the worker when it is time."""
    next_kill = given.kill_minutes * 60
    while (now := time.monotonic() - began) < given.minutes * 60:
        if now > next_kill and (pid := model.pid):
            next_kill += given.kill_minutes * 60
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            while not (model.ready and model.pid != pid):
                time.sleep(0.05)
            seen.back_s.append(time.monotonic() - killed)
        if pid := model.pid:
            seen.times.append(now / 60)
            seen.worker_mib.append(_mib(pid))
            seen.service_mib.append(_mib(os.getpid()))
            seen.answered.append(seen.ends["answered"])
        time.sleep(LOOK_S)


def _mib(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return round(pages * PAGE / 2**20, 1)


def _figures(model: LlamaProcess, seen: Seen, minutes: float) -> dict[str, object]:
    third = max(1, len(seen.times) // 3)
    memory = {
        name: {
            "first_third": round(statistics.median(values[:third])),
            "last_third": round(statistics.median(values[-third:])),
            "most": round(max(values)),
        }
        for name, values in (("worker", seen.worker_mib), ("service", seen.service_mib))
    }
    return {
        "minutes": minutes,
        "ends": dict(seen.ends),
        "longest_s": round(seen.longest_s, 1),
        "longest_silence_s": round(seen.silent_s, 1),
        "kills": len(seen.back_s),
        "back_s": [round(s, 1) for s in seen.back_s],
        "tokens_written": model.figures.written,
        "memory_mib": memory,
    }


def _draw(seen: Seen, file: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "footnote"
    from matplotlib import pyplot

    figure, (memory, answers) = pyplot.subplots(2, 1, figsize=(7, 4.6), sharex=True)
    memory.plot(seen.times, seen.worker_mib, label="worker")
    memory.plot(seen.times, seen.service_mib, label="service")
    memory.set_ylabel("MiB")
    memory.set_ylim(bottom=0)
    memory.legend(frameon=False)
    answers.plot(seen.times, seen.answered)
    answers.set_ylabel("answers")
    answers.set_xlabel("minutes")
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    main()
