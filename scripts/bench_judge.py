"""What the judge is worth: the right sentence first, look-alikes refused, claims borne out.

    python -m scripts.bench_judge KIT [--home FOLDER] [--quick] [--write]

KIT holds `train/` (of which only the dev split is looked at, and the public questions `kit_*` that
were left out of training; documents that we wrote are split likewise), `e2e/`, `mtrag_un/` and
`kgrag_sec10q/`. Prints a JSON line for each source, with 95 % intervals (bootstrap over questions),
and last one with

    hit1, hit1_without   e2e: how often the best of the eight best sentences holds an accepted
                         answer, with the judge and by features alone
    hit8                 how often one of the eight does
    adversarial_auc      e2e: answerable questions against those that only look so, by the
                         probability that an answer is shown with; also `…_without`
    support_auc          WiCE, dev split: claims that are borne out against the others; `…_without`
                         is the share of the claim's words in the evidence
    ms                   choosing evidence with the judge, and how much more that is, p50 and p95

"Without" is the same code with FOOTNOTE_JUDGE=none. The libraries are read by the product's own
job; --home keeps them. --quick looks at fewer rows of the dev split and at e2e only; else there are
lines for what no training source covers: the sample documents (`scripts/corpus_questions.jsonl`),
MTRAG-UN's conversations, and filings to the SEC, where right is a sentence of the right passage or
file. --write writes docs/judge.md with the learning curve and the reliability diagram.
"""

import argparse
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from answer.conversation import rewritten
from answer.evidence import EvidenceScorer, FeatureScorer, Judgement
from answer.judge import Judge, JudgeScorer, Told
from answer.judge.judge import Readable, shared_words
from answer.types import Evidence
from retrieval import Library, SentenceTransformerEmbedder
from retrieval.ranking import stems_of
from retrieval.types import quoted_text
from scripts import judge_data, workplace
from scripts.bench_follow_ups import written
from scripts.figures import area, interval, milliseconds, share
from scripts.judge_data import Row
from scripts.judge_report import write_report
from scripts.libraries import library_of
from web.settings import Settings
from web.wiring import stay_offline

