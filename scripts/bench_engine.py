"""The engine beside `llama_cpp.Llama` behind a lock: time to first token, whole answers, tokens/s.

    python -m scripts.bench_engine --home LIBRARY --questions FILE [--quick] [--formats]

The prompts are real: a library's evidence for questions ({"question": …} a line), as the answerer
shows it to the model. Both have the same weights and processor, in one run, and take turns, so that
what else runs meets both. With --formats also both over the same weights as Q8_0 and F16. The last
line is JSON, times in seconds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from answer.answerer import EVIDENCE_KEPT, EVIDENCE_SHOWN, MAX_TOKENS, WORTH_SHOWING
from answer.engine import EngineLimits, LlamaProcess
from answer.model import Message, find_model
from answer.prompt import OPENING, build_prompt
from answer.types import Usage
from web import wiring
from web.settings import Settings

Prompt = list[Message]
AT_ONCE = (1, 2, 4, 8, 16)


@dataclass(frozen=True, slots=True)
class Told:
    """One answer: what was written, and when."""

    text: str
    tokens: int
    first_s: float
    whole_s: float


Writer = Callable[[Prompt], Told]


def main() -> None:
    """Measure, print what is found, and end with one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--home", type=Path, required=True, help="a library; it is not changed")
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--count", type=int, default=80, help="questions")
    parser.add_argument("--quick", action="store_true", help="few questions: within four minutes")
    parser.add_argument("--formats", action="store_true", help="also Llama over Q8_0 and F16")
    given = parser.parse_args()
    path, threads = find_model(None), min(os.cpu_count() or 2, 8)
    prompts = real_prompts(given.home, given.questions, 6 if given.quick else given.count)
    figures: dict[str, Any] = {"prompts": len(prompts), "model": path.stem, "cores": os.cpu_count()}
    limits = EngineLimits(threads=threads)
    with engine(path, limits) as ours, baseline(path, threads) as theirs:
        writers: dict[str, Writer] = {"engine": ours, "llama": theirs}
        told = one_by_one(prompts, writers)
        figures |= {f"alone_{name}": summary(answers) for name, answers in told.items()}
        figures |= agreement(prompts, told, ours)
        figures |= repeated(prompts, writers)
        levels = (1, 8) if given.quick else AT_ONCE
        figures |= together(prompts[: 8 if given.quick else 32], writers, levels)
    if given.formats:
        figures |= other_formats(path, threads, prompts, limits)
    print(json.dumps({"bench": "engine", **figures}))


def real_prompts(home: Path, questions: Path, count: int) -> list[Prompt]:
    """Return the prompts of the first questions that the library has an answer to."""
    settings = Settings(home=home)
    library, embedder = wiring.open_library(settings)
    judgement, threshold = wiring.build_judgement(settings, embedder)
    snapshot, prompts = library.snapshot(), list[Prompt]()
    for line in questions.read_text("utf-8").splitlines():
        asked = json.loads(line)["question"]
        question = snapshot.ask(asked)
        hits = snapshot.search(question, limit=settings.passages)
        evidence = judgement.select(question, hits, EVIDENCE_KEPT)
        if not evidence or evidence[0].probability < threshold:
            continue
        evidence[1:] = [one for one in evidence[1:] if one.probability >= WORTH_SHOWING]
        prompts.append(build_prompt(asked, evidence[:EVIDENCE_SHOWN]))
        if len(prompts) == count:
            break
    library.close()
    return prompts


def one_by_one(prompts: Sequence[Prompt], writers: dict[str, Writer]) -> dict[str, list[Told]]:
    """Ask each prompt once, each of the writers in turn."""
    told: dict[str, list[Told]] = {name: [] for name in writers}
    for prompt in prompts:
        for name, write in writers.items():
            told[name].append(write(prompt))
    return told


def repeated(prompts: Sequence[Prompt], writers: dict[str, Writer]) -> dict[str, Any]:
    """Ask another question about sources that were read a few prompts ago."""
    told: dict[str, list[Told]] = {name: [] for name in writers}
    for prompt in prompts[-24:]:
        *opening, last = prompt
        sources = last.content.rpartition("\nQuestion: ")[0]
        again = [*opening, Message("user", f"{sources}\nQuestion: What does this say in short?")]
        for name, write in writers.items():
            told[name].append(write(again))
    ratios = [a.first_s / b.first_s for a, b in zip(told["llama"], told["engine"], strict=True)]
    figures = {f"repeated_{name}": summary(answers) for name, answers in told.items()}
    return {**figures, "first_token_ratio": round(statistics.median(ratios), 2)}


