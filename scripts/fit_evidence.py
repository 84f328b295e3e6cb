"""Fit the weights that rank passages and sentences, and decide whether one answers.

    python -m scripts.fit_evidence KIT [--questions N] [--home FOLDER]

KIT holds `train/` (rows of a question, a title, the sentences of a paragraph, a 0/1 label per
sentence, and the source they come from) and `kit_open_qa/`, what is measured on, which is left out.
So is all that the judge was trained on (`scripts/judge_data.py`): it has seen those answers. Some
of the documents that we wrote (`scripts/workplace.py`) are kept from it as well, and join here.

The paragraphs become a library of Markdown documents, one a title, and our documents stand as they
are, read and searched by the product's own code; --home keeps it for the next time. Questions are
then asked as a reader would: answerable ones, adversarial ones (their paragraph is there, their
answer is not), and answerable ones once more without the paragraph, or without the whole document,
that answers them, in the shares MIX. The weights go to `retrieval/ranking_weights.json`,
`answer/evidence_weights.json` and `answer/judge/weights.json`, with how they were made and how they
do on the held-out split. Prints one JSON line for each scorer.
"""

import argparse
import hashlib
import json
import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from answer import evidence
from answer.calibration import fitted
from answer.evidence import Close, FeatureScorer, Judgement, decision_features
from answer.features import FEATURES, Candidate, candidates_of
from answer.features import features as rows_of
from answer.judge import Judge, JudgeScorer
from answer.judge.judge import FITTED, SUPPORT_FEATURES
from answer.regression import Matrix, Regression, rounded
from retrieval import Filters, Hit, Library, SentenceTransformerEmbedder, ranking
from retrieval.ranking import Asked
from retrieval.snapshot import Snapshot
from scripts import judge_data, workplace
from scripts.libraries import library_of
from web.settings import Settings
from web.wiring import stay_offline

SOURCES = {
    "squad2_train_pairs": 0.4,
    "nq_open_gold": 0.2,
    "selqa": 0.1,
    "squad1_train_sent": 0.05,
    workplace.SOURCE: 0.25,
}
"""What share of the answerable questions comes from each."""
LOOKALIKES = {"squad2_train_pairs": 0.7, workplace.SOURCE: 0.3}
"""The same of the adversarial ones."""
MIX = {"answerable": 0.4, "adversarial": 0.2, "without_paragraph": 0.2, "without_document": 0.2}
EXPECTED = {
    "answerable": 0.5,
    "adversarial": 0.25,
    "without_paragraph": 0.125,
    "without_document": 0.125,
}
"""What readers are taken to ask, who are not known: as much that can be answered as cannot, and of
that as much that looks as if it could as does not. The decision weighs each kind by that, whatever
its share in MIX."""
STRENGTH = 0.03
"""C of the decision. With ten parts of the questions held out by turns, .03 to .1 do best, if by
little; it keeps features that say nearly the same from being weighed against each other."""
DISTRACTORS = 2
"""Paragraphs nobody asks about, for each that somebody does."""

COLLEAGUES = 8
"""Documents on other subjects that a library has beside one of ours that is asked about."""
TELLING = 3
"""Characters of an answer that is not taken to stand in a sentence by chance."""

NOT_YET = Regression({"mean": [], "scale": [], "weights": [], "constant": 0.0})
"""In the place of what is still to be fitted."""

Row = dict[str, Any]
Flags = NDArray[np.bool_]
Scorer = FeatureScorer | JudgeScorer
S = TypeVar("S", FeatureScorer, JudgeScorer)


@dataclass(frozen=True)
class Asking:
    """A question and how it is asked."""

    row: Row
    kind: str


@dataclass(frozen=True)
class Found:
    """What the product found: rows of features of passages, and which are right; the hits."""

    asking: Asking
    asked: Asked
    passages: Matrix
    right_passages: Flags
    hits: Sequence[Hit]


Group = tuple[Found, Sequence[Candidate], Matrix, Flags]
"""A question, its sentences, their features, and which are right."""


