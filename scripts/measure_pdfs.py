"""How the PDF reader fares on files that other programs had trouble with.

    python -m scripts.measure_pdfs FOLDER LABELS... [--speed FILE...]

FOLDER holds one folder for each table of labels, named as the table is before its first dot.
The tables say what PDFium makes of each file (columns: file, pdfium, pages, chars_first3).
Every file is read in a process of its own with 2 GiB of memory and 60 s. Prints where the two
disagree, and one JSON line. `--speed` reads files once more, against plain pypdf.
"""

import argparse
import csv
import json
import multiprocessing
import resource
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pypdf import PdfReader, apply_configuration

from ingest.errors import Unreadable
from ingest.readers import pdf
from ingest.types import Extract, File

MEMORY = 2048 * 1024 * 1024
WAIT_S = 60.0
FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one file, and what PDFium's label says of it."""

    file: str
    label: str
    label_characters: int
    outcome: str
    characters: int
    seconds: float
    said: str


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("labels", type=Path, nargs="*")
    parser.add_argument("--speed", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    figures: dict[str, Any] = {"bench": "pdf"}
    if options.labels:
        figures |= _told([_measured(*one) for one in _labelled(options.folder, options.labels)])
    if options.speed:
        figures |= _speed(options.speed)
    print(json.dumps(figures))


def _labelled(folder: Path, labels: list[Path]) -> Iterator[tuple[Path, dict[str, str]]]:
    for table in labels:
        name = table.name.split(".")[0]
        with table.open(encoding="utf-8", newline="") as rows:
            for row in csv.DictReader(rows, delimiter="\t"):
                yield folder / name / name / row["file"], row


def _measured(path: Path, label: dict[str, str]) -> Result:
    """Read a file in a child of its own, forked so that nothing is imported anew."""
    began = time.perf_counter()
    ours, theirs = FORK.Pipe(duplex=False)
    child = FORK.Process(target=_answer, args=(path, theirs))
    child.start()
    theirs.close()
    answer: dict[str, Any] = {"outcome": "too slow"}
    if ours.poll(WAIT_S):
        try:
            answer = ours.recv()
        except EOFError:
            answer = {"outcome": "crashed"}
    child.kill()
    child.join()
    return Result(
        file=f"{path.parent.name}/{path.name}",
        label=label["pdfium"],
        label_characters=int(label["chars_first3"]),
        outcome=answer["outcome"],
        characters=answer.get("characters", 0),
        seconds=time.perf_counter() - began,
        said=answer.get("said", ""),
    )


def _answer(path: Path, pipe: Connection) -> None:
    _limited()
    pipe.send(_read(path))


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read(path: Path) -> dict[str, Any]:
    try:
        extract = pdf.read(File(path.name, path.read_bytes()))
        extract = Extract.from_json(json.loads(json.dumps(extract.to_json())))  # as a parent does
    except Unreadable as problem:
        return {"outcome": "refused", "said": str(problem)}
    except MemoryError:
        return {"outcome": "out of memory"}
    characters = sum(block.stop - block.start for block in extract.blocks)
    states = Counter(page.state.value for page in extract.pages)
    said = "; ".join((*extract.warnings, *extract.unread, str(dict(states))))
    outcome = "text" if characters else "no text"
    return {"outcome": outcome, "characters": characters, "said": said}


def _told(results: list[Result]) -> dict[str, Any]:
    """Print where text is expected and not found, and the reverse; return the counts."""
    for result in results:
        expected, found = result.label_characters > 0, result.outcome == "text"
        bad = result.outcome not in ("text", "no text", "refused")
        if expected != found or bad or result.seconds > 10:
            print(
                f"{result.file[-60:]:60} {result.label:10} {result.label_characters:7}"
                f" {result.outcome:12} {result.characters:7} {result.seconds:5.1f}"
                f" {result.said[:200]}"
            )
    labelled = sum(result.label_characters > 0 for result in results)
    return {
        "files": len(results),
        "labelled_with_text": labelled,
        "text_found": sum(result.outcome == "text" for result in results),
        "of_the_labelled": sum(r.outcome == "text" and r.label_characters > 0 for r in results),
        "outcomes": dict(Counter(result.outcome.split(" (")[0] for result in results)),
        "slowest_s": round(max(result.seconds for result in results), 1),
    }


def _speed(paths: list[Path]) -> dict[str, Any]:
    """Read whole files here, and their pages with pypdf alone."""
    pages, ours, plain = 0, 0.0, 0.0
    for path in paths:
        data = path.read_bytes()
        began = time.perf_counter()
        pages += len(pdf.read(File(path.name, data)).pages)
        ours += time.perf_counter() - began
        began = time.perf_counter()
        with apply_configuration(array_maximum_element_count=pdf.LARGEST_ARRAY):
            for page in PdfReader(path).pages:
                page.extract_text()
        plain += time.perf_counter() - began
    return {
        "pages_per_s": round(pages / ours, 1),
        "baseline_pages_per_s": round(pages / plain, 1),
        "ratio": round(plain / ours, 2),
    }


if __name__ == "__main__":
    main()
