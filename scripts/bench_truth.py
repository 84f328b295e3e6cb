"""What each part of an answer earns: questions of an end-to-end set, with one part off at a time.

    python -m scripts.bench_truth KIT [--set FOLDER] [--home FOLDER] [--only NAME,…] [--limit N]

KIT holds `score.py` and `e2e/`; --set names another set that was made like it. Its documents are
read by the product's own job (--home keeps the library), its questions put to the product's own
`Answerer`, one after the other, and the replies scored by KIT's scorer. Variants:

    whole     as it is
    no_support  what passes the gate's rules is not put before the judge
    no_gate   whatever the model writes from the evidence is published
    no_model  quotes only
    no_judge  evidence judged by features alone
    no_evidence  nothing is judged: the first sentences of the best passages, and never a refusal

Prints, for each, what the scorer prints, as one JSON line.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from answer import Answerer
from answer.evidence import Judgement
from answer.gate import SupportScorer, Verdict, answers, check
from answer.types import Evidence
from retrieval import Hit
from retrieval.ranking import Asked
from scripts.end_to_end import Opened, opened, options, reply, scored
from web.models import start_model

VARIANTS = ("whole", "no_support", "no_gate", "no_model", "no_judge", "no_evidence")


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
    given = options(__doc__, VARIANTS)
    with opened(given) as asked:
        for name, answerer in _variants(asked, given.only):
            replies = [reply(question, answerer) for question in asked.questions]
            figures = scored(given.kit, asked.folder, replies, name)
            print(json.dumps({"bench": "truth", **figures}), flush=True)


def _variants(asked: Opened, wanted: Sequence[str]) -> Iterator[tuple[str, Answerer]]:
    """Yield each variant while it can be asked."""
    others: dict[str, dict[str, Any]] = {
        "no_support": {"support": None},
        "no_judge": {"judgement": Judgement(asked.features), "support": None},
        "no_evidence": {"judgement": FirstSentences(asked.features), "threshold": 0.0},
    }
    with closing(start_model(asked.settings)) as model:
        for name in wanted:
            with (
                patch("answer.answerer.check", _passing if name == "no_gate" else check),
                patch("answer.answerer.answers", _always if name == "no_gate" else answers),
            ):
                writes = None if name == "no_model" else model
                yield name, asked.answerer(writes, **others.get(name, {}))


def _always(_: str, __: Evidence) -> bool:
    return True


def _passing(
    written: str, evidence: Sequence[Evidence], question: str, _: SupportScorer | None = None
) -> Verdict:
    """Let everything through, resting on the best evidence."""
    return replace(check(written, evidence, question), evidence=0, reason=None)


if __name__ == "__main__":
    main()
