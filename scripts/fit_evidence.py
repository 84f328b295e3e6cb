"""Fit the weights that rank evidence and decide whether it answers the question.

    python -m scripts.fit_evidence TRAIN_DIR [--questions N]

TRAIN_DIR holds `evidence.jsonl.gz` and `split.json`: rows of a question, a title, the
sentences of a paragraph, a 0/1 label per sentence, and the source they come from. Sources
whose names begin with `kit_` are left out, since they are what we measure on; so are those
that are not questions to documents, or whose licence is not stated with them.

The paragraphs become a library of Markdown documents, one a title, read and searched by the
product's own code. Questions are then asked as a reader would: answerable ones, adversarial
ones (their paragraph is there, their answer is not), and absent ones (answerable, but the
paragraph was left out), in the shares MIX. The fitted weights go to
`answer/evidence_weights.json`, with how they were made and how they do on the held-out
split. Prints one JSON line.
"""

import argparse
import gzip
import hashlib
import json
import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from answer.evidence import (
    DECISION_FEATURES,
    FEATURES,
    WEIGHTS,
    Candidate,
    Matrix,
    Regression,
    decision_features,
    features,
    sentences_of,
)
from ingest import Job, Sandbox
from retrieval import Library, SentenceTransformerEmbedder
from web.settings import Settings

SOURCES = ("squad2_train_pairs", "nq_open_gold", "selqa", "squad1_train_sent")
MIX = {"answerable": 0.5, "adversarial": 0.25, "absent": 0.25}

Row = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A question as the product saw it: features of its sentences, and which are right."""

    kind: str
    rows: Matrix
    right: NDArray[np.bool_]
    candidates: Sequence[Candidate]


def main() -> None:
    """Fit, write the weights, and print how they do."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("--questions", type=int, default=1600)
    args = parser.parse_args()
    rows = list(_rows(args.train))
    held_out = set(json.loads((args.train / "split.json").read_text())["evidence_dev"])
    chosen = _choose(rows, args.questions)
    asked = {row["id"]: a for row, a in _ask(rows, chosen)}
    train = [a for i, a in asked.items() if i not in held_out]
    dev = [a for i, a in asked.items() if i in held_out]
    ranking = _fit_ranking(train)
    decision = _fit_decision(train, Regression(ranking))
    report = {"train": len(train), **_report(dev, Regression(ranking), Regression(decision))}
    WEIGHTS.write_text(
        json.dumps(
            {
                "made_by": "scripts/fit_evidence.py",
                "sources": SOURCES,
                "mix": MIX,
                "held_out": report,
                "features": FEATURES,
                "ranking": ranking,
                "decision_features": DECISION_FEATURES,
                "decision": decision,
            },
            indent=1,
        )
        + "\n"
    )
    print(json.dumps({"fit": "evidence", **report}))


