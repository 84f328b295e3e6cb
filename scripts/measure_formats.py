"""How much of what a format holds the readers find, against ground truth made by others.

    python -m scripts.measure_formats DIR [--table FILE] [--missing N]

DIR holds a folder for each format, with `sources/` and the text of each as Markdown in
`groundtruth/`. Recall is the share of the ground truth's words (letters and digits, case folded,
each as often as it occurs) that are in the text; Markdown's own marks do not count. Every file is
read in the sandbox. Ends with one JSON line.
"""

import argparse
import html
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import Unreadable
from ingest.sandbox import Sandbox

FORMULA = re.compile(r"\$\$?([^$\n]+)\$\$?")
COMMAND = re.compile(r"\\[A-Za-z]+")
WORD = re.compile(r"[^\W_]+")
MARKUP = [
    (re.compile(r"<!--.*?-->", re.DOTALL), " "),
    (re.compile(r"!\[[^\]]*\]\([^)]*\)"), " "),
    (re.compile(r"\[([^\]]*)\]\((?:[^()\s]|\([^()\s]*\))*\)"), r"\1"),
    (re.compile(r"^\s*(?:[-*+]\s+)+\[[ xX]\]", re.MULTILINE), " "),
    (re.compile(r"(?<=\s)-\s+\[[ xX]\]"), " "),
    (re.compile(r"^\s*```\w*\s*$", re.MULTILINE), " "),
    (re.compile(r"^\s*\d+\.\s", re.MULTILINE), " "),
    (re.compile(r"\\([^\w\s])"), r"\1"),
    (re.compile(r"\*|~~|`"), ""),
]
"""What Markdown adds; list numbers too, which the renderer counts for itself."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one file was read."""

    kind: str
    name: str
    words: int
    found: int
    missing: Counter[str]
    note: str = ""


def main() -> None:
    """Measure, print a line for each file and format, and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--table", type=Path, help="write a Markdown table here")
    parser.add_argument("--missing", type=int, default=0, help="show that many missing words")
    args = parser.parse_args()
    with Sandbox() as sandbox:
        results = [_measure(sandbox, *pair) for pair in _pairs(args.folder)]
    for result in results:
        _print(result, args.missing)
    if args.table:
        args.table.write_text(_table(results), encoding="utf-8")
    print(json.dumps({"bench": "formats", **_summary(results)}))


def _pairs(folder: Path) -> Iterator[tuple[str, Path, Path]]:
    """Yield the format, source and ground truth of each file that has all three."""
    for truth_folder in sorted(folder.rglob("groundtruth")):
        sources = truth_folder.parent / "sources"
        for source in sorted(sources.iterdir()) if sources.is_dir() else ():
            names = (f"{source.name}.md", f"{source.stem}.md")
            truth = next((truth_folder / n for n in names if (truth_folder / n).is_file()), None)
            if truth:
                yield truth_folder.parent.name, source, truth


def _measure(sandbox: Sandbox, kind: str, source: Path, truth: Path) -> Result:
    expected = Counter(_words(_plain(truth.read_text(encoding="utf-8"))))
    note = ""
    try:
        with source.open("rb") as file, sandbox.read(source.name, file) as reading:
            text = reading.extract.text
    except Unreadable as problem:
        text, note = "", str(problem)
    missing = expected - Counter(_words(text))
    words = expected.total()
    return Result(kind, source.name, words, words - missing.total(), missing, note)


def _plain(markdown: str) -> str:
    """Return Markdown without its marks, and formulas without LaTeX's commands."""
    text = FORMULA.sub(lambda found: COMMAND.sub(" ", found[1]), markdown)
    for pattern, replacement in MARKUP:
        text = pattern.sub(replacement, text)
    return html.unescape(text)


def _words(text: str) -> list[str]:
    return WORD.findall(text.casefold())


def _print(result: Result, shown: int) -> None:
    share = f"{_share(result.found, result.words):6.1%}"
    print(f"{result.kind:9} {share} of {result.words:6,}  {result.name}  {result.note}".rstrip())
    if shown and result.missing and not result.note:
        print("          missing:", *(f"{w}×{n}" for w, n in result.missing.most_common(shown)))


def _share(found: int, words: int) -> float:
    return found / words if words else 1.0


def _by_format(results: list[Result]) -> dict[str, list[Result]]:
    found = defaultdict(list)
    for result in results:
        found[result.kind].append(result)
    return dict(found)


def _recall(results: list[Result]) -> float:
    return _share(sum(r.found for r in results), sum(r.words for r in results))


def _summary(results: list[Result]) -> dict[str, object]:
    return {
        "formats": {
            kind: {
                "files": len(of_kind),
                "read": sum(not r.note for r in of_kind),
                "words": sum(r.words for r in of_kind),
                "recall": round(_recall(of_kind), 4),
            }
            for kind, of_kind in _by_format(results).items()
        }
    }


PREFACE = """# What is found in each format

The share of the words that people or other readers found in a file which are in the text that
Footnote reads, counted with repeats, punctuation and case aside. `python -m scripts.measure_formats
DIR --table docs/formats.md` makes this table. What is missing from HTML is mostly cells that the
expected text repeats for each column they span; old Word files (.doc) are named and not read.
"""


def _table(results: list[Result]) -> str:
    lines = [PREFACE, "| Format | File | Words | Found |", "|---|---|---:|---:|"]
    for kind, of_kind in _by_format(results).items():
        words = sum(r.words for r in of_kind)
        lines.append(
            f"| **{kind}** | **{len(of_kind)}** | {words:,} | **{_recall(of_kind):.1%}** |"
        )
        for r in of_kind:
            share = "not read" if r.note else f"{_share(r.found, r.words):.1%}"
            lines.append(f"| | {r.name} | {r.words:,} | {share} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
