"""How long a reader waits: ingest of the sample documents, start to first answer, an answer.

    python -m scripts.bench_answers [--rounds N] [--beside FOLDER]

Runs the real service on a library of its own; with --beside once more while the documents of a
folder are ingested into it. Prints one JSON line, times in seconds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

QUESTIONS = (
    "Does inference train the model?",
    "What is the difference between inference and serving?",
    "How many days of annual leave does a part-time officer get?",
    "What is batch inference?",
    "What is the fee for a dog licence?",
    "Who approves a journey by air?",
    "How long are invoices kept?",
    "What is the time to first token?",
    "Who won the 1998 World Cup?",
    "What must be done when a laptop is lost?",
)


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside", type=Path, help="documents to ingest meanwhile")
    given = parser.parse_args()
    rounds = given.rounds
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "library")
        began = time.perf_counter()
        subprocess.run([*_footnote("ingest", "corpus"), "--home", str(home)], check=True)
        ingested = time.perf_counter() - began
        began = time.perf_counter()
        with _service(home) as url:
            _ask(url, QUESTIONS[0])
            first = time.perf_counter() - began
            alone = [_ask(url, question) for _ in range(rounds) for question in QUESTIONS]
            with ThreadPoolExecutor(8) as pool:
                began = time.perf_counter()
                list(pool.map(lambda q: _ask(url, q), QUESTIONS * rounds))
                eight = (time.perf_counter() - began) / len(alone)
            beside = _beside(url, home, given.beside, rounds) if given.beside else []
    written = [a for a in alone if a["usage"]["completion_tokens"]]
    figures = {
        "ingest_s": round(ingested, 1),
        "start_to_first_answer_s": round(first, 1),
        "retrieval_s": _quantiles([a["timings_ms"]["retrieval"] / 1e3 for a in alone]),
        "first_token_s": _quantiles([a["timings_ms"]["first_token"] / 1e3 for a in written]),
        "shares": _shares(written),
        "answer_s": _quantiles([a["timings_ms"]["total"] / 1e3 for a in written]),
        "seconds_an_answer_8_at_once": round(eight, 3),
        "model": written[0]["model"]["name"],
        "cores": os.cpu_count(),
    }
    if beside:
        whole = [
            statistics.median(a["timings_ms"]["total"] / 1e3 for a in b) for b in (alone, beside)
        ]
        figures["any_answer_s"] = {"alone": round(whole[0], 3), "beside_ingest": round(whole[1], 3)}
        figures["speed_beside_ingest"] = round(whole[0] / whole[1], 3)
    print(json.dumps({"bench": "answers", **figures}))


def _beside(url: str, home: Path, folder: Path, rounds: int) -> list[Any]:
    """Ask the same questions while an ingest goes on; only those asked meanwhile count."""
    command = [*_footnote("ingest", "--quiet", str(folder)), "--home", str(home)]
    answers = []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as ingest:
        time.sleep(8)  # until it embeds
        for question in QUESTIONS * rounds:
            answer = _ask(url, question)
            if ingest.poll() is not None:
                break
            answers.append(answer)
        ingest.terminate()
    return answers


def _footnote(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "web.cli", *arguments]


@contextmanager
def _service(home: Path) -> Iterator[str]:
    command = [*_footnote("serve", "--json", "--port", "0"), "--home", str(home)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        if process.stdout is None:
            raise RuntimeError("the service was started without a pipe")
        yield str(json.loads(process.stdout.readline())["url"])
        process.terminate()


def _ask(url: str, question: str) -> Any:
    body = json.dumps({"question": question}).encode()
    request = urllib.request.Request(
        f"{url}/v1/answers", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as reply:
        return json.load(reply)


def _shares(answers: list[Any]) -> dict[str, float]:
    """Return which share of the time of answers each stage took."""
    spent = {name: sum(a["timings_ms"][name] for a in answers) for name in answers[0]["timings_ms"]}
    stages = {
        "search": spent["retrieval"] - spent["evidence"],
        "evidence": spent["evidence"],
        "prompt": spent["first_token"] - spent["retrieval"],
        "writing": spent["total"] - spent["first_token"] - spent["gate"],
        "gate": spent["gate"],
    }
    return {name: round(value / spent["total"], 3) for name, value in stages.items()}


def _quantiles(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=20)
    return {"p50": round(statistics.median(values), 3), "p95": round(cuts[18], 3)}


if __name__ == "__main__":
    main()
