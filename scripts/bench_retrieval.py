"""How well and how fast passages and sentences are found, beside simpler rankings of the same code.

    python -m scripts.bench_retrieval KIT [--home FOLDER] [--half choose|report] [--limit N]
        [--sets qed,squad2,clapnq,scifact,absent] [--sizes 1000,10000,100000] [--write]

KIT holds `kit_open_qa/` (paragraphs, questions with the paragraphs and sentences that answer them)
and `scifact/` (abstracts and claims). Each becomes a library of Markdown documents, one a title,
read by the product's own job; --home keeps them for the next time. Questions are halved by title:
one half to choose by, the other to report.

Prints one JSON line for each question set and ranking: hit@k, nDCG@10, and milliseconds a search.
Passages that follow each other are one hit, under every ranking. A hit counts as a paragraph if at
least half of the shorter of the two stands in the other; for SciFact the document counts.
`sentence` is how often the best sentence, or one of the best three, holds or is held by one that
people marked. `absent` has the area under the ROC curve of the probability that the evidence
answers: answerable questions against the same without the document, or the paragraph, that answers
them, and against adversarial ones. For each of --sizes one line says what a search costs in a
library of so many passages, made of sentences of the paragraphs."""

import argparse
import gzip
import hashlib
import json
import math
import random
import resource
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from answer.evidence import Judgement
from answer.judge import Judge, judged_by
from ingest import Job, Options, Sandbox
from retrieval import Filters, Hit, Library, SentenceTransformerEmbedder
from retrieval.folding import MOST_MERGED
from retrieval.ranking import Asked
from retrieval.snapshot import Snapshot
from scripts.figures import area_between, milliseconds
from scripts.many_passages import Pool, many
from scripts.retrieval_report import write_report
from web.settings import Settings
from web.wiring import stay_offline

