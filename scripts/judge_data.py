"""What the judge is trained on: rows of the training kit, chosen, cut into tokens, and batched.

Questions come with the sentences of a paragraph and which of them answer; claims with evidence and
whether it bears them out. Left out are what we measure on (`kit_*`, and whatever shares an article
or a question with it), sources whose licence is stated nowhere in their repository, and dialogue.
"""

import gzip
import hashlib
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from answer.judge.network import SUPPORT
from answer.judge.reading import Reader, Reading
from retrieval import SentenceTransformerEmbedder
from retrieval.sentences import sentence_spans

CAPS = {
    "squad2_train_pairs": None,
    "squad1_train_sent": None,
    "nq_open_gold": None,
    "selqa": None,
    "covidqa": None,
    "condaqa": 2500,
    "policyqa": 2500,
}
"""Sources of questions, and the most rows of each; None takes all."""
CLAIMS = ("wice", "wice_sub", "scifact", "fm2", "fever_symmetric", "begin_wow")
MINED = ("squad2_train_pairs", "nq_open_gold", "selqa")
"""Sources whose questions are also asked of paragraphs that only look alike."""
MINED_SHARE = 0.5
FIT_SHARE = 10
"""One group in so many is kept from the judge, for whoever fits weights on what it says."""
NEAREST = 12
"""Paragraphs that are looked at for one that is alike and does not answer."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """A reading and what is right: of a question `right` flags its sentences and `span` is the
    first and last token of the answer, where it is known; of a claim `support` numbers SUPPORT.
    """

    source: str
    unit: str
    reading: Reading
    right: tuple[bool, ...] = ()
    span: tuple[int, int] | None = None
    support: int | None = None

    @property
    def size(self) -> int:
        """Tokens."""
        return len(self.reading.ids)


def rows_of(file: Path) -> Iterator[Row]:
    """Yield the rows of a file of JSON lines."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


@dataclass(frozen=True, slots=True)
class Measured:
    """What the kit measures on, by question, by article and by paragraph: never trained on."""

    questions: frozenset[str]
    groups: frozenset[str]
    paragraphs: frozenset[str]

    @classmethod
    def by(cls, kit: Path) -> "Measured":
        """Return what the questions of `kit_open_qa` and the rows `kit_*` are about."""
        asked = list(rows_of(kit / "kit_open_qa" / "queries.jsonl.gz"))
        gold = {paragraph for query in asked for paragraph in query["gold"]}
        corpus = rows_of(kit / "kit_open_qa" / "corpus.jsonl.gz")
        paragraphs = [row for row in corpus if row["id"] in gold]
        public = [r for r in _evidence(kit) if r["source"].startswith("kit_")]
        return cls(
            frozenset(_plain(query["question"]) for query in asked),
            frozenset({r["group"] for r in public} | {_article(p["title"]) for p in paragraphs}),
            frozenset(
                {paragraph_key(r) for r in public}
                | {_key(paragraph["text"]) for paragraph in paragraphs}
            ),
        )

    def has(self, row: Row) -> bool:
        """Whether a row is about something that is measured on."""
        if not {row["group"], _article(row.get("title") or "")}.isdisjoint(self.groups):
            return True
        if "sentences" not in row:
            return False
        return _plain(row["question"]) in self.questions or paragraph_key(row) in self.paragraphs


def part_of(group: str, dev: bool) -> str:
    """Return whether rows of a group are for "train", to "fit" on what the judge says, or "dev"."""
    if dev:
        return "dev"
    kept = hashlib.sha256(group.encode()).digest()[0] % FIT_SHARE == 0
    return "fit" if kept else "train"