def together(
    prompts: Sequence[Prompt], writers: dict[str, Writer], levels: Sequence[int]
) -> dict[str, Any]:
    """Ask the same questions with ever more at once; prompts are made new, so none is known."""
    figures: dict[str, Any] = {}
    for level in levels:
        speeds: dict[str, float] = {}
        for name, write in writers.items():
            some = [renewed(prompt, f"{level} at once") for prompt in prompts]
            began = time.perf_counter()
            with ThreadPoolExecutor(level) as pool:
                told = list(pool.map(write, some))
            speeds[name] = sum(one.tokens for one in told) / (time.perf_counter() - began)
            figures[f"at_once_{level}_{name}"] = summary(told, speeds[name])
        figures[f"throughput_{level}_ratio"] = round(speeds["engine"] / speeds["llama"], 2)
        print(level, "at once:", figures[f"throughput_{level}_ratio"], file=sys.stderr)
    return figures


def agreement(
    prompts: Sequence[Prompt], told: dict[str, list[Told]], ours: Writer
) -> dict[str, Any]:
    """Compare greedy texts: ours alone and eight at once with those of the baseline."""
    expected = [one.text for one in told["llama"]]
    alone = [one.text for one in told["engine"]]
    with ThreadPoolExecutor(8) as pool:
        batched = [told.text for told in pool.map(ours, prompts)]
    return {
        "same_text_alone": sum(a == b for a, b in zip(expected, alone, strict=True)),
        "same_text_8_at_once": sum(a == b for a, b in zip(expected, batched, strict=True)),
    }


def other_formats(
    path: Path, threads: int, prompts: Sequence[Prompt], limits: EngineLimits
) -> dict[str, Any]:
    """Ask one by one, and eight at once, with other formats of the weights."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("Q8_0", "F16"):
            file = Path(folder, f"{name}.gguf")
            quantise(path, file, name)
            with engine(file, limits) as ours, baseline(file, threads) as theirs:
                writers: dict[str, Writer] = {"engine": ours, "llama": theirs}
                told = one_by_one(prompts, writers)
                figures |= {f"{name}_alone_{who}": summary(some) for who, some in told.items()}
                found = together(prompts[:32], writers, (8,))
                figures |= {f"{name}_{key}": value for key, value in found.items()}
    return figures


def quantise(source: Path, target: Path, name: str) -> None:
    """Write a model's weights in another format."""
    code = (
        "import ctypes, sys, llama_cpp.llama_cpp as l; p = l.llama_model_quantize_default_params();"
        " p.allow_requantize = True; p.ftype = getattr(l, 'LLAMA_FTYPE_MOSTLY_' + sys.argv[3]);"
        " sys.exit(l.llama_model_quantize(sys.argv[1].encode(), sys.argv[2].encode(),"
        " ctypes.byref(p)))"
    )
    command = [sys.executable, "-c", code, str(source), str(target), name]
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def engine(path: Path, limits: EngineLimits) -> Iterator[Writer]:
    """Our engine, as the service runs it."""
    process = LlamaProcess(path, limits, OPENING)
    try:
        process.start()

        def write(prompt: Prompt) -> Told:
            return timed(process.write(prompt, max_tokens=MAX_TOKENS))

        write([Message("user", "Warm up.")])
        yield write
    finally:
        process.close()


@contextmanager
def baseline(path: Path, threads: int) -> Iterator[Writer]:
    """`Llama` with its defaults behind a lock, in a process of its own like ours."""
    command = [sys.executable, "-m", "scripts.llama_baseline", str(path), str(threads)]
    lock = threading.Lock()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
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

        write([Message("user", "Warm up.")])
        yield write
        asks.close()


def timed(pieces: Iterator[str | Usage]) -> Told:
    """Take an answer in, and the time."""
    began, text, first_s = time.perf_counter(), "", 0.0
    for piece in pieces:
        if isinstance(piece, Usage):
            return Told(text, piece.completion_tokens, first_s, time.perf_counter() - began)
        first_s = first_s or time.perf_counter() - began
        text += piece
    raise RuntimeError("an answer ends with its usage")


def renewed(prompt: Prompt, mark: str) -> Prompt:
    """Return a prompt of the same length or so that nobody has read after the instructions."""
    *opening, last = prompt
    return [*opening, Message("user", f"[0] {mark}\n{last.content}")]


def summary(told: Sequence[Told], tokens_per_s: float | None = None) -> dict[str, float]:
    """Return the medians and 95th percentiles, and the tokens a second."""
    spent = sum(one.whole_s for one in told)
    speed = tokens_per_s or sum(one.tokens for one in told) / spent
    first, whole = [one.first_s for one in told], [one.whole_s for one in told]
    return {
        "first_token_p50": quantile(first, 0.5),
        "first_token_p95": quantile(first, 0.95),
        "answer_p50": quantile(whole, 0.5),
        "answer_p95": quantile(whole, 0.95),
        "tokens_per_s": round(speed, 1),
    }


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile, to the millisecond."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)


if __name__ == "__main__":
    main()
