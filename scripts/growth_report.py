"""The table and the plot of what scripts/simulate_growth.py measured."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
COLUMNS = {
    "vectors": "vectors",
    "segments": "segments",
    "way": "way",
    "build_s": "build, s",
    "mib": "disk, MiB",
    "open_s": "open, s",
    "first_s": "first answer, s",
    "p50_ms": "p50, ms",
    "p95_ms": "p95, ms",
    "recall": "recall at 10",
    "own_mib": "memory, MiB",
    "mapped_mib": "mapped, MiB",
}
TEXT = """# Growth

What searching by meaning costs as a library grows, on 2 cores of an AMD EPYC, a question at a time,
50 passages wanted. Printed by `.venv/bin/python -m scripts.simulate_growth FOLDER --write`
with vectors of real passages moved a little, and questions as far from them as real questions are.

![Milliseconds a question by number of vectors](growth.svg)

*Memory* is the process's own beyond an idle Python with FAISS; *mapped* is what it has looked at of
the files, which the system takes back when it wants the room. *Open* has the SHA-256 of every file
in it; for the FAISS indexes that we do not use it has their building in it, in memory.

Segments of a library also hold 388 bytes for each sentence of its passages, which are hashed when
it is opened and lie mapped beside these; here there are none. Nor is the index of words in it,
which is SQLite's (what a whole search costs is in [retrieval.md](retrieval.md)).

The machine was shared. Up to 100,000 it had little else to do; the million and above were measured
beside other work, and their times are upper bounds. The lists of the ten million were made by an
earlier commit; how many are read was chosen again by this one, once for all ten segments.

{table}
"""
COLOURS = ("#0b6e4f", "#6bbf59", "#c5a100", "#8a2d3b", "#3d5a80", "#7d8597", "#b56576", "#e29578")
LEFT, TOP, WIDTH, HEIGHT = 64, 24, 520, 360
FROM, TO = (1e4, 0.1), (1e7, 1e4)

Row = dict[str, Any]


def write_report(rows: Sequence[Row]) -> None:
    """Write docs/growth.md and docs/growth.svg."""
    (DOCS / "growth.md").write_text(TEXT.format(table=table(rows)), encoding="utf-8")
    (DOCS / "growth.svg").write_text(plot(rows), encoding="utf-8")


def table(rows: Sequence[Row]) -> str:
    """Return the rows in Markdown."""
    lines = [tuple(COLUMNS.values()), ("---",) * len(COLUMNS)]
    lines += [tuple(_shown(row.get(name, "")) for name in COLUMNS) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plot(rows: Sequence[Row]) -> str:
    """Return the milliseconds of each way by the number of vectors, both logarithmic."""
    ways = list(dict.fromkeys(row["way"] for row in rows))
    parts = [*_grid()]
    for number, (way, colour) in enumerate(zip(ways, COLOURS, strict=False)):
        points = [_place(row["vectors"], row["p50_ms"]) for row in rows if row["way"] == way]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
        y = TOP + 14 + 20 * number
        parts.append(f'<rect x="{LEFT + 14}" y="{y - 9}" width="12" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + 32}" y="{y}">{way}</text>')
    size = f'viewBox="0 0 {LEFT + WIDTH + 44} {TOP + HEIGHT + 48}"'
    style = 'font-family="system-ui, sans-serif" font-size="12" fill="#333"'
    body = "\n".join(parts)
    white = '<rect width="100%" height="100%" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{white}\n{body}\n</svg>\n'


def _grid() -> list[str]:
    parts = []
    for vectors, label in (
        (1e4, "10,000"),
        (1e5, "100,000"),
        (1e6, "1 million"),
        (1e7, "10 million"),
    ):
        x, y = _place(vectors, FROM[1])
        parts.append(f'<path d="M{x:.0f} {TOP}V{y:.0f}" stroke="#e3e3e3"/>')
        parts.append(f'<text x="{x:.0f}" y="{y + 18:.0f}" text-anchor="middle">{label}</text>')
    for ms in (0.1, 1, 10, 100, 1000, 10_000):
        x, y = _place(FROM[0], ms)
        parts.append(f'<path d="M{x:.0f} {y:.0f}H{LEFT + WIDTH}" stroke="#e3e3e3"/>')
        parts.append(f'<text x="{x - 8:.0f}" y="{y + 4:.0f}" text-anchor="end">{ms:,g}</text>')
    middle = LEFT + WIDTH / 2
    parts.append(f'<text x="{middle}" y="{TOP + HEIGHT + 40}" text-anchor="middle">vectors</text>')
    parts.append(f'<text x="{LEFT - 56}" y="{TOP - 8}">ms a question, p50</text>')
    return parts


def _place(vectors: float, ms: float) -> tuple[float, float]:
    across = math.log(vectors / FROM[0]) / math.log(TO[0] / FROM[0])
    up = math.log(max(ms, FROM[1]) / FROM[1]) / math.log(TO[1] / FROM[1])
    return LEFT + WIDTH * across, TOP + HEIGHT * (1 - up)


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