def main() -> None:
    """Fit, write the weights, and print how they do."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("kit", type=Path)
    parser.add_argument("--questions", type=int, default=2700)
    parser.add_argument("--home", type=Path, help="where to keep the library")
    args = parser.parse_args()
    stay_offline(Settings())
    rows = {part: list(_rows(args.kit, part)) for part in ("fit", "dev")}
    counts = {"fit": args.questions * 2 // 3, "dev": args.questions // 3}
    askings = [asking for part, some in rows.items() for asking in _choose(some, counts[part])]
    held_out = {row["id"] for row in rows["dev"]}
    keeping = nullcontext(args.home) if args.home else tempfile.TemporaryDirectory()
    with keeping as home:
        embedder = SentenceTransformerEmbedder(graphs=Path(home, "onnx"))
        library = _library(Path(home), embedder, [*rows["fit"], *rows["dev"]], askings)
        found = list(_ask(library.snapshot(), askings))
        ranks = _fit_passages([f for f in found if f.asking.row["id"] not in held_out])
        found = [_again(f, ranks) for f in found]
        library.close()
        judge = Judge(Path(home, "judge"), fitted=False)
        _fit_all(args.kit, found, held_out, ranks, embedder, judge)


def _fit_all(
    kit: Path,
    found: Sequence[Found],
    held_out: set[str],
    ranks: Matrix,
    embedder: SentenceTransformerEmbedder,
    judge: Judge,
) -> None:
    """Fit what both scorers weigh, and write it."""
    train = [f for f in found if f.asking.row["id"] not in held_out]
    dev = [f for f in found if f.asking.row["id"] in held_out]
    groups = _groups(train)
    sentences = _fit_pairs([(rows, right) for _, _, rows, right in groups])
    ranking = Regression(sentences, len(FEATURES))
    features = _remembering(FeatureScorer(embedder, ranking, NOT_YET))
    provenance = {
        "made_by": "scripts/fit_evidence.py",
        "sources": SOURCES,
        "expected": EXPECTED,
        "embedder": embedder.name,
    }
    _write_ranking(ranks)
    reading = _fit_reading(groups, features)
    features = _like(features, FeatureScorer(embedder, ranking, Regression(reading)))
    told = _fitted(train, dev, features, ranks)
    ranked = {"features": FEATURES, "ranking": sentences}
    _write(evidence.WEIGHTS, {**provenance, **ranked, "reading": reading, **told})
    unfitted = _remembering(JudgeScorer(judge, features, NOT_YET))
    reading = _fit_reading(groups, unfitted)
    scorer = _like(unfitted, JudgeScorer(judge, features, Regression(reading)))
    told = _fitted(train, dev, scorer, ranks)
    support = _fit_support(kit, judge)
    ours = {"judge": judge.name, "support": support, "reading": reading}
    _write(FITTED, {**provenance, **ours, **told})


def _fit_support(kit: Path, judge: Judge) -> dict[str, Any]:
    """Return the weights and constant that make support a probability; every source of claims
    weighs the same, since they differ in what makes a claim fail."""
    rows = judge_data.claims(kit, "fit")
    found = judge.support_features([(row["claim"], row["evidence"]) for row in rows])
    borne = [row["label"] == "supported" for row in rows]
    sources = [row["source"] for row in rows]
    weights = [len(rows) / len(set(sources)) / sources.count(source) for source in sources]
    model = LogisticRegression(C=10.0).fit(found, borne, sample_weight=weights)
    constant = round(float(model.intercept_[0]), 4)
    return {
        "claims": len(rows),
        "features": list(SUPPORT_FEATURES),
        "weights": rounded(model.coef_[0]),
        "constant": constant,
    }


def _remembering(scorer: S) -> S:
    """Let a scorer read each question's sentences once: reading is most of the work."""
    read, memory = scorer.closely, {}

    def closely(question: str, candidates: Sequence[Candidate], rows: Matrix) -> Close:
        key = (question, *(c.hit.first for c in candidates))
        if key not in memory:
            memory[key] = read(question, candidates, rows)
        return memory[key]

    return _reading_with(scorer, closely)


def _like(other: S, scorer: S) -> S:
    """Return a scorer that remembers what another has read."""
    return _reading_with(scorer, other.closely)


def _reading_with(scorer: S, closely: Callable[..., Close]) -> S:
    scorer.closely = closely  # type: ignore[method-assign]
    return scorer


