"""How well the passages of a conversation's last question are found: hit@5 and nDCG@10.

    python -m scripts.bench_follow_ups FILE

FILE is MTRAG-UN's reference.jsonl.gz: conversations with the passages that answer the last
question. All passages together are the library. Compared: the last question alone, led by the
last one that stood alone, rewritten as `answer.conversation` does it, and all questions of the
conversation together. Prints one JSON line.
"""

import argparse
import gzip
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from answer.conversation import leans, rewritten
from ingest import Job, Options, Sandbox
from retrieval import Library, SentenceTransformerEmbedder
from web.settings import Settings

WAYS: dict[str, Callable[[Sequence[str]], str]] = {
    "alone": lambda asked: asked[-1],
    "led_by_the_last": lambda asked: led(asked[-1], asked[:-1]),
    "rewritten": lambda asked: rewritten(asked[-1], asked[:-1]),
    "all_together": lambda asked: " ".join(asked),
}


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    with gzip.open(given.file, "rt", encoding="utf-8") as lines:
        tasks = [task for task in map(json.loads, lines) if task["contexts"]]
    embedder = SentenceTransformerEmbedder()
    with TemporaryDirectory() as folder:
        library = Library(Path(folder, "library"), embedder)
        job = Job(library, embedder, [Sandbox()], chunk_tokens=Settings().chunk_tokens)
        job.run([written(tasks, Path(folder, "texts"))], lambda _: None, Options())
        found = {name: measure(library, tasks, way) for name, way in WAYS.items()}
        library.close()
    print(json.dumps({"bench": "follow_ups", "questions": len(tasks), **found}))


def led(question: str, earlier: Sequence[str]) -> str:
    """Return the question after the last that stood alone, if it leans on that."""
    before = next((q for q in reversed(earlier) if not leans(q)), None)
    return f"{before} {question}" if before and leans(question) else question


def written(tasks: Sequence[dict[str, Any]], folder: Path) -> Path:
    """Write every passage of the tasks to a file of its own; return the folder."""
    folder.mkdir()
    for task in tasks:
        for context in task["contexts"]:
            (folder / f"{context['document_id']}.txt").write_text(context["text"], "utf-8")
    return folder


def measure(
    library: Library, tasks: Sequence[dict[str, Any]], way: Callable[[Sequence[str]], str]
) -> dict[str, float]:
    """Return hit@5 and nDCG@10, and both over those that are not the first question."""
    hits, gains, later = [], [], []
    for task in tasks:
        asked = [turn["text"] for turn in task["input"] if turn["speaker"] == "user"]
        right = {f"{context['document_id']}.txt" for context in task["contexts"]}
        ranked = list(files(library, way(asked)))
        hits.append(bool(right & set(ranked[:5])))
        gain = sum(1 / math.log2(n + 2) for n, name in enumerate(ranked[:10]) if name in right)
        gains.append(gain / sum(1 / math.log2(n + 2) for n in range(min(10, len(right)))))
        later.append(len(asked) > 1)
    leaning = [n for n, is_later in enumerate(later) if is_later]
    return {
        "hit@5": round(sum(hits) / len(hits), 3),
        "ndcg@10": round(sum(gains) / len(gains), 3),
        "later_hit@5": round(sum(hits[n] for n in leaning) / len(leaning), 3),
        "later_ndcg@10": round(sum(gains[n] for n in leaning) / len(leaning), 3),
    }


def files(library: Library, question: str) -> Iterator[str]:
    """Yield the different files of the passages found, best first."""
    seen = set()
    for hit in library.search(question, limit=40):
        name = hit.document.path.rsplit("/", 1)[-1]
        if name not in seen:
            seen.add(name)
            yield name


if __name__ == "__main__":
    main()
