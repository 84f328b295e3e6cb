"""How long a reader waits: ingest of the sample documents, start to first answer, an answer.

    python -m scripts.bench_answers [--rounds N]

Runs the real service on a library of its own. Prints one JSON line, times in seconds.
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
    rounds = parser.parse_args().rounds
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
    written = [a for a in alone if a["usage"]["completion_tokens"]]
    figures = {
        "ingest_s": round(ingested, 1),
        "start_to_first_answer_s": round(first, 1),
        "retrieval_s": _quantiles([a["timings_ms"]["retrieval"] / 1e3 for a in alone]),
        "first_token_s": _quantiles([a["timings_ms"]["first_token"] / 1e3 for a in written]),
        "answer_s": _quantiles([a["timings_ms"]["total"] / 1e3 for a in written]),
        "seconds_an_answer_8_at_once": round(eight, 3),
        "model": written[0]["model"]["name"],
        "cores": os.cpu_count(),
    }
    print(json.dumps({"bench": "answers", **figures}))


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


def _quantiles(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=20)
    return {"p50": round(statistics.median(values), 3), "p95": round(cuts[18], 3)}


if __name__ == "__main__":
    main()
