"""The tables and the plot of what scripts/bench_retrieval.py measured."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
Rows = Mapping[str, Row]

DOCS = Path(__file__).parents[1] / "docs"
TEXT = """# Retrieval

How well and how fast passages and sentences are found, on 2 cores of an AMD EPYC with the
bundled embedder. Printed by `python -m scripts.bench_retrieval KIT --sizes … --write`.
Questions are halved by title. What is shown is the half to report; while features were tried,
weights fitted on either half were looked at on the other, so it is not wholly unseen. The weights
that come with the product are fitted on other questions altogether (`scripts/fit_evidence.py`).
Sentences, and whether they answer, are as the bundled judge sees them ([judge.md](judge.md)).

## Which passage

QED (questions that people typed into a search engine), SQuAD 2.0 and ClapNQ over one library of
22,964 paragraphs; {scifact} The simpler rankings are of the
same code, words and vectors: only the way to order differs. They stand for what others do by
default: "dense" for LlamaIndex's retriever, "reciprocal rank" (with 60) for its fusion and
Haystack's joiner, "half and half" for txtai's hybrid of cosine and bm25 out of its most, "seven to
three" for the weights of words and vectors in RAGFlow. The libraries themselves were not run: their
own tokenising and cutting are not in it. "Promise" is cosine and bm25 (out
of the most it could be) added up, which picks the passages that are weighed. Footnote's own was
timed first, when nothing of a question had been counted yet.

{rankings}

## Which sentence

How often the best sentence, or one of the best three, is one that people marked.

{sentences}

## Whether it is there at all

Area under the ROC curve of the probability that the evidence answers: questions that can be
answered, against the same without the document that answers them, without only the paragraph,
and against SQuAD 2.0's adversarial ones, whose paragraph is there and whose answer is not.

{absent}

![Of the questions answered, the share that cannot be, by the share answered](refusal.svg)

Each line mixes as many questions that can be answered as cannot; the dot is where the threshold
of one half puts it. A perfect judge would stay at zero up to the middle.

## What it costs

Milliseconds a question in libraries made of the paragraphs' sentences. "Question" is embedding
it and looking its words up; "vectors" and "words" are the two searches, which are part of the
whole.

{sizes}

## Beside what was aimed at