def _rows(folder: Path) -> Iterator[Row]:
    with gzip.open(folder / "evidence.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if row["source"] in SOURCES and row["kind"] in ("gold", "adversarial_unanswerable"):
                yield row


def _choose(rows: Sequence[Row], count: int) -> dict[str, str]:
    """Return the kind each question is asked as, by row id."""
    rng = random.Random(7)
    order = rng.sample(rows, len(rows))
    by_answer = {
        "answerable": [r for r in order if r["answerable"]],
        "adversarial": [r for r in order if not r["answerable"]],
    }
    chosen: dict[str, str] = {}
    left_out: set[str] = set()
    for row in by_answer["answerable"][: int(count * MIX["absent"])]:
        chosen[row["id"]] = "absent"
        left_out.add(_paragraph(row))
    for kind in ("answerable", "adversarial"):
        free = [
            r for r in by_answer[kind] if _paragraph(r) not in left_out and r["id"] not in chosen
        ]
        chosen |= {r["id"]: kind for r in free[: int(count * MIX[kind])]}
    return chosen


def _ask(rows: Sequence[Row], chosen: dict[str, str]) -> Iterator[tuple[Row, Asked]]:
    """Put the paragraphs into a library and ask it the questions."""
    settings = Settings()
    asked = [row for row in rows if row["id"] in chosen]
    with tempfile.TemporaryDirectory() as name, Sandbox() as sandbox:
        embedder = SentenceTransformerEmbedder()
        library = Library(Path(name, "library"), embedder)
        _write(Path(name, "documents"), rows, asked, chosen)
        job = Job(library, embedder, [sandbox], chunk_tokens=settings.chunk_tokens)
        job.run([Path(name, "documents")], lambda *_: None)
        snapshot = library.snapshot()
        for number, row in enumerate(asked):
            print(f"\rasked {number}/{len(asked)}", end="", file=sys.stderr)
            hits = snapshot.search(row["question"], limit=settings.passages)
            if candidates := sentences_of(row["question"], hits, snapshot):
                matrix = features(row["question"], candidates, snapshot, embedder)
                right = np.array([_is_right(row, c.text, chosen[row["id"]]) for c in candidates])
                yield row, Asked(chosen[row["id"]], matrix, right, candidates)
        library.close()


def _write(folder: Path, rows: Sequence[Row], asked: Sequence[Row], chosen: dict[str, str]) -> None:
    """Write one Markdown file a title: the paragraphs asked about, and as many others."""
    absent = {_paragraph(r) for r in asked if chosen[r["id"]] == "absent"}
    wanted = [r for r in asked if _paragraph(r) not in absent]
    titles = {r["title"] for r in asked}
    near = [r for r in rows if r["title"] in titles and _paragraph(r) not in absent]
    wanted += random.Random(7).sample(near, min(len(near), len(wanted)))
    documents: dict[str, dict[str, str]] = defaultdict(dict)
    for row in wanted:
        title = row["title"] or row["group"]
        documents[title].setdefault(_paragraph(row), " ".join(row["sentences"]))
    folder.mkdir()
    for title, paragraphs in documents.items():
        name = hashlib.sha256(title.encode()).hexdigest()[:16]
        text = f"# {title}\n\n" + "\n\n".join(paragraphs.values()) + "\n"
        (folder / f"{name}.md").write_text(text, encoding="utf-8")


def _paragraph(row: Row) -> str:
    return "".join("".join(row["sentences"]).lower().split())[:200]


def _is_right(row: Row, text: str, kind: str) -> bool:
    """Whether a sentence as the product cut it is one that people marked."""
    if kind != "answerable":
        return False
    mine = _key(text)
    gold = [_key(s) for s, label in zip(row["sentences"], row["labels"], strict=True) if label]
    return any(
        mine == g or (len(mine) > 20 and mine in g) or (len(g) > 20 and g in mine) for g in gold
    )


def _key(text: str) -> str:
    return "".join(text.lower().split())


def _fit_ranking(asked: Sequence[Asked]) -> dict[str, Any]:
    some = [a for a in asked if a.right.any()]
    rows = np.concatenate([a.rows for a in some])
    right = np.concatenate([a.right for a in some])
    return _fit(rows, right)


def _fit_decision(asked: Sequence[Asked], ranking: Regression) -> dict[str, Any]:
    return _fit(*_decisions(asked, ranking))


def _decisions(asked: Sequence[Asked], ranking: Regression) -> tuple[Matrix, NDArray[np.bool_]]:
    rows, right = [], []
    for a in asked:
        scores = ranking.logits(a.rows)
        order = np.argsort(-scores, kind="stable")
        rows.append(decision_features(a.rows, scores, order, a.candidates))
        right.append(bool(a.right[order[0]]))
    return np.array(rows), np.array(right)


def _fit(rows: Matrix, right: NDArray[np.bool_]) -> dict[str, Any]:
    scaler = StandardScaler().fit(rows)
    scaler.scale_[scaler.scale_ == 0] = 1.0
    model = LogisticRegression(C=1.0, max_iter=1000).fit(scaler.transform(rows), right)
    return {
        "mean": [round(float(x), 6) for x in scaler.mean_],
        "scale": [round(float(x), 6) for x in scaler.scale_],
        "weights": [round(float(x), 6) for x in model.coef_[0]],
        "constant": round(float(model.intercept_[0]), 6),
    }


def _report(dev: Sequence[Asked], ranking: Regression, decision: Regression) -> dict[str, Any]:
    rows, right = _decisions(dev, ranking)
    probability = 1 / (1 + np.exp(-decision.logits(rows)))
    said = probability > 0.5
    answerable = np.array([a.kind == "answerable" for a in dev])
    earned = int((said & right).sum()) - int((said & ~right).sum())
    return {
        "questions": len(dev),
        "sentence_among_candidates": _mean([a.right.any() for a in dev if a.kind == "answerable"]),
        "best_sentence_right": _mean(right[answerable]),
        "decision_auc": round(float(roc_auc_score(right, probability)), 3),
        "brier": round(float(np.mean((probability - right) ** 2)), 3),
        "truth": round(earned / int(answerable.sum()), 3),
        "refused": {
            kind: _mean([not s for s, a in zip(said, dev, strict=True) if a.kind == kind])
            for kind in MIX
        },
    }


def _mean(flags: Any) -> float:
    return round(float(np.mean(flags)), 3)


if __name__ == "__main__":
    main()
