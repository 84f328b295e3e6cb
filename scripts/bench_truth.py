"""What each part of an answer earns: questions of an end-to-end set, with one part off at a time.

    python -m scripts.bench_truth KIT [--set FOLDER] [--home FOLDER] [--only NAME,…] [--limit N]

KIT holds `score.py` and `e2e/`; --set names another set that was made like it. Its documents are
read by the product's own job (--home keeps the library), its questions put to the product's own
`Answerer`, one after the other, and the replies scored by KIT's scorer. Variants:

    whole     as it is
    no_gate   whatever the model writes from the evidence is published
    no_model  quotes only
    no_judge  evidence judged by features alone
    no_evidence  nothing is judged: the first sentences of the best passages, and never a refusal

Prints, for each, what the scorer prints, as one JSON line.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from answer import Answerer, Ask
from answer.evidence import FeatureScorer, Judgement
from answer.gate import SupportScorer, Verdict, check
from answer.judge import Judge, JudgeScorer
from answer.types import Evidence
from retrieval import Hit, SentenceTransformerEmbedder
from retrieval.ranking import Asked
from scripts.libraries import library_of
from web.models import start_model
from web.schema import AnswerReply
from web.settings import Settings
from web.wiring import stay_offline

VARIANTS = ("whole", "no_gate", "no_model", "no_judge", "no_evidence")


class FirstSentences(Judgement):
    """Takes the first sentences of the best passages, and is sure of them."""

    def select(self, _: Asked, hits: Sequence[Hit], limit: int) -> list[Evidence]:
        """Return the first sentence of each passage, then the second, and so on."""
        found = []
        for number in range(limit):
            for hit in hits:
                if number < len(hit.passage.sentences):
                    span, text = hit.passage.sentences[number], hit.passage.quotable[number]
                    found.append(Evidence(hit, *span, text, probability=1.0))
        return found[:limit]


def main() -> None:
    """Answer, score and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("kit", type=Path)
    parser.add_argument("--set", type=Path, help="another set, made like e2e/")
    parser.add_argument("--home", type=Path, help="where to keep the library")
    parser.add_argument("--only", default=",".join(VARIANTS), help="which variants")
    parser.add_argument("--limit", type=int, help="of the questions, the first so many")
    given = parser.parse_args()
    asked = given.set or given.kit / "e2e"
    lines = (asked / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines][: given.limit]
    keeping = nullcontext(given.home) if given.home else tempfile.TemporaryDirectory()
    with keeping as home:
        settings = Settings(home=Path(home))
        stay_offline(settings)
        for name, answerer in _variants(asked, settings, given.only.split(",")):
            replies = [reply(question, answerer) for question in questions]
            print(json.dumps(scored(given.kit, asked, replies, name)), flush=True)


def _variants(
    asked: Path, settings: Settings, wanted: Sequence[str]
) -> Iterator[tuple[str, Answerer]]:
    """Yield each variant while it can be asked."""
    embedder = SentenceTransformerEmbedder(graphs=settings.home / "models" / "onnx")
    library = library_of(asked / "documents", settings.home, embedder)
    judge = Judge(settings.home / "models" / "judge")
    model = start_model(settings)
    features = FeatureScorer(embedder)
    judged = Judgement(JudgeScorer(judge, features))
    usual: dict[str, Any] = {
        "model": model,
        "judgement": judged,
        "threshold": 0.5,
        "support": judge,
    }
    others: dict[str, dict[str, Any]] = {
        "no_model": {"model": None},
        "no_judge": {"judgement": Judgement(features), "support": None},
        "no_evidence": {"judgement": FirstSentences(features), "threshold": 0.0},
    }
    try:
        for name in wanted:
            with patch("answer.answerer.check", _passing if name == "no_gate" else check):
                parts = usual | others.get(name, {})
                yield name, Answerer(library, passages=settings.passages, **parts)
    finally:
        model.close()
        library.close()


def _passing(
    written: str, evidence: Sequence[Evidence], question: str, _: SupportScorer | None = None
) -> Verdict:
    """Let everything through, resting on the best evidence."""
    return replace(check(written, evidence, question), evidence=0, reason=None)


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
        "bench": "truth",
        "set": asked.name,
        "variant": name,
        **{kind.pop("kind"): kind for kind in kinds},
        **last,
        "statuses": {status: statuses.count(status) for status in sorted(set(statuses))},
        "words_of_replies": sorted(written)[len(written) // 2] if written else 0,
        "most_words": max(written, default=0),
    }


if __name__ == "__main__":
    main()