def _fitted(
    train: Sequence[Found], dev: Sequence[Found], scorer: Scorer, ranks: Matrix
) -> dict[str, Any]:
    """Fit the decision for a scorer, and say how it does; prints that too."""
    decision = _fit_decision(train, scorer)
    report = {"train": len(train), **_report(dev, scorer, Regression(decision), ranks)}
    print(json.dumps({"fit": "evidence", "scorer": scorer.name, **report}), flush=True)
    names = decision_features(scorer)
    return {"held_out": report, "decision_features": names, "decision": decision}


def _rows(kit: Path, part: str) -> Iterator[Row]:
    for row in [*judge_data.questions(kit, part), *workplace.rows(part)]:
        if row["source"] in SOURCES and row["kind"] in ("gold", "adversarial_unanswerable"):
            yield row


def _choose(rows: Sequence[Row], count: int) -> list[Asking]:
    """Return which questions are asked, and how."""
    rng = random.Random(7)
    order = rng.sample(rows, len(rows))
    askings = []
    for kind, share in MIX.items():
        lookalike = kind == "adversarial"
        for source, part in (LOOKALIKES if lookalike else SOURCES).items():
            wanted = int(count * share * part)
            some = [r for r in order if r["source"] == source and r["answerable"] != lookalike]
            askings += [Asking(row, kind) for row in some[:wanted]]
    return askings


def _library(
    home: Path,
    embedder: SentenceTransformerEmbedder,
    rows: Sequence[Row],
    askings: Sequence[Asking],
) -> Library:
    """Return a library of the paragraphs asked about, of others, and of our documents."""
    if not (home / "documents").exists():
        public = [row for row in rows if row["source"] != workplace.SOURCE]
        asked = [a.row for a in askings if a.row["source"] != workplace.SOURCE]
        _write_documents(home / "documents", public, asked)
        _write_ours(home / "documents")
    return library_of(home / "documents", home / "library", embedder)


def _write_documents(folder: Path, rows: Sequence[Row], asked: Sequence[Row]) -> None:
    """Write one Markdown file a title: the paragraphs asked about, some beside, some elsewhere."""
    rng = random.Random(7)
    titles = {row["title"] for row in asked}
    beside = [row for row in rows if row["title"] in titles]
    others = [row for row in rows if row["title"] not in titles]
    paragraphs = {_paragraph(row) for row in asked}
    count = len(paragraphs) * DISTRACTORS // 2
    wanted = [*asked, *_some(rng, beside, count), *_some(rng, others, count)]
    documents: dict[str, dict[str, str]] = defaultdict(dict)
    for row in wanted:
        title = row["title"] or row["group"]
        documents[title].setdefault(_paragraph(row), " ".join(row["sentences"]))
    folder.mkdir(exist_ok=True)
    for title, texts in documents.items():
        name = hashlib.sha256(title.encode()).hexdigest()[:16]
        text = f"# {title}\n\n" + "\n\n".join(texts.values()) + "\n"
        (folder / f"{name}.md").write_text(text, encoding="utf-8")


def _write_ours(folder: Path) -> None:
    """Write the documents of ours that the judge was not trained on."""
    for document in workplace.documents():
        if document.part != "train":
            name = hashlib.sha256(document.title.encode()).hexdigest()[:16]
            (folder / f"{name}.md").write_text(document.markdown(), encoding="utf-8")


def _some(rng: random.Random, rows: Sequence[Row], count: int) -> list[Row]:
    return rng.sample(rows, min(count, len(rows)))


def _paragraph(row: Row) -> str:
    return "".join("".join(row["sentences"]).lower().split())[:200]