DEPTH = 20
TIMED = 300
"""Questions that each size is timed with."""
RRF = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009)."""
SETS = ("qed", "squad2", "clapnq", "scifact", "absent")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the (document, start, stop) that answer it, and the sentences marked in it."""

    text: str
    gold: tuple[tuple[str, int, int], ...]
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shelf:
    """A library, what judges its evidence, and where each paragraph stands."""

    library: Library
    judgement: Judgement
    places: Mapping[str, tuple[str, int, int]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("kit", type=Path)
    parser.add_argument("--home", type=Path, help="where to keep the libraries")
    parser.add_argument("--half", choices=("choose", "report"), default="report")
    parser.add_argument("--limit", type=int, help="questions of each set, drawn at random")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--sizes", default="", help="passages of libraries to time searches in")
    parser.add_argument(
        "--write",
        action="store_true",
        help="write docs/retrieval.md, also from what earlier runs with this --home measured",
    )
    given = parser.parse_args()
    if given.write and given.half != "report":
        parser.error("only the half to report is written")
    stay_offline(Settings())
    wanted = given.sets.split(",")
    keeping = nullcontext(given.home) if given.home else tempfile.TemporaryDirectory()
    with keeping as home:
        home = Path(home)
        if set(wanted) - {"scifact"} or given.sizes:
            _open_qa(given, home, wanted)
        if "scifact" in wanted:
            shelf = _shelf(home / "scifact", _abstracts(given.kit))
            questions = _claims(given.kit, shelf, given.half, given.limit)
            _measure("scifact", shelf, questions, by_document=True)
            shelf.library.close()
        every = _keep(home / f"figures-{given.half}.json")
        if given.write:
            write_report([*every.values()])


MEASURED: dict[str, Row] = {}


def _print(figures: Row) -> None:
    names = ("bench", "set", "ranking", "passages")
    MEASURED[" ".join(str(figures[name]) for name in names if name in figures)] = figures
    print(json.dumps({k: v for k, v in figures.items() if k != "probabilities"}), flush=True)


def _keep(file: Path) -> dict[str, Row]:
    """Keep what was measured with what was before; return all of it."""
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    every: dict[str, Row] = before | MEASURED
    file.write_text(json.dumps(every), encoding="utf-8")
    return every


def _open_qa(given: argparse.Namespace, home: Path, wanted: Sequence[str]) -> None:
    shelf = _shelf(home / "open_qa", _paragraphs(given.kit))
    queries = list(_rows(given.kit / "kit_open_qa" / "queries.jsonl.gz"))
    mine = [q for q in queries if _half(q["group"]) == given.half]
    for name in ("qed", "squad2", "clapnq"):
        if name in wanted:
            some = [q for q in mine if q["set"] == name and q["label"].startswith("answerable")]
            questions = [_question(q, shelf) for q in _drawn(some, given.limit)]
            _measure(name, shelf, questions)
    if "absent" in wanted:
        _measure_absent(shelf, mine, given.limit)
    if given.sizes:
        asked = [query["question"] for query in _drawn(mine, TIMED)]
        sizes = [int(size) for size in given.sizes.split(",")]
        _measure_sizes(shelf, home, asked, sizes)
    shelf.library.close()


def _rows(path: Path) -> Iterator[Row]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from (json.loads(line) for line in file if line.strip())


def _half(group: str) -> str:
    return ("choose", "report")[hashlib.sha256(group.encode()).digest()[0] % 2]


def _drawn(rows: Sequence[Row], limit: int | None) -> list[Row]:
    rng = random.Random(5)
    return rng.sample(rows, min(limit or len(rows), len(rows)))


def _paragraphs(kit: Path) -> dict[str, dict[str, str]]:
    """Return the text of each paragraph by id, by title."""
    titles: dict[str, dict[str, str]] = defaultdict(dict)
    for row in _rows(kit / "kit_open_qa" / "corpus.jsonl.gz"):
        titles[row["title"]][row["id"]] = row["text"]
    return titles


def _abstracts(kit: Path) -> dict[str, dict[str, str]]:
    return {
        f"{row['title']} ({row['doc_id']})": {row["doc_id"]: " ".join(row["abstract"])}
        for row in _rows(kit / "scifact" / "corpus.jsonl.gz")
    }


def _shelf(home: Path, titles: Mapping[str, Mapping[str, str]]) -> Shelf:
    """Return a library of documents, one a title, made unless it is there."""
    embedder = SentenceTransformerEmbedder(graphs=home / "onnx")
    library = Library(home / "library", embedder)
    texts = {
        title: f"# {title}\n\n" + "\n\n".join(p.values()) + "\n" for title, p in titles.items()
    }
    names = {title: f"{hashlib.sha256(title.encode()).hexdigest()[:20]}.md" for title in titles}
    if not library.generation:
        (home / "documents").mkdir(parents=True, exist_ok=True)
        for title, text in texts.items():
            (home / "documents" / names[title]).write_text(text, encoding="utf-8")
        with Sandbox() as sandbox:
            job = Job(library, embedder, [sandbox], chunk_tokens=Settings().chunk_tokens)
            job.run([home / "documents"], _show, Options())
    ids = {Path(document.path).name: document.id for document in library.documents()}
    places = {}
    for title, paragraphs in titles.items():
        at = 0
        for name, text in paragraphs.items():
            start = texts[title].index(text, at)
            at = start + len(text)
            places[name] = (ids[names[title]], start, at)
    return Shelf(library, judged_by(embedder, Judge(home / "judge")), places)


def _show(progress: Any) -> None:
    print(f"\rembedded {progress.passages} passages", end="", file=sys.stderr)


def _question(query: Row, shelf: Shelf) -> Question:
    gold = query.get("gold_sentences") or []
    marked = [s for some in gold for s in (some if isinstance(some, list) else [some])]
    if query["set"] == "qed" and query.get("support") != "single_sentence":
        marked = []
    return Question(query["question"], tuple(shelf.places[p] for p in query["gold"]), (*marked,))


def _claims(kit: Path, shelf: Shelf, half: str, limit: int | None) -> list[Question]:
    """Return the claims and the abstracts they cite, as the BEIR benchmark takes them."""
    rows = _rows(kit / "scifact" / "claims_train.jsonl.gz")
    mine = [row for row in rows if _half(row["id"]) == half]
    return [
        Question(row["claim"], tuple(shelf.places[str(d)] for d in row["cited_doc_ids"]))
        for row in _drawn(mine, limit)
    ]


Ranking = Callable[[Snapshot, Asked], Sequence[Hit]]


def _ours(snapshot: Snapshot, asked: Asked) -> Sequence[Hit]:
    return snapshot.search(asked, limit=MOST_MERGED * DEPTH)


def _plain(order: Callable[[Snapshot, Asked], Mapping[int, float]]) -> Ranking:
    """Return a ranking by one number a passage, without weighing or folding."""

    def ranking(snapshot: Snapshot, asked: Asked) -> Sequence[Hit]:
        scores = order(snapshot, asked)
        best = sorted(scores, key=lambda i: (-scores[i], i))[: MOST_MERGED * DEPTH]
        return snapshot.hits({i: scores[i] for i in best}, asked)

    return ranking


def _fused(snapshot: Snapshot, asked: Asked) -> Mapping[int, float]:
    scores: dict[int, float] = defaultdict(float)
    for ranking in (snapshot.nearest(asked), snapshot.wordy(asked)):
        for rank, i in enumerate(sorted(ranking, key=lambda i: (-ranking[i], i)), start=1):
            scores[i] += 1 / (RRF + rank)
    return scores


def _weighed(vectors: float) -> Callable[[Snapshot, Asked], Mapping[int, float]]:
    """Return a fusion of cosines and of bm25, out of the most that was found, by fixed shares."""

    def fused(snapshot: Snapshot, asked: Asked) -> Mapping[int, float]:
        near, wordy = snapshot.nearest(asked), snapshot.wordy(asked)
        most = max(wordy.values(), default=1.0)
        return {
            i: vectors * near.get(i, 0.0) + (1 - vectors) * wordy.get(i, 0.0) / most
            for i in {*near, *wordy}
        }

    return fused


# Ours comes first, when no word of a question was counted yet for another.
RANKINGS: Mapping[str, Ranking] = {
    "footnote": _ours,
    "bm25": _plain(lambda snapshot, asked: snapshot.wordy(asked)),
    "dense": _plain(lambda snapshot, asked: snapshot.nearest(asked)),
    "reciprocal rank": _plain(_fused),
    "half and half": _plain(_weighed(0.5)),
    "seven to three": _plain(_weighed(0.3)),
    "promise": _plain(lambda snapshot, asked: snapshot.promises(asked)),
}


def _measure(
    name: str, shelf: Shelf, questions: Sequence[Question], *, by_document: bool = False
) -> None:
    snapshot = shelf.library.snapshot()
    snapshot.search("warm up")
    for ranking, search in RANKINGS.items():
        ranks, seconds = [], []
        for question in questions:
            began = time.perf_counter()
            hits = search(snapshot, snapshot.ask(question.text))
            hits = snapshot.with_neighbours(hits, DEPTH)
            seconds.append(time.perf_counter() - began)
            ranks.append(_ranks(hits, question, by_document=by_document))
        figures: dict[str, Any] = {"bench": "retrieval", "set": name, "ranking": ranking}
        figures["questions"] = len(questions)
        figures |= {f"hit@{k}": _mean([r[:1] and r[0] <= k for r in ranks]) for k in (1, 5, 20)}
        gains = [_ndcg(r, len(q.gold)) for r, q in zip(ranks, questions, strict=True)]
        figures["ndcg@10"] = _mean(gains)
        figures["ms"] = milliseconds(seconds)
        if ranking == "footnote":
            figures |= _sentences(snapshot, shelf.judgement, [q for q in questions if q.sentences])
        _print(figures)


def _ranks(hits: Sequence[Hit], question: Question, *, by_document: bool) -> list[int]:
    """Return the ranks of the right hits, each right thing counted once."""
    ranks, left, seen, rank = [], [*question.gold], set(), 0
    for hit in hits:
        if by_document and hit.document.id in seen:
            continue
        seen.add(hit.document.id)
        rank += 1
        right = [g for g in left if _is(hit, g, by_document=by_document)]
        if right:
            left = [g for g in left if g not in right]
            ranks.append(rank)
    return ranks


def _is(hit: Hit, gold: tuple[str, int, int], *, by_document: bool) -> bool:
    document, start, stop = gold
    if hit.document.id != document and document not in {d.id for d in hit.also_in}:
        return False
    if by_document or hit.document.id != document:
        return True
    shared = min(hit.passage.stop, stop) - max(hit.passage.start, start)
    return 2 * shared >= min(hit.passage.stop - hit.passage.start, stop - start)


def _ndcg(ranks: Sequence[int], count: int) -> float:
    gained = sum(1 / math.log2(rank + 1) for rank in ranks if rank <= 10)
    return gained / sum(1 / math.log2(rank + 1) for rank in range(1, min(count, 10) + 1))


def _sentences(
    snapshot: Snapshot, judgement: Judgement, questions: Sequence[Question]
) -> dict[str, Any]:
    """Return how often the best sentences are among those that people marked."""
    firsts, passages = [], Settings().passages
    if not questions:
        return {}
    for question in questions:
        asked = snapshot.ask(question.text)
        judged = judgement.judge(asked, snapshot.search(asked, limit=passages))
        best = [judged.candidates[i].text for i in judged.order[:3]] if judged else []
        firsts.append([_same(text, question.sentences) for text in best])
    shares = {f"@{k}": _mean([any(flags[:k]) for flags in firsts]) for k in (1, 3)}
    return {"sentence": {"questions": len(questions), **shares}}


def _same(text: str, marked: Sequence[str]) -> bool:
    mine = _key(text)
    return any(
        mine == g or (len(mine) > 20 and mine in g) or (len(g) > 20 and g in mine)
        for g in map(_key, marked)
    )


def _key(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())


def _measure_absent(shelf: Shelf, queries: Sequence[Row], limit: int | None) -> None:
    """Ask what can be answered, what cannot any more, and what only looks as if it could."""
    answerable = [q for q in queries if q.get("absent_if_title_removed")]
    answerable = _drawn(answerable, limit)
    squad = [q for q in queries if q["set"] == "squad2"]
    groups = {
        "with": answerable,
        "without_document": answerable,
        "without_paragraph": answerable,
        "squad2": _drawn([q for q in squad if q["label"] == "answerable"], limit),
        "adversarial": _drawn([q for q in squad if q["label"] != "answerable"], limit),
    }
    snapshot, judgement = shelf.library.snapshot(), shelf.judgement
    found: dict[str, list[float]] = {}
    for kind, some in groups.items():
        found[kind] = [_probability(snapshot, judgement, shelf, q, kind) for q in some]
    figures: dict[str, Any] = {
        "bench": "absent",
        "questions": {k: len(v) for k, v in found.items()},
    }
    figures["auc"] = {
        "without_document": area_between(found["with"], found["without_document"]),
        "without_paragraph": area_between(found["with"], found["without_paragraph"]),
        "adversarial": area_between(found["squad2"], found["adversarial"]),
    }
    figures["answered_at_half"] = {k: _mean([p >= 0.5 for p in v]) for k, v in found.items()}
    figures["probabilities"] = {k: [round(p, 3) for p in v] for k, v in found.items()}
    _print(figures)


def _measure_sizes(shelf: Shelf, home: Path, asked: Sequence[str], sizes: Sequence[int]) -> None:
    """Time each part of a search; of the first, in a library that was just opened, the whole."""
    pool = Pool.of(shelf.library.snapshot())
    for size in sizes:
        embedder = SentenceTransformerEmbedder(graphs=home / "open_qa" / "onnx")
        embedder.embed(["warm up"])
        many(home / f"of-{size}", pool, size, embedder).close()
        began = time.perf_counter()
        library = Library(home / f"of-{size}", embedder)
        library.search(asked[0])
        first = time.perf_counter() - began
        parts: dict[str, list[float]] = defaultdict(list)
        for question in asked[1:]:
            snapshot = library.snapshot()
            with _timed(parts["whole"]):
                with _timed(parts["question"]):
                    ready = snapshot.ask(question)
                snapshot.search(ready, limit=Settings().passages)
            with _timed(parts["vectors"]):
                snapshot.nearest(ready)
            with _timed(parts["words"]):
                snapshot.wordy(ready)
        figures: dict[str, Any] = {"bench": "retrieval", "passages": size}
        figures["first_search_s"] = round(first, 2)
        figures["ms"] = {name: milliseconds(seconds) for name, seconds in parts.items()}
        figures["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        _print(figures)
        library.close()


@contextmanager
def _timed(seconds: list[float]) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds.append(time.perf_counter() - began)


def _probability(
    snapshot: Snapshot, judgement: Judgement, shelf: Shelf, query: Row, kind: str
) -> float:
    asked = snapshot.ask(query["question"])
    gold = [shelf.places[p] for p in query["gold"]]
    filters, passages = None, Settings().passages
    if kind == "without_document":
        filters = Filters(except_ids=tuple({document for document, _, _ in gold}))
    if kind == "without_paragraph":
        hits = snapshot.search(asked, limit=passages + 5, filters=filters)
        touched = [h for h in hits if any(_touches(h, g) for g in gold)]
        hits = [h for h in hits if h not in touched][:passages]
    else:
        hits = snapshot.search(asked, limit=passages, filters=filters)
    evidence = judgement.select(asked, hits, 1)
    return evidence[0].probability if evidence else 0.0


def _touches(hit: Hit, gold: tuple[str, int, int]) -> bool:
    document, start, stop = gold
    inside = hit.passage.start < stop and start < hit.passage.stop
    return (hit.document.id == document and inside) or document in {d.id for d in hit.also_in}


def _mean(values: Sequence[Any]) -> float:
    return round(statistics.fmean(bool(v) if not isinstance(v, float) else v for v in values), 3)


if __name__ == "__main__":
    main()