{aims}
"""
SCIFACT = "SciFact over 5,183 abstracts, by document."
NO_SCIFACT = """SciFact was not run again, and had an nDCG@10 of .745 (.71 was aimed at) with
passages of 160 tokens and without the judge."""
AIMS: tuple[tuple[str, float, Callable[[Rows], float]], ...] = (
    ("hit@5, QED", 0.90, lambda rows: rows["qed"]["hit@5"]),
    ("hit@5, SQuAD 2.0", 0.93, lambda rows: rows["squad2"]["hit@5"]),
    ("hit@5, ClapNQ", 0.92, lambda rows: rows["clapnq"]["hit@5"]),
    ("nDCG@10, SciFact", 0.71, lambda rows: rows["scifact"]["ndcg@10"]),
    ("best sentence, QED", 0.65, lambda rows: rows["qed"]["sentence"]["@1"]),
    ("best sentence, ClapNQ", 0.60, lambda rows: rows["clapnq"]["sentence"]["@1"]),
    ("area, document left out", 0.97, lambda rows: rows["absent"]["auc"]["without_document"]),
    ("area, paragraph left out", 0.85, lambda rows: rows["absent"]["auc"]["without_paragraph"]),
    ("area, adversarial", 0.75, lambda rows: rows["absent"]["auc"]["adversarial"]),
    ("ms at 100,000 passages, p95", 60, lambda rows: rows["100000"]["ms"]["whole"]["p95"]),
    ("first search at 100,000, s", 1, lambda rows: rows["100000"]["first_search_s"]),
)
"""What each figure should reach; of milliseconds and seconds, stay under."""
COLOURS = ("#0b6e4f", "#c5a100", "#8a2d3b")
NAMES = {
    "without_document": "the document left out",
    "without_paragraph": "the paragraph left out",
    "adversarial": "adversarial",
}
LEFT, TOP, WIDTH, HEIGHT = 64, 24, 520, 320
RISKIEST = 0.5
SETS = ("qed", "squad2", "clapnq", "scifact")

Curve = Sequence[tuple[float, float]]


def write_report(rows: Sequence[Row]) -> None:
    """Write docs/retrieval.md and docs/refusal.svg."""
    rankings = [row for name in SETS for row in rows if row.get("set") == name]
    sizes = sorted((row for row in rows if "passages" in row), key=lambda row: row["passages"])
    absent = next((row for row in rows if row["bench"] == "absent"), None)
    if absent is None:
        raise SystemExit("Questions without an answer were not asked: run it with `--sets absent`.")
    measured = any(row["set"] == "scifact" for row in rankings)
    text = TEXT.format(
        scifact=SCIFACT if measured else NO_SCIFACT,
        aims=table(("what", "aim", "measured", ""), _aims(rankings, sizes, absent)),
        rankings=table(
            ("set", "questions", "ranking", "hit@1", "hit@5", "hit@20", "nDCG@10", "ms, p50 / p95"),
            (
                (
                    *(row[k] for k in ("set", "questions", "ranking")),
                    *(f"{row[k]:.3f}" for k in ("hit@1", "hit@5", "hit@20", "ndcg@10")),
                    f"{row['ms']['p50']:.0f} / {row['ms']['p95']:.0f}",
                )
                for row in rankings
            ),
        ),
        sentences=table(
            ("set", "questions", "best", "best three"),
            (
                (
                    row["set"],
                    row["sentence"]["questions"],
                    f"{row['sentence']['@1']:.3f}",
                    f"{row['sentence']['@3']:.3f}",
                )
                for row in rankings
                if "sentence" in row
            ),
        ),
        absent=table(
            ("what is missing", "questions", "area"),
            (
                (name, absent["questions"][kind], f"{absent['auc'][kind]:.3f}")
                for kind, name in NAMES.items()
            ),
        ),
        sizes=table(
            (
                *("passages", "whole, p50 / p95", "question", "vectors", "words"),
                *("first search, s", "peak memory, MiB"),
            ),
            (
                (
                    f"{row['passages']:,}",
                    *(_both(row["ms"][k]) for k in ("whole", "question", "vectors", "words")),
                    row["first_search_s"],
                    row["peak_mib"],
                )
                for row in sizes
            ),
        ),
    )
    (DOCS / "retrieval.md").write_text(text, encoding="utf-8")
    (DOCS / "refusal.svg").write_text(plot(absent["probabilities"]), encoding="utf-8")


def _aims(
    rankings: Sequence[Row], sizes: Sequence[Row], absent: Row
) -> Iterator[tuple[str, float, str, str]]:
    """Yield what was aimed at, measured, and whether it is missed; what was not run is left out."""
    rows = {"absent": absent, **{str(row["passages"]): row for row in sizes}}
    rows |= {row["set"]: row for row in rankings if row["ranking"] == "footnote"}
    for name, aim, figure in AIMS:
        try:
            measured = figure(rows)
        except KeyError:
            continue
        missed = measured > aim if aim >= 1 else measured < aim
        said = f"{measured:.1f}" if aim >= 1 else f"{measured:.3f}"
        yield name, aim, said, "missed" if missed else ""


def plot(found: Mapping[str, Sequence[float]]) -> str:
    """Return the risk by the coverage, a line for each kind of question that has no answer."""
    parts = [*_grid()]
    for number, (kind, colour) in enumerate(zip(NAMES, COLOURS, strict=True)):
        answerable = found["squad2" if kind == "adversarial" else "with"]
        curve, half = _curve(answerable, found[kind])
        path = " ".join("{:.1f},{:.1f}".format(*_place(*point)) for point in curve)
        x, y = _place(*half)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
        y = TOP + 14 + 20 * number
        parts.append(f'<rect x="{LEFT + 14}" y="{y - 9}" width="12" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + 32}" y="{y}">{NAMES[kind]}</text>')
    size = f'viewBox="0 0 {LEFT + WIDTH + 44} {TOP + HEIGHT + 48}"'
    style = 'font-family="system-ui, sans-serif" font-size="12" fill="#333"'
    white = '<rect width="100%" height="100%" fill="#fff"/>'
    body = "\n".join((white, *parts))
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{body}\n</svg>\n'


def _curve(right: Sequence[float], wrong: Sequence[float]) -> tuple[Curve, tuple[float, float]]:
    """Return (share answered, share of those that cannot be), both kinds weighing the same, from
    the surest on; and the point at a threshold of one half."""
    both = [(p, 1 / len(right), 0.0) for p in right] + [(p, 0.0, 1 / len(wrong)) for p in wrong]
    answered = missing = 0.0
    curve, half = [], (0.0, 0.0)
    for probability, there, absent in sorted(both, reverse=True):
        answered += (there + absent) / 2
        missing += absent / 2
        point = (answered, missing / answered)
        curve.append(point)
        if probability >= 0.5:
            half = point
    return curve[:: max(1, len(curve) // 400)], half


def _grid() -> Iterator[str]:
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = _place(share, 0.0)
        yield f'<path d="M{x:.0f} {TOP}V{y:.0f}" stroke="#e3e3e3"/>'
        yield f'<text x="{x:.0f}" y="{y + 18:.0f}" text-anchor="middle">{share:.0%}</text>'
    for risk in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5):
        x, y = _place(0.0, risk)
        yield f'<path d="M{x:.0f} {y:.0f}H{LEFT + WIDTH}" stroke="#e3e3e3"/>'
        yield f'<text x="{x - 8:.0f}" y="{y + 4:.0f}" text-anchor="end">{risk:.0%}</text>'
    middle, low = LEFT + WIDTH / 2, TOP + HEIGHT + 40
    yield f'<text x="{middle}" y="{low}" text-anchor="middle">questions answered</text>'
    yield f'<text x="{LEFT - 56}" y="{TOP - 8}">of those, what cannot be answered</text>'


def _place(coverage: float, risk: float) -> tuple[float, float]:
    return LEFT + WIDTH * coverage, TOP + HEIGHT * (1 - min(risk, RISKIEST) / RISKIEST)


def _both(quantiles: Mapping[str, float]) -> str:
    return f"{quantiles['p50']:.0f} / {quantiles['p95']:.0f}"


def table(names: Sequence[str], rows: Iterator[Sequence[Any]] | Any) -> str:
    """Return a table in Markdown."""
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