def _ask(snapshot: Snapshot, askings: Sequence[Asking]) -> Iterator[Found]:
    elsewhere = _elsewhere(snapshot)
    for number, asking in enumerate(askings):
        print(f"\rasked {number}/{len(askings)}    ", end="", file=sys.stderr)
        asked = snapshot.ask(asking.row["question"])
        gold = _gold(asking.row) if asking.row["answerable"] else []
        others = elsewhere.get(asking.row["group"], frozenset())
        filters = Filters(except_ids=tuple(others))
        proposed = snapshot.proposed(asked, filters)
        right = {i: any(g in _key(p.passage.text) for g in gold) for i, p in proposed.items()}
        ids = [*proposed]
        if asking.kind == "without_document":
            documents = {proposed[i].passage.document_id for i in ids if right[i]}
            filters = Filters(except_ids=(*others, *documents))
        hits = snapshot.search(asked, limit=len(ids), filters=filters)
        if asking.kind == "without_paragraph":
            hits = [hit for hit in hits if not right.get(hit.first)]
        yield Found(
            asking,
            asked,
            ranking.features(asked, [*proposed.values()]),
            np.array([right[i] for i in ids]),
            hits,
        )


def _elsewhere(snapshot: Snapshot) -> dict[str, frozenset[str]]:
    """Return, for who asks a document of ours, which others of ours are out of reach.

    Each is of an organisation of its own, and a question seldom says which one it means. So each
    has a library with COLLEAGUES documents on other subjects, and the encyclopedia.
    """
    documents = {d.title: d for d in workplace.documents()}
    ids = {d.title: d.id for d in snapshot.allowed(None) if d.title in documents}
    rng = random.Random(9)
    found = {}
    for title in sorted(ids):
        subject = documents[title].subject
        others = [t for t in sorted(ids) if documents[t].subject != subject]
        near = {title, *rng.sample(others, COLLEAGUES)}
        group = f"{workplace.SOURCE}:{title}"
        found[group] = frozenset(i for t, i in ids.items() if t not in near)
    return found


def _again(found: Found, ranks: Matrix) -> Found:
    """Return the hits as the fitted weights rank them, as many as an answer is drawn from."""
    rows = ranking.features(found.asked, [_proposed(hit) for hit in found.hits])
    order = np.argsort(-(rows @ ranks), kind="stable")[: Settings().passages]
    hits = [_scored(found.hits[i], float(rows[i] @ ranks)) for i in order]
    return Found(found.asking, found.asked, found.passages, found.right_passages, hits)


def _proposed(hit: Hit) -> ranking.Proposed:
    return ranking.Proposed.of(hit.passage, hit.document.title, hit.similarity, hit.sentences)


def _scored(hit: Hit, score: float) -> Hit:
    return replace(hit, score=score)


def _gold(row: Row) -> list[str]:
    return [_key(s) for s, label in zip(row["sentences"], row["labels"], strict=True) if label]


def _key(text: str) -> str:
    return "".join(text.lower().split())


def _is_right(found: Found, text: str) -> bool:
    """Whether a sentence as the product cut it is one that people marked, or an accepted answer
    stands in it: another sentence may say it too."""
    if found.asking.kind != "answerable":
        return False
    mine = _key(text)
    return _holds_answer(found, text) or any(
        mine == g or (len(mine) > 20 and mine in g) or (len(g) > 20 and g in mine)
        for g in _gold(found.asking.row)
    )


def _is_doubtful(found: Found, text: str) -> bool:
    """Whether a sentence may well answer though what people marked was held out."""
    return found.asking.kind.startswith("without") and _holds_answer(found, text)


def _holds_answer(found: Found, text: str) -> bool:
    answers = [answer for answer in found.asking.row["answers"] if len(answer) >= TELLING]
    return judge_data.holds(answers, text)


def _fit_passages(found: Sequence[Found]) -> Matrix:
    """Return the weights of `ranking.FEATURES`."""
    some = [(f.passages, f.right_passages) for f in found if f.asking.kind == "answerable"]
    return np.array(_fit_pairs(some)["weights"])


def _write_ranking(weights: Matrix) -> None:
    named = dict(zip(ranking.FEATURES, (round(float(w), 4) for w in weights), strict=True))
    _write(
        ranking.WEIGHTS,
        {"made_by": "scripts/fit_evidence.py", "sources": SOURCES, "weights": named},
    )


def _groups(found: Sequence[Found]) -> list[Group]:
    """Return the sentences found for answerable questions, and which of them are right."""
    groups: list[Group] = []
    for one in found:
        candidates = candidates_of(one.hits)
        if one.asking.kind == "answerable" and candidates:
            right = np.array([_is_right(one, c.text) for c in candidates])
            groups.append((one, candidates, rows_of(one.asked, candidates), right))
    return groups