EIGHT = 8
DEV_ROWS = 300
"""Of each source."""
QUICK_ROWS = 40
COMPANIES = ("AAPL", "NVDA")
"""Whose filings are read: all 20 would take ten minutes."""
CORPUS = Path(__file__).parents[1] / "corpus"
CORPUS_QUESTIONS = Path(__file__).with_name("corpus_questions.jsonl")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, its kind, whether it can be answered, and which evidence is right."""

    question: str
    kind: str
    answerable: bool
    right: Callable[[Evidence], bool]
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """What was found for a question: which of the eight best sentences hold an answer, in order,
    the probability that the best does, the seconds it took to judge, and whether the words that
    are pointed out in the best hold an accepted answer; None if none are."""

    holds: tuple[bool, ...]
    probability: float
    seconds: float
    marked: bool | None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("kit", type=Path)
    parser.add_argument("--home", type=Path, help="where to keep the libraries")
    parser.add_argument("--quick", action="store_true", help="fewer rows, within four minutes")
    parser.add_argument("--write", action="store_true", help="write docs/judge.md")
    given = parser.parse_args()
    if given.quick and given.write:
        parser.error("--quick measures too little to be written")
    stay_offline(Settings())
    keeping = nullcontext(given.home) if given.home else tempfile.TemporaryDirectory()
    with keeping as folder:
        home = Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        embedder = SentenceTransformerEmbedder(graphs=home / "onnx")
        judge = Judge(home / "judge")
        rows = QUICK_ROWS if given.quick else DEV_ROWS
        lines = [*_by_source(given.kit, judge, embedder, rows)]
        support = _support(given.kit, judge, None if not given.quick else 180)
        lines.append(support)
        e2e = given.kit / "e2e"
        questions = _set(e2e / "questions.jsonl")
        found = _end_to_end(e2e / "documents", questions, home / "e2e", embedder, judge)
        if not given.quick:
            lines += _elsewhere(given.kit, home, embedder, judge)
        for line in lines:
            print(json.dumps(line), flush=True)
        last = {
            "bench": "judge",
            **found,
            "support_auc": support["wice"]["auc"],
            "support_auc_without": support["wice"]["without"],
            "quick": given.quick,
        }
        if given.write:
            write_report(lines, last, judge.card)
        last.pop("reliability")
        print(json.dumps(last))


def _by_source(
    kit: Path, judge: Judge, embedder: SentenceTransformerEmbedder, most: int
) -> list[dict[str, Any]]:
    """Return how the judge does on the dev split and the public questions, given the paragraph."""
    by_source: dict[str, list[Row]] = defaultdict(list)
    for row in [*judge_data.questions(kit, "dev"), *workplace.rows("dev")]:
        by_source[row["source"]].append(row)
    for row in judge_data.rows_of(kit / "train" / "evidence.jsonl.gz"):
        if row["source"].startswith("kit_"):
            by_source[row["source"]].append(row)
    lines = []
    for source, rows in by_source.items():
        some = random.Random(6).sample(rows, min(most, len(rows)))
        lines.append(_of_source(source, some, judge, embedder))
        print(f"\rlooked at {source}      ", end="", file=sys.stderr)
    return lines


def _of_source(
    source: str, rows: Sequence[Row], judge: Judge, embedder: SentenceTransformerEmbedder
) -> dict[str, Any]:
    first, plain, there, near = [], [], [], []
    spans = []
    for row in rows:
        title = row["title"] or ""
        (said,) = judge.read(row["question"], [Readable(title, row["sentences"])])
        texts = [quoted_text(title, text) for text in row["sentences"]]
        question, *vectors = embedder.embed([row["question"], *texts])
        cosines = np.array(vectors) @ question
        there.append((row["answerable"], said.answerable))
        near.append((row["answerable"], float(cosines.max())))
        if row["answerable"]:
            first.append(bool(row["labels"][int(said.answers.argmax())]))
            plain.append(bool(row["labels"][int(cosines.argmax())]))
            if (overlap := _overlap(row, said)) is not None:
                spans.append(overlap)
    return {
        "bench": "judge",
        "source": source,
        "questions": len(rows),
        "hit1": share(first),
        "hit1_between": interval(first, share),
        "hit1_by_cosine": share(plain),
        "answerable_auc": area(there),
        "answerable_between": None if area(there) is None else interval(there, area),
        "answerable_auc_by_cosine": area(near),
        "span_f1": round(statistics.fmean(spans), 3) if spans else None,
    }


def _overlap(row: Row, said: Told) -> float | None:
    """Return the F1 of the words pointed out in the right sentence and an answer (SQuAD's)."""
    number = row["labels"].index(1)
    a, b = said.spans[number]
    text = row["sentences"][number]
    answers = [stems_of(answer) for answer in row["answers"] if answer.lower() in text.lower()]
    mine = stems_of(text[a:b])
    if not answers:
        return None
    best = 0.0
    for theirs in answers:
        shared = sum(min(mine.count(word), theirs.count(word)) for word in set(mine))
        if shared:
            precision, recall = shared / len(mine), shared / len(theirs)
            best = max(best, 2 * precision * recall / (precision + recall))
    return best


def _support(kit: Path, judge: Judge, most: int | None) -> dict[str, Any]:
    """Return the area of claims borne out against others, of each source."""
    known = judge_data.claims(kit, "train")
    seen = {_plain(row[name]) for row in known for name in ("claim", "evidence")}
    rows = [
        row
        for row in judge_data.claims(kit, "dev")
        if not {_plain(row["claim"]), _plain(row["evidence"])} & seen
    ]
    if most is not None:
        order = sorted(rows, key=lambda row: row["source"] != "wice")
        rows = order[:most]
    by_source: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_source[row["source"]].append(row)
    line: dict[str, Any] = {"bench": "judge", "support": True}
    for source, some in by_source.items():
        said = [p or 0.0 for p in judge.supports([(r["claim"], r["evidence"]) for r in some])]
        borne = [row["label"] == "supported" for row in some]
        words = [shared_words(row["claim"], row["evidence"]) for row in some]
        pairs = list(zip(borne, said, strict=True))
        by_claim: dict[str, list[tuple[bool, float]]] = defaultdict(list)
        for row, pair in zip(some, pairs, strict=True):
            by_claim[row["claim"]].append(pair)  # rows of one claim are drawn together
        auc = area(pairs)
        error, _ = _reliability(said, borne)
        line[source] = {
            "rows": len(some),
            "claims": len(by_claim),
            "auc": auc,
            "between": None if auc is None else interval([*by_claim.values()], _area_of_groups),
            "without": area(list(zip(borne, words, strict=True))),
            "calibration_error": error,
        }
    return line


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _area_of_groups(groups: Sequence[Sequence[tuple[bool, float]]]) -> float | None:
    return area([pair for group in groups for pair in group])


def _end_to_end(
    documents: Path,
    questions: Sequence[Asked],
    home: Path,
    embedder: SentenceTransformerEmbedder,
    judge: Judge,
) -> dict[str, Any]:
    """Ask the questions of a set as a reader would, with the judge and without."""
    library = library_of(documents, home, embedder)
    features = FeatureScorer(embedder)
    scorers: dict[str, EvidenceScorer] = {
        "": JudgeScorer(judge, features),
        "_without": features,
    }
    figures: dict[str, Any] = {"questions": len(questions)}
    looks: dict[str, list[Look]] = {}
    for name, scorer in scorers.items():
        found = looks[name] = [_look(q, library, Judgement(scorer)) for q in questions]
        both = list(zip(questions, found, strict=True))
        first = [look.holds[:1] == (True,) for q, look in both if q.answerable]
        figures[f"hit1{name}"] = share(first)
        figures[f"hit1_between{name}"] = interval(first, share)
        figures[f"hit8{name}"] = share([any(look.holds) for q, look in both if q.answerable])
        for kind in ("adversarial", "absent"):
            pairs = [
                (q.kind == "answerable", look.probability)
                for q, look in both
                if q.kind in ("answerable", kind)
            ]
            figures[f"{kind}_auc{name}"] = area(pairs)
            if figures[f"{kind}_auc{name}"] is not None:
                figures[f"{kind}_between{name}"] = interval(pairs, area)
        right = [q.answerable and look.holds[:1] == (True,) for q, look in both]
        probabilities = [look.probability for look in found]
        figures[f"calibration_error{name}"], bins = _reliability(probabilities, right)
        if not name:
            figures["reliability"] = bins
            figures |= _marked([look for q, look in both if q.answers])
    gained = [
        float(a.holds[:1] == (True,)) - float(b.holds[:1] == (True,))
        for q, a, b in zip(questions, looks[""], looks["_without"], strict=True)
        if q.answerable
    ]
    figures["hit1_gained_between"] = interval(gained, statistics.fmean)
    spent = [a.seconds - b.seconds for a, b in zip(*looks.values(), strict=True)]
    whole = [look.seconds for look in looks[""]]
    figures["ms"] = {"judged": milliseconds(whole), "more_than_without": milliseconds(spent)}
    library.close()
    return figures


def _marked(looks: Sequence[Look]) -> dict[str, float | None]:
    """Return in what share of the best sentences that are right words are pointed out, and how
    many of these hold an accepted answer."""
    right = [look.marked for look in looks if look.holds[:1] == (True,)]
    marks = [marked for marked in right if marked is not None]
    return {"marked": share([m is not None for m in right]), "marked_right": share(marks)}


def _elsewhere(
    kit: Path, home: Path, embedder: SentenceTransformerEmbedder, judge: Judge
) -> Iterator[dict[str, Any]]:
    """Yield how the judge does where nothing it was trained on is like it."""
    sets = {
        "corpus": (CORPUS, _set(CORPUS_QUESTIONS)),
        "mtrag_un": _conversations(kit / "mtrag_un" / "reference.jsonl.gz", home / "passages"),
        "sec10q": _filings(kit / "kgrag_sec10q", home / "filings"),
    }
    for name, (documents, questions) in sets.items():
        found = _end_to_end(documents, questions, home / name, embedder, judge)
        yield {"bench": "judge", "set": name, **found}


def _set(file: Path) -> list[Asked]:
    """Return the questions of a file; right is a sentence that holds an accepted answer."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [
        Asked(
            row["question"],
            row["kind"],
            bool(row["answers"]),
            partial(_holds, row["answers"]),
            tuple(row["answers"]),
        )
        for row in rows
    ]


def _conversations(file: Path, folder: Path) -> tuple[Path, list[Asked]]:
    """Return the last questions of conversations; right is a sentence of a right passage."""
    tasks = list(judge_data.rows_of(file))
    if not folder.exists():
        written(tasks, folder)
    questions = []
    for task in tasks:
        (said,) = task["answerability"]
        kinds = {"ANSWERABLE": "answerable", "UNANSWERABLE": "absent"}
        if said not in kinds:
            continue
        *before, last = [turn["text"] for turn in task["input"] if turn["speaker"] == "user"]
        names = [f"{context['document_id']}.txt" for context in task["contexts"]]
        right = partial(_is_from, names)
        asked = rewritten(last, before)
        questions.append(Asked(asked, kinds[said], said == "ANSWERABLE", right))
    return folder, questions


def _filings(folder: Path, copies: Path) -> tuple[Path, list[Asked]]:
    """Return questions to the filings of COMPANIES; right is a sentence of a right filing."""
    copies.mkdir(exist_ok=True)
    for file in (folder / "docs").iterdir():
        if file.stem.endswith(COMPANIES):
            shutil.copyfile(file, copies / file.name)
    rows = judge_data.rows_of(folder / "questions.jsonl.gz")
    return copies, [
        Asked(row["Question"], "answerable", True, partial(_is_from, [row["Source Docs"]]))
        for row in rows
        if any(company in row["Source Docs"] for company in COMPANIES)
    ]


def _look(asking: Asked, library: Library, judgement: Judgement) -> Look:
    snapshot = library.snapshot()
    asked = snapshot.ask(asking.question)
    hits = snapshot.search(asked, limit=Settings().passages)
    began = time.perf_counter()
    found = judgement.select(asked, hits, EIGHT)
    seconds = time.perf_counter() - began
    holds = tuple(asking.right(evidence) for evidence in found)
    probability, marked = 0.0, None
    if found:
        probability, span = found[0].probability, found[0].answer
        if span is not None:
            pointed_out = found[0].text[span[0] - found[0].start : span[1] - found[0].start]
            marked = judge_data.holds(asking.answers, pointed_out)
    return Look(holds, probability, seconds, marked)


def _holds(answers: Sequence[str], evidence: Evidence) -> bool:
    return judge_data.holds(answers, evidence.text)


def _is_from(patterns: Sequence[str], evidence: Evidence) -> bool:
    name = Path(evidence.hit.document.path).name
    return any(fnmatch(name, pattern) for pattern in patterns)


def _reliability(
    probabilities: Sequence[float], right: Sequence[bool]
) -> tuple[float, list[dict[str, float]]]:
    """Return the expected calibration error, and of each tenth what was said and what was so."""
    said, so = np.array(probabilities), np.array(right, float)
    numbers = np.minimum((said * 10).astype(int), 9)
    bins = [
        {
            "said": round(float(said[numbers == n].mean()), 3),
            "so": round(float(so[numbers == n].mean()), 3),
            "questions": int((numbers == n).sum()),
        }
        for n in sorted(set(numbers.tolist()))
    ]
    error = sum(abs(b["said"] - b["so"]) * b["questions"] for b in bins) / len(said)
    return round(error, 3), bins


if __name__ == "__main__":
    main()
