"""How well passages are found in other languages: hit@1 and hit@5 of each ranking.

    python -m scripts.bench_languages FOLDER [--languages th,zh]

FOLDER holds xquad.LANGUAGE.jsonl.gz, lines of {"question", "context"}. Every context becomes a
text file, all those of a language one library, and a question is to find the file it was asked
about. Prints one JSON line.
"""

import argparse
import gzip
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ingest import Job, Options, Sandbox
from retrieval import Library, SentenceTransformerEmbedder
from retrieval.segments import Segments
from retrieval.store import Store
from retrieval.words import content_words
from web.settings import Settings

DEPTH = 50


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--languages", default="en,de,es,ro,tr,vi,el,ru,ar,hi,th,zh")
    given = parser.parse_args()
    embedder = SentenceTransformerEmbedder()
    found = {}
    with Sandbox() as sandbox:
        for language in given.languages.split(","):
            with gzip.open(given.folder / f"xquad.{language}.jsonl.gz", "rt") as lines:
                asked = [json.loads(line) for line in lines]
            with tempfile.TemporaryDirectory() as folder:
                found[language] = measure(asked, Path(folder), embedder, sandbox)
    print(json.dumps({"bench": "languages", "embedder": embedder.name, "hit@1,hit@5": found}))


def measure(
    asked: Sequence[dict[str, str]],
    folder: Path,
    embedder: SentenceTransformerEmbedder,
    sandbox: Sandbox,
) -> dict[str, object]:
    """Return (hit@1, hit@5) of the lexical, the dense and the fused ranking."""
    contexts = list(dict.fromkeys(row["context"] for row in asked))
    texts = folder / "texts"
    texts.mkdir()
    for number, context in enumerate(contexts):
        (texts / f"{number}.txt").write_text(context, encoding="utf-8")
    library = Library(folder / "library", embedder)
    job = Job(library, embedder, [sandbox], chunk_tokens=Settings().chunk_tokens)
    job.run([texts], lambda _: None, Options())
    snapshot, store = library.snapshot(), Store(folder / "library" / "library.sqlite3")
    segments = Segments(folder / "library" / "segments", store.segments(snapshot.generation))
    ranks: dict[str, list[int]] = {"lexical": [], "dense": [], "fused": []}
    began = time.perf_counter()
    for row in asked:
        question, right = row["question"], f"{contexts.index(row['context'])}.txt"
        lexical = [i for i, _ in store.lexical(content_words(question), None, DEPTH)]
        dense = [i for i, _ in segments.search(embedder.embed([question]), DEPTH, None)]
        hits = snapshot.search(question, limit=DEPTH)
        passages = store.passages([*lexical, *dense])
        path = {i: library.document(p.document_id).path for i, p in passages.items()}
        for name, paths in (
            ("lexical", [path[i] for i in lexical]),
            ("dense", [path[i] for i in dense]),
            ("fused", [hit.document.path for hit in hits]),
        ):
            ranks[name].append(_rank(paths, right))
    shares = {
        name: [round(sum(r <= k for r in found) / len(asked), 3) for k in (1, 5)]
        for name, found in ranks.items()
    }
    passages_there = store.passage_count()
    seconds = time.perf_counter() - began
    store.close()
    library.close()
    return {**shares, "passages": passages_there, "ms": round(1000 * seconds / len(asked), 1)}


def _rank(paths: Sequence[str], right: str) -> int:
    """Return the place of a file among the different files found, counting from 1."""
    files = [path.rsplit("/", 1)[-1] for path in dict.fromkeys(paths)]
    return files.index(right) + 1 if right in files else DEPTH + 1


if __name__ == "__main__":
    main()