def _fit_reading(groups: Sequence[Group], scorer: Scorer) -> dict[str, Any]:
    """Return the weights of the logit of features and what a scorer tells."""
    close = []
    for one, candidates, rows, right in groups:
        read = scorer.closely(one.asked.query.text, candidates, rows)
        close.append((read.rows, right[read.read]))
    return _fit_pairs(close)


def _fit_pairs(groups: Sequence[tuple[Matrix, Flags]]) -> dict[str, Any]:
    """Fit so that right rows come before the wrong ones of the same question.

    A logistic regression on the differences of right and wrong rows (RankSVM's pairs with a
    logistic loss; Herbrich et al. 2000). Each question weighs the same.
    """
    groups = [(rows, right) for rows, right in groups if right.any() and not right.all()]
    differences, weights = [], []
    for rows, right in groups:
        pairs = (rows[right][:, None] - rows[~right][None]).reshape(-1, rows.shape[1])
        differences.append(pairs)
        weights.append(np.full(len(pairs), 1 / len(pairs)))
    every = np.concatenate(differences)
    scale = np.sqrt((every**2).mean(0))
    scale[scale == 0] = 1.0
    x = np.concatenate([every / scale, -every / scale])
    y = np.repeat([True, False], len(every))
    weight = np.tile(np.concatenate(weights), 2)
    model = LogisticRegression(C=10.0, fit_intercept=False, max_iter=1000)
    model.fit(x, y, sample_weight=weight * len(groups) / weight.sum())
    size = every.shape[1]
    raw = model.coef_[0] / scale
    return {"mean": [0.0] * size, "scale": [1.0] * size, "weights": rounded(raw), "constant": 0.0}


def _fit_decision(found: Sequence[Found], scorer: Scorer) -> dict[str, Any]:
    rows, right, kinds = _decisions(found, scorer)
    weights = [EXPECTED[kind] * len(kinds) / kinds.count(kind) for kind in kinds]
    return fitted(STRENGTH, rows, right, weights).data


def _decisions(found: Sequence[Found], scorer: Scorer) -> tuple[Matrix, Flags, list[str]]:
    """Return the decision features of each question's best sentence, whether it is right, and how
    the question was asked; those of which nobody can say are left out."""
    rows, right, kinds = [], [], []
    for one in (one for one in found if one.hits):
        judged = Judgement(scorer, NOT_YET).judge(one.asked, one.hits)
        if judged is None:
            raise ValueError("every passage of the training library has a sentence")
        best = judged.candidates[judged.order[0]].text
        if not _is_doubtful(one, best):
            rows.append(judged.decision)
            right.append(_is_right(one, best))
            kinds.append(one.asking.kind)
    return np.array(rows), np.array(right), kinds


def _report(
    dev: Sequence[Found], scorer: Scorer, decision: Regression, ranks: Matrix
) -> dict[str, Any]:
    rows, right, asked = _decisions(dev, scorer)
    probability = decision.probabilities(rows)
    kinds = np.array(asked)
    answerable = kinds == "answerable"
    said = probability > 0.5
    earned = int((said & right).sum()) - int((said & ~right).sum())
    first = [
        bool(f.right_passages[np.argmax(f.passages @ ranks)])
        for f in dev
        if f.hits and f.asking.kind == "answerable"
    ]
    return {
        "questions": len(rows),
        "best_passage_right": _mean(first),
        "best_sentence_right": _mean(right[answerable]),
        "decision_auc": round(float(roc_auc_score(right, probability)), 3),
        "brier": round(float(np.mean((probability - right) ** 2)), 3),
        "truth": round(earned / int(answerable.sum()), 3),
        "auc_against": {
            kind: round(
                float(
                    roc_auc_score(
                        answerable[answerable | (kinds == kind)],
                        probability[answerable | (kinds == kind)],
                    )
                ),
                3,
            )
            for kind in MIX
            if kind != "answerable"
        },
        "refused": {kind: _mean(~said[kinds == kind]) for kind in MIX},
    }


def _write(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def _mean(flags: Any) -> float:
    return round(float(np.mean(flags)), 3)


if __name__ == "__main__":
    main()
