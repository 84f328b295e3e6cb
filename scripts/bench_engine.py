"""The engine beside `llama_cpp.Llama` behind a lock, and beside llama.cpp's own server.

    python -m scripts.bench_engine --home LIBRARY --questions FILE [--quick] [--model FILE]
        [--server PROGRAM]

The prompts are real: a library's evidence for questions ({"question": …} a line), as the answerer
shows it to the model. All have the same model and processor, in one run, and take turns, so that
what else runs meets all. There are

- `engine`: ours, with the format of the weights that the first start chooses on this machine,
- `llama`: `Llama` with the file as it comes, threads as many as cores, and its defaults,
- `engine_as_shipped` and `llama_tuned`: each with the other's weights,
- `server`: llama-server, if named, with the same weights as `engine`.

The last line is JSON, times in seconds. Ratios are of the other over `engine` for times, and of
`engine` over the other for tokens a second: those without a name are against `llama`, those with
`same_weights` compare `engine_as_shipped` with `llama`.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from answer.answerer import EVIDENCE_KEPT, EVIDENCE_SHOWN, WORTH_SHOWING
from answer.engine import EngineLimits
from answer.engine.tuning import glance
from answer.engine.weights import AS_THEY_ARE, kept
from answer.model import Message, find_model
from answer.prompt import build_prompt
from scripts.engine_writers import Prompt, Told, Writer, baseline, engine, server
from web import wiring
from web.settings import Settings

AT_ONCE = (1, 2, 4, 8, 16)
LOOK_S = 60.0
"""For the look at the formats: it is not what is measured here."""
AGAINST = {
    "": ("engine", "llama"),
    "_same_weights": ("engine_as_shipped", "llama"),
    "_tuned": ("engine", "llama_tuned"),
    "_server": ("engine", "server"),
}
"""What each ratio compares."""


def main() -> None:
    """Measure, print what is found, and end with one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--home", type=Path, required=True, help="a library; it is not changed")
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--count", type=int, default=80, help="questions")
    parser.add_argument("--quick", action="store_true", help="few questions: within four minutes")
    parser.add_argument("--model", help="another model than the bundled one")
    parser.add_argument("--server", type=Path, help="llama.cpp's llama-server")
    given = parser.parse_args()
    path, threads = find_model(given.model), min(os.cpu_count() or 2, 8)
    prompts = real_prompts(given.home, given.questions, 6 if given.quick else given.count)
    limits = EngineLimits(threads=threads)
    figures: dict[str, Any] = {"prompts": len(prompts), "model": path.stem, "cores": os.cpu_count()}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        weights, figures["weights"] = tuned(path, folder, limits)
        start = stack.enter_context
        writers: dict[str, Writer] = {
            "engine": start(engine(weights, limits)),
            "llama": start(baseline(path, threads)),
        }
        if weights != path:
            writers["engine_as_shipped"] = start(engine(path, limits))
            if not given.quick:
                writers["llama_tuned"] = start(baseline(weights, threads))
        if given.server:
            writers["server"] = start(server(given.server, weights, threads))
        told = one_by_one(prompts, writers)
        figures |= {f"alone_{name}": summary(answers) for name, answers in told.items()}
        figures |= agreement(prompts, told, writers)
        figures |= repeated(prompts, writers)
        levels = (1, 8) if given.quick else AT_ONCE
        figures |= together(prompts[: 8 if given.quick else 32], writers, levels)
    print(json.dumps({"bench": "engine", **figures}))


def tuned(path: Path, folder: Path, limits: EngineLimits) -> tuple[Path, str]:
    """Return the weights as the first start chooses them, and their format."""
    found = glance(path, folder, limits, LOOK_S)
    if found is None or found.chosen.weights == AS_THEY_ARE:
        return path, AS_THEY_ARE
    return kept(folder, found.model_sha256, found.chosen.weights), found.chosen.weights


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
    figures: dict[str, Any] = {f"repeated_{name}": summary(some) for name, some in told.items()}
    for which, (ours, theirs) in compared(writers).items():
        ratios = [a.first_s / b.first_s for a, b in zip(told[theirs], told[ours], strict=True)]
        figures[f"first_token_ratio{which}"] = round(statistics.median(ratios), 2)
    return figures


def compared(writers: dict[str, Writer]) -> dict[str, tuple[str, str]]:
    """Return what can be compared of what takes part; weights as they come may be the fastest."""
    alone = {} if "engine_as_shipped" in writers else {"engine_as_shipped": "engine"}
    pairs = {which: (alone.get(a, a), b) for which, (a, b) in AGAINST.items()}
    return {which: pair for which, pair in pairs.items() if set(pair) <= set(writers)}


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
        for which, (ours, theirs) in compared(writers).items():
            figures[f"throughput_{level}_ratio{which}"] = round(speeds[ours] / speeds[theirs], 2)
        print(level, "at once:", figures[f"throughput_{level}_ratio"], file=sys.stderr)
    return figures


def agreement(
    prompts: Sequence[Prompt], told: dict[str, list[Told]], writers: dict[str, Writer]
) -> dict[str, Any]:
    """Compare greedy texts: ours alone and eight at once with those of `Llama`, same weights."""
    ours = compared(writers)["_same_weights"][0]
    expected = [one.text for one in told["llama"]]
    alone = [one.text for one in told[ours]]
    with ThreadPoolExecutor(8) as pool:
        batched = [told.text for told in pool.map(writers[ours], prompts)]
    return {
        "same_text_alone": sum(a == b for a, b in zip(expected, alone, strict=True)),
        "same_text_8_at_once": sum(a == b for a, b in zip(expected, batched, strict=True)),
    }


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
