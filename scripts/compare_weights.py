"""How often the model writes the same text when its weights are in another format.

    .venv/bin/python -m scripts.compare_weights HOME [--questions FILE] [--count 60]

HOME is a library of the documents that the questions are about. The prompts are those that answers
have; the texts are greedy. Reference is F32, in which each weight is exactly what the model's file
says and arithmetic rounds least. Needs half a GiB of disk for a while. Ends with one JSON line.
"""

import argparse
import json
import tempfile
from contextlib import closing
from pathlib import Path

from answer.answerer import EVIDENCE_KEPT, EVIDENCE_SHOWN, WORTH_SHOWING
from answer.engine import EngineLimits, LlamaProcess
from answer.engine.weights import FORMATS, make
from answer.model import Message, find_model
from answer.prompt import build_prompt
from answer.writing import MAX_TOKENS
from scripts.processes import ROOT
from web import wiring
from web.settings import Settings

ALL_F32 = 0  # llama.cpp's number


def main() -> None:
    """Print how often each format's text is that of the reference, and that of the source."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("home", type=Path)
    arguments.add_argument(
        "--questions", type=Path, default=ROOT / "scripts" / "corpus_questions.jsonl"
    )
    arguments.add_argument("--count", type=int, default=60)
    given = arguments.parse_args()
    asked = prompts(given.home, given.questions)[: given.count]
    FORMATS["f32"] = (ALL_F32, 32.0, 0.0)
    texts = {}
    with tempfile.TemporaryDirectory(dir=given.home) as folder:
        for name in ("f32", "source", "f16", "q8_0"):
            file = find_model(None)
            if name != "source":
                file = Path(folder, f"{name}.gguf")
                make(find_model(None), file, name, 2)
            texts[name] = written(file, asked)
            file.unlink() if name != "source" else None
    result = {
        name: {
            "as_f32": sum(a == b for a, b in zip(texts["f32"], some, strict=True)),
            "as_source": sum(a == b for a, b in zip(texts["source"], some, strict=True)),
        }
        for name, some in texts.items()
    }
    print(json.dumps({"bench": "compare_weights", "prompts": len(asked), **result}))


def prompts(home: Path, questions: Path) -> list[list[Message]]:
    """Return the prompts that the questions which have an answer lead to."""
    settings = Settings(home=home)
    library, embedder = wiring.open_library(settings)
    judgement, _ = wiring.build_judgement(settings, embedder)
    snapshot = library.snapshot()
    made = []
    for line in questions.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row.get("kind") != "answerable":
            continue
        asked = snapshot.ask(row["question"])
        hits = snapshot.search(asked, limit=settings.passages)
        best, *more = judgement.select(asked, hits, EVIDENCE_KEPT)
        evidence = [best, *(e for e in more if e.probability >= WORTH_SHOWING)]
        made.append(build_prompt(row["question"], evidence[:EVIDENCE_SHOWN]))
    library.close()
    return made


def written(file: Path, asked: list[list[Message]]) -> list[str]:
    """Return what a file of weights makes of the prompts."""
    with closing(LlamaProcess(file, EngineLimits())) as model:
        model.start()
        return [
            "".join(p for p in model.write(m, max_tokens=MAX_TOKENS) if isinstance(p, str))
            for m in asked
        ]


if __name__ == "__main__":
    main()
