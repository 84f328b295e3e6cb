"""What a receipt costs the reader, and how fast receipts are checked.

    python -m scripts.bench_receipts [--receipts 20000]

An answer from the sample documents is kept again and again, each time under another id. The figures
are of the last 2,000 times, when the file is as large as it gets. Beside them stands how long a
sync of the same disk takes, which a receipt does not wait for.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from answer import Answerer, Ask
from answer.judge import Judge, judged_by
from answer.receipts import Receipts
from ingest import Job, Sandbox
from retrieval import Library, SentenceTransformerEmbedder
from web.settings import Settings

CORPUS = Path(__file__).parents[1] / "corpus"
QUESTION = "How many days of annual leave does a part-time officer get?"
MEASURED = 2000


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--receipts", type=int, default=20_000)
    count = parser.parse_args().receipts
    embedder = SentenceTransformerEmbedder()
    with tempfile.TemporaryDirectory() as folder, Sandbox() as sandbox:
        library = Library(Path(folder), embedder)
        Job(library, embedder, [sandbox], chunk_tokens=Settings().chunk_tokens).run(
            [CORPUS], lambda _: None
        )
        receipts = Receipts(Path(folder), library)
        receipts.tidy()
        print(json.dumps(measured(library, embedder, receipts, count, Path(folder))))
        receipts.close()
        library.close()


def measured(
    library: Library,
    embedder: SentenceTransformerEmbedder,
    receipts: Receipts,
    count: int,
    folder: Path,
) -> dict[str, object]:
    """Keep so many receipts and check them all; return the figures."""
    answerer = Answerer(
        library, None, judgement=judged_by(embedder, Judge()), passages=10, threshold=0.5
    )
    answer, method = answerer.answer(Ask(QUESTION)), answerer.method(Ask(QUESTION))
    times = [
        timed_ms(lambda: receipts.record(replace(answer, id=str(uuid.uuid4())), method))
        for _ in range(count)
    ][-MEASURED:]
    began = time.perf_counter()
    states = [check.state for check in receipts.verify_all()]
    checked_s = time.perf_counter() - began
    size = (folder / "receipts.sqlite3").stat().st_size
    return {
        "bench": "receipts",
        "receipts": len(states),
        "record_ms_p50": round(statistics.median(times), 3),
        "record_ms_p95": round(statistics.quantiles(times, n=20)[-1], 3),
        "record_ms_max": round(max(times), 1),
        "fsync_ms_p50": round(statistics.median(synced_ms(folder) for _ in range(200)), 3),
        "bytes_a_receipt": round(size / len(states)),
        "checked_a_second": round(len(states) / checked_s),
        "as_they_were": sum(state == "as_it_was" for state in states),
        "cores": os.cpu_count(),
    }


def timed_ms(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def synced_ms(folder: Path) -> float:
    """Return how long it takes to bring 4 KiB to the disk."""
    with (folder / "sync").open("ab") as file:
        file.write(b"x" * 4096)
        file.flush()
        return timed_ms(lambda: os.fsync(file.fileno()))


if __name__ == "__main__":
    main()
