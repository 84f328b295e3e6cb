"""How steady the model's speed is beside other work, for several ways to use the threads.

    python -m scripts.bench_threads [--model FILE] [--rounds N] [--spins 0,300,1000]

Each way runs in a process of its own; they take turns, round by round, so that what else runs meets
all. There are one thread, all threads as the engine has them, and all threads with --spins turns of
a loop in which they wait for each other before they sleep. (Threads that only spin are not among
them: they would do so while others are measured.) Each is measured alone, beside one busy loop, and
beside one on every core: tokens a second when writing for one reader (steps of 1 token), for two
and eight, and when reading a prompt (32). The last line is JSON: for each way the speed alone, and
what share of it is left beside the loops.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from answer.engine.child import WAITING
from answer.model import find_model

ROWS = (1, 2, 8, 32)
TOKENS = 24
READ_BEFORE = 200
WAYS: dict[str, tuple[int, dict[str, str]]] = {
    "one thread": (1, WAITING),
    "all threads": (0, WAITING),
}
LOOP = "while True: pass"


def main() -> None:
    """Measure, print a table, and end with one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--spins", default="", help="turns of the loop, with commas between")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)  # a way, in its own process
    given = parser.parse_args()
    path = given.model or find_model(None)
    if given.one is not None:
        serve(path, given.one)
        return
    cores = os.cpu_count() or 2
    spins = [count for count in given.spins.split(",") if count]
    ways = WAYS | {f"{n} turns": (0, WAITING | {"GOMP_SPINCOUNT": n}) for n in spins}
    speeds = measure(path, ways, given.rounds)
    shares = {}
    for (way, rows), found in speeds.items():
        alone = statistics.median(found[0])
        left = {f"{n}_loops": round(statistics.median(found[n]) / alone, 2) for n in (1, cores)}
        shares[f"{way}, {rows} tokens a step"] = {"tokens_per_s": round(alone, 1), **left}
        print(f"{way:34} {rows:3} {alone:7.1f}/s  {left}", file=sys.stderr)
    print(json.dumps({"bench": "threads", "model": path.stem, "cores": cores, "ways": shares}))


def measure(
    path: Path, ways: dict[str, tuple[int, dict[str, str]]], rounds: int
) -> dict[tuple[str, int], dict[int, list[float]]]:
    """Return the speeds of each way and size of step beside each number of busy loops."""
    cores = os.cpu_count() or 2
    speeds: dict[tuple[str, int], dict[int, list[float]]] = {}
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(way(path, threads or cores, waiting))
            for name, (threads, waiting) in ways.items()
        }
        for _ in range(rounds):
            for loops in (0, 1, cores):
                with busy(loops):
                    for name, process in running.items():
                        for rows in ROWS:
                            found = speeds.setdefault((name, rows), {})
                            found.setdefault(loops, []).append(ask(process, rows))
    return speeds


@contextmanager
def way(path: Path, threads: int, waiting: dict[str, str]) -> Iterator[Any]:
    """Run a way to use the threads."""
    with subprocess.Popen(
        [sys.executable, "-m", "scripts.bench_threads", "--model", path, "--one", str(threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **waiting},
    ) as process:
        if process.stdin is None:
            raise RuntimeError("the process was started without pipes")
        ask(process, 8)  # warm
        yield process
        process.stdin.close()


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Run busy loops meanwhile."""
    loops = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(count)]
    time.sleep(0.5)
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def ask(process: Any, rows: int) -> float:
    """Return tokens a second in steps of so many tokens."""
    process.stdin.write(f"{rows}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def serve(path: Path, threads: int) -> None:
    """Measure what standard input asks for."""
    from answer.engine.context import Context, Row
    from answer.engine.limits import EngineLimits

    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    context = Context(str(path), EngineLimits(threads=threads, threads_alone=threads))
    tokens = context.tokenize(Path(__file__).read_text("utf-8"))
    context.decode([Row(token, at, 0, False) for at, token in enumerate(tokens[:READ_BEFORE])])
    for line in sys.stdin:
        rows = int(line)
        began, done = time.perf_counter(), 0
        while done < TOKENS:
            context.forget(0, READ_BEFORE, READ_BEFORE + min(done, 1) * rows)
            some = enumerate(tokens[READ_BEFORE : READ_BEFORE + rows], start=READ_BEFORE)
            context.decode([Row(token, at, 0, wanted=True) for at, token in some])
            done += rows
        context.forget(0, READ_BEFORE, READ_BEFORE + rows)
        out.write(f"{done / (time.perf_counter() - began)}\n")
        out.flush()


if __name__ == "__main__":
    main()
