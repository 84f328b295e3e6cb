"""An end-to-end set of the kit, asked of the product's own `Answerer`, and the kit's scorer.

What benchmarks over such a set share: their options, the library of its documents (read by the
product's own job), replies as the scorer reads them, and what it says of them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from answer import Answerer, Ask
from answer.evidence import FeatureScorer, Judgement
from answer.judge import Judge, JudgeScorer
from answer.types import Evidence
from retrieval import Hit, Library, SentenceTransformerEmbedder
from retrieval.ranking import Asked
from scripts.libraries import library_of
from web.schema.asking import AnswerReply
from web.settings import Settings
from web.wiring import stay_offline

HALF = 0.5
"""The least probability of an answer, as the product has it."""


@dataclass(frozen=True)
class Opened:
    """A set: its folder and questions, its library, and what judges."""

    folder: Path
    questions: Sequence[dict[str, Any]]
    settings: Settings
    library: Library
    features: FeatureScorer
    judge: Judge

    def answerer(self, model: Any, **parts: Any) -> Answerer:
        """Return the product's answerer, with some of its parts replaced."""
        usual: dict[str, Any] = {
            "judgement": Judgement(JudgeScorer(self.judge, self.features)),
            "threshold": HALF,
            "support": self.judge,
        }
        return Answerer(self.library, model, passages=self.settings.passages, **usual | parts)


class Remembering(Judgement):
    """Selects evidence once for each question, for benchmarks that ask the same in several ways."""

    def __init__(self, inner: Judgement) -> None:
        super().__init__(inner.scorer)
        self.inner = inner
        self.memory: dict[str, list[Evidence]] = {}

    def select(self, asked: Asked, hits: Sequence[Hit], limit: int) -> list[Evidence]:
        """Return what was selected, once."""
        key = asked.query.text
        if key not in self.memory:
            self.memory[key] = self.inner.select(asked, hits, limit)
        return [*self.memory[key]]


def options(doc: str | None, names: Sequence[str]) -> argparse.Namespace:
    """Return what was asked for on the command line; `only` is a list of some of the names."""
    parser = argparse.ArgumentParser(description=(doc or "").split("\n\n")[0])
    parser.add_argument("kit", type=Path)
    parser.add_argument("--set", type=Path, help="another set, made like e2e/")
    parser.add_argument("--home", type=Path, help="where to keep the library")
    parser.add_argument("--only", default=",".join(names), help="which of them")
    parser.add_argument("--limit", type=int, help="of the questions, the first so many")
    given = parser.parse_args()
    given.only = given.only.split(",")
    if unknown := set(given.only) - set(names):
        parser.error(f"unknown: {', '.join(sorted(unknown))}. There are {', '.join(names)}.")
    return given


@contextmanager
def opened(given: argparse.Namespace) -> Iterator[Opened]:
    """Open the set that the options name."""
    folder = given.set or given.kit / "e2e"
    lines = (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    keeping = nullcontext(given.home) if given.home else tempfile.TemporaryDirectory()
    with keeping as home:
        settings = Settings(home=Path(home))
        stay_offline(settings)
        embedder = SentenceTransformerEmbedder(graphs=settings.home / "models" / "onnx")
        library = library_of(folder / "documents", settings.home, embedder)
        judge = Judge(settings.home / "models" / "judge")
        questions = [json.loads(line) for line in lines][: given.limit]
        try:
            yield Opened(folder, questions, settings, library, FeatureScorer(embedder), judge)
        finally:
            library.close()


def reply(question: dict[str, Any], answerer: Answerer) -> dict[str, Any]:
    """Return the reply to a question as the scorer reads it."""
    found = answerer.answer(Ask(question["question"]))
    said = AnswerReply.of(found).model_dump()
    seconds = found.timings.total / 1000
    first = found.timings.first_token / 1000
    kept = {name: said[name] for name in ("status", "text", "citations")}
    return {"id": question["id"], **kept, "seconds": seconds, "first_token_s": first}


def scored(kit: Path, asked: Path, replies: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return what the scorer says of replies."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(json.dumps(one) + "\n" for one in replies)
        file.flush()
        command = [sys.executable, str(kit / "score.py"), str(asked), "--replies", file.name]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    *kinds, last = [json.loads(line) for line in said.splitlines()]
    statuses = [one["status"] for one in replies]
    written = [len(one["text"].split()) for one in replies if one["text"]]
    return {
        "set": asked.name,
        "variant": name,
        **{kind.pop("kind"): kind for kind in kinds},
        **last,
        "statuses": {status: statuses.count(status) for status in sorted(set(statuses))},
        "words_of_replies": sorted(written)[len(written) // 2] if written else 0,
        "most_words": max(written, default=0),
    }