def questions(kit: Path, part: str) -> list[Row]:
    """Return the rows of questions of a part, each source up to its cap.

    What is to train on shares no paragraph with the other parts.
    """
    dev = _dev(kit, "evidence_dev")
    measured = Measured.by(kit)
    rows = [row for row in _evidence(kit) if row["source"] in CAPS and not measured.has(row)]
    parts = [part_of(row["group"], row["id"] in dev) for row in rows]
    kept_apart = {
        paragraph_key(row) for row, its in zip(rows, parts, strict=True) if its != "train"
    }
    mine = [
        row
        for row, its in zip(rows, parts, strict=True)
        if its == part and (part != "train" or paragraph_key(row) not in kept_apart)
    ]
    rng = random.Random(3)
    chosen = []
    for source, cap in CAPS.items():
        some = [row for row in mine if row["source"] == source]
        if cap is not None and len(some) > cap:
            rare = [row for row in some if not row["answerable"]][: cap // 2]
            rest = [row for row in some if row["answerable"]]
            some = rare + rng.sample(rest, min(cap - len(rare), len(rest)))
        chosen += some
    return chosen


def claims(kit: Path, part: str) -> list[Row]:
    """Return the rows of claims of a part."""
    dev = _dev(kit, "support_dev")
    measured = Measured.by(kit)
    rows = rows_of(kit / "train" / "support.jsonl.gz")
    return [
        row
        for row in rows
        if row["source"] in CLAIMS
        and not measured.has(row)
        and part_of(row["group"], row["id"] in dev) == part
    ]


def lookalikes(rows: Sequence[Row], embedder: SentenceTransformerEmbedder) -> list[Row]:
    """Return questions with a paragraph that our embedder and their words find near, and that
    holds none of their answers: half from the article they are about, half from anywhere."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts: dict[str, Row] = {}
    for row in rows:
        texts.setdefault(paragraph_key(row), row)
    keys, others = list(texts), list(texts.values())
    articles = np.array([_article(row["title"] or row["group"]) for row in others])
    bodies = [" ".join(row["sentences"]) for row in others]
    plain = [f" {_plain(body)} " for body in bodies]
    rng = random.Random(4)
    some = [row for row in rows if row["source"] in MINED and row["answerable"]]
    some = rng.sample(some, int(len(some) * MINED_SHARE))
    vectors = embedder.embed([f"{r['title']}\n{b}" for r, b in zip(others, bodies, strict=True)])
    asked = embedder.embed([row["question"] for row in some])
    tfidf = TfidfVectorizer(sublinear_tf=True, stop_words="english").fit(bodies)
    words, said = tfidf.transform([row["question"] for row in some]), tfidf.transform(bodies)
    found = []
    for at in range(0, len(some), 500):
        near = asked[at : at + 500] @ vectors.T + (words[at : at + 500] @ said.T).toarray()
        for row, scores in zip(some[at : at + 500], near, strict=True):
            if rng.random() < 0.5:
                scores = np.where(articles == _article(row["title"]), scores, -1.0)
            answers = [f" {_plain(answer)} " for answer in row["answers"] if _plain(answer)]
            for i in np.argsort(-scores)[:NEAREST]:
                same = articles[i] == _article(row["title"])
                if scores[i] < 0 or keys[i] == paragraph_key(row) or (same and not answers):
                    continue
                if not any(answer in plain[i] for answer in answers):
                    other = {key: others[i][key] for key in ("title", "sentences")}
                    labels = [0] * len(other["sentences"])
                    mined = {"id": f"{row['id']}-mined", "labels": labels, "answerable": False}
                    found.append(row | other | mined)
                    break
    return found


def example_of(row: Row, reader: Reader, rng: random.Random) -> Example | None:
    """Return a question and its paragraph as they are read; None if nothing would be learnt.

    Of a paragraph that is too long, a part that holds an answer is taken, else any.
    """
    readings = list(reader.read(row["question"], row["title"] or "", row["sentences"]))
    flags = [bool(label) for label in row["labels"]]
    parts = [(r, tuple(flags[r.first : r.first + len(r.marks)])) for r in readings]
    holding = [part for part in parts if any(part[1])]
    if not parts or (any(flags) and not holding):
        return None
    reading, right = rng.choice(holding or parts)
    span = _span(row, reading, right) if any(right) else None
    return Example(row["source"], paragraph_key(row), reading, right, span)


def claim_example(row: Row, reader: Reader) -> Example | None:
    """Return a claim and its evidence as they are read; None if the evidence is too long."""
    evidence = row["evidence"]
    sentences = [evidence[a:b] for a, b in sentence_spans(evidence)]
    readings = list(reader.read(row["claim"], "", sentences, claim=True))
    if len(readings) != 1:
        return None
    support = SUPPORT.index(row["label"])
    return Example(row["source"], row["group"], readings[0], support=support)


def batches(examples: Sequence[Example], tokens: int, seed: int) -> list[list[Example]]:
    """Return examples in batches of about so many tokens, of like length, in a mixed order.

    Those of one paragraph, look-alike questions above all, are in one batch.
    """
    rng = random.Random(seed)
    units: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        units[example.unit].append(example)
    order = list(units.values())
    rng.shuffle(order)
    made = []
    pool = 2000
    for at in range(0, len(order), pool):
        some = sorted(order[at : at + pool], key=lambda unit: max(e.size for e in unit))
        batch: list[Example] = []
        for unit in some:
            size = max(e.size for e in [*batch, *unit]) * (len(batch) + len(unit))
            if batch and size > tokens:
                made.append(batch)
                batch = []
            batch = [*batch, *unit]
        made.append(batch)
    rng.shuffle(made)
    return made


def holds(answers: Sequence[str], text: str) -> bool:
    """Whether one of the accepted answers stands in a text, word for word."""
    body = f" {_bare(text)} "
    return any(f" {_bare(answer)} " in body for answer in answers if _bare(answer))


def paragraph_key(row: Row) -> str:
    """Return what tells paragraphs apart, however they are spaced."""
    return _key(" ".join(row["sentences"]))


def _key(text: str) -> str:
    return hashlib.sha256("".join(re.findall(r"\w", text.lower())).encode()).hexdigest()


def _article(title: str) -> str:
    """Return the group that rows about an article have."""
    return f"wiki:{title.lower()}"


def _evidence(kit: Path) -> Iterator[Row]:
    return rows_of(kit / "train" / "evidence.jsonl.gz")


def _dev(kit: Path, name: str) -> set[str]:
    split = json.loads((kit / "train" / "split.json").read_text(encoding="utf-8"))
    return set(split[name])


def _span(row: Row, reading: Reading, right: Sequence[bool]) -> tuple[int, int] | None:
    """Return the first and last token of an answer in a sentence that people marked."""
    for number, flag in enumerate(right):
        text = row["sentences"][reading.first + number].lower()
        if not flag:
            continue
        for answer in sorted(row["answers"], key=len, reverse=True):
            at = text.find(answer.lower()) if answer.strip() else -1
            inside = [
                token
                for token, (a, b) in enumerate(reading.offsets[number])
                if at >= 0 and a < at + len(answer) and b > at
            ]
            if inside:
                first = reading.tokens[number][0]
                return first + inside[0], first + inside[-1]
    return None


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _bare(text: str) -> str:
    return " ".join(word for word in _plain(text).split() if word not in {"a", "an", "the"})
