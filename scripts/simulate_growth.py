"""How searching by meaning grows: time, memory and recall from ten thousand vectors to ten million.

    .venv/bin/python -m scripts.simulate_growth FOLDER [--vectors FILE.npy] [--sizes N...] [--write]

Ten million vectors of 384 dimensions take 22 GB in FOLDER, which is left empty. FILE.npy holds unit
rows of real text, of which more are made by noise; without it rows are drawn around random topics.
The questions are none of the vectors, and as far from them as real questions are from passages.

Each line is one way to search, in a process of its own; --write makes docs/growth.md of them.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieval import nearest, segments
from retrieval.rows import BLOCK, Rows, Selection
from retrieval.segments import Segment, Segments, write_segment
from retrieval.types import SegmentRecord, Vectors
from scripts.growth_report import write_report

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
QUESTIONS = 200
WANTED = 50
"""Rows a search asks for, as ours does; the recall is that of the first ten."""
ASKED = 1.5
"""How far a question is from such a vector: a cosine of .55, which is that of real ones."""
PATIENCE_MS = 60_000
"""How long one way is asked, however many questions that are."""
APART = 0.7
"""How far a made vector is from the real one it is made of: a cosine of about .82."""
DIMENSIONS = 384

Row = dict[str, Any]
Search = Callable[[Vectors], NDArray[np.int64]]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--vectors", type=Path, help="unit rows of real text")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--write", action="store_true", help="write docs/growth.md and .svg")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        print(json.dumps(measure(given.folder, given.way)))
        return
    rows = []
    for size in given.sizes:
        for row in simulate(given.folder, size, given.vectors):
            rows.append(row)
            print(json.dumps(row), flush=True)
    if given.write:
        write_report(rows)


def simulate(folder: Path, size: int, real: Path | None) -> Iterator[Row]:
    """Build segments of made vectors, and measure each way to search them."""
    folder.mkdir(parents=True)
    try:
        dice = np.random.default_rng(size)
        base = topics(dice) if real is None else np.load(real, allow_pickle=False)
        records, build_s = build(folder, size, base, dice)
        near = base[dice.choice(len(base), QUESTIONS)]
        questions = nearest.questions_near(apart(near, dice), dice, ASKED)
        asked: dict[str, Any] = {"questions": questions} | truths(folder, records, questions)
        np.savez(folder / "asked.npz", **asked)
        (folder / "records.json").write_text(json.dumps([vars_of(r) for r in records]))
        for way, (_, largest) in WAYS.items():
            if size > largest:
                continue
            command = [sys.executable, "-m", "scripts.simulate_growth", str(folder), "--way", way]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            row = json.loads(done.stdout)
            if way in OURS:
                row |= {
                    "build_s": build_s,
                    "mib": sum(f.stat().st_size for f in folder.glob("*.safetensors")) >> 20,
                }
            yield {"bench": "growth", "vectors": size, "segments": len(records), "way": way} | row
    finally:
        shutil.rmtree(folder)


def build(
    folder: Path, size: int, base: Vectors, dice: np.random.Generator
) -> tuple[list[SegmentRecord], float]:
    """Write segments of vectors made of real ones; return how long the writing took."""
    records, seconds = [], 0.0
    for first in range(0, size, segments.LARGEST_SEGMENT):
        count = min(size - first, segments.LARGEST_SEGMENT)
        draft = folder / "draft.npy"
        made = np.lib.format.open_memmap(
            draft, mode="w+", dtype=np.float32, shape=(count, base.shape[1])
        )
        for at in range(0, count, BLOCK):
            block = base[dice.choice(len(base), min(BLOCK, count - at))]
            made[at : at + len(block)] = apart(block, dice)
        ids = np.arange(first + 1, first + 1 + count)
        began = time.monotonic()
        rows = Rows.without_sentences(ids, made)
        records.append(write_segment(folder, [Selection.all_of(rows)]))
        seconds += time.monotonic() - began
        draft.unlink()
    return records, round(seconds, 1)


def apart(vectors: Vectors, dice: np.random.Generator) -> Vectors:
    """Return other vectors near these."""
    return nearest.questions_near(vectors, dice, APART)


def topics(dice: np.random.Generator) -> Vectors:
    """Return vectors around random topics, for want of real ones."""
    centres = unit(dice.standard_normal((500, DIMENSIONS), np.float32))
    return nearest.questions_near(centres[dice.choice(500, 20_000)], dice, ASKED)


def unit(vectors: Vectors) -> Vectors:
    """Return rows of length 1."""
    rows: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return rows


FILTERS = {"all": 1, "half": 2, "hundredth": 100}
"""Every so many-th row is what a search may find."""


def truths(
    folder: Path, records: list[SegmentRecord], questions: Vectors
) -> dict[str, NDArray[np.int64]]:
    """Return the ids of the ten nearest rows of each question, for each filter."""
    opened = [Segment(folder, record).rows for record in records]
    found = {}
    for name, every in FILTERS.items():
        best = faiss.ResultHeap(len(questions), 10, keep_max=True)
        for rows in opened:
            for at in range(0, len(rows), BLOCK):
                ids = rows.ids[at : at + BLOCK]
                some = ids % every == 0
                block = rows.vectors[at : at + BLOCK][some]
                limit = min(10, len(block))
                scores, places = faiss.knn(
                    questions, block, limit, metric=faiss.METRIC_INNER_PRODUCT
                )
                best.add_result(scores, ids[some][places])
        best.finalize()
        found[name] = best.I
    return found


def measure(folder: Path, way: str) -> Row:
    """Open what was built, ask all questions one by one, and say how it went."""
    asked = np.load(folder / "asked.npz", allow_pickle=False)
    records = [SegmentRecord(**r) for r in json.loads((folder / "records.json").read_text())]
    idle = resident()
    began = time.perf_counter()
    open_it, _ = WAYS[way]
    search = open_it(folder, records)
    opened_s = time.perf_counter() - began
    search(asked["questions"][:1])
    first_s = time.perf_counter() - began
    times, found = [], []
    for question in asked["questions"]:
        began = time.perf_counter()
        found.append(search(question[None]))
        times.append((time.perf_counter() - began) * 1000)
        if sum(times) > PATIENCE_MS:
            break
    true = asked[OURS.get(way, "all")]
    hits = [len(np.intersect1d(f[:10], t)) / 10 for f, t in zip(found, true, strict=False)]
    here = resident()
    return {
        "open_s": round(opened_s, 3),
        "first_s": round(first_s, 3),
        "p50_ms": round(float(np.percentile(times, 50)), 2),
        "p95_ms": round(float(np.percentile(times, 95)), 2),
        "recall": round(float(np.mean(hits)), 4),
        "own_mib": here["RssAnon"] - idle["RssAnon"],
        "mapped_mib": here["RssFile"] - idle["RssFile"],
    }


def ours(every: int) -> Callable[[Path, list[SegmentRecord]], Search]:
    """Search as the library does, with a filter that lets every so many-th row through."""

    def opened(folder: Path, records: list[SegmentRecord]) -> Search:
        found = Segments(folder, records)
        allowed = None
        if every > 1:
            allowed = np.arange(every, found.passages + 1, every)
        return lambda query: np.array([i for i, _ in found.search(query, WANTED, allowed)])

    return opened


def scanned(folder: Path, records: list[SegmentRecord]) -> Search:
    """Compare all rows, from disk."""
    nearest.EXACT_UP_TO = sys.maxsize
    return ours(1)(folder, records)


def built(recipe: str, **settings: int) -> Callable[[Path, list[SegmentRecord]], Search]:
    """Search with one FAISS index in memory; opening it is building it."""

    def opened(folder: Path, records: list[SegmentRecord]) -> Search:
        (rows,) = (Segment(folder, record).rows for record in records)
        index = faiss.index_factory(rows.vectors.shape[1], recipe, faiss.METRIC_INNER_PRODUCT)
        index.train(rows.vectors[:: max(1, len(rows) // 100_000)])
        index.add(rows.vectors)
        for name, value in settings.items():
            faiss.ParameterSpace().set_index_parameter(index, name, value)
        return lambda query: rows.ids[index.search(query, WANTED)[1][0]]

    return opened


def resident() -> dict[str, int]:
    """Return the MiB of this process that are in memory: its own, and those of mapped files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[name].split()[0]) // 1024 for name in ("RssAnon", "RssFile")}


def vars_of(record: SegmentRecord) -> Row:
    """Return the fields of a record."""
    return {name: getattr(record, name) for name in record.__slots__}


OURS = {"ours": "all", "ours, a half allowed": "half", "ours, a hundredth allowed": "hundredth"}
WAYS: dict[str, tuple[Callable[[Path, list[SegmentRecord]], Search], int]] = {
    **{name: (ours(FILTERS[filter_]), sys.maxsize) for name, filter_ in OURS.items()},
    "all compared": (scanned, sys.maxsize),
    "flat, 8 bits": (built("SQ8"), 1_000_000),
    "flat, 16 bits": (built("SQfp16"), 1_000_000),
    "HNSW, 32 links, ef 128": (built("HNSW32,Flat", efSearch=128), 100_000),
    "HNSW, 32 links, ef 512": (built("HNSW32,Flat", efSearch=512), 100_000),
}
"""How each is opened, and the most vectors it is tried with."""


if __name__ == "__main__":
    main()
