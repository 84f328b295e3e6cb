"""Libraries that benchmarks and fits ask: folders of documents, read by the product's own job."""

import sys
from pathlib import Path
from typing import Any

from ingest import Job, Options, Sandbox
from retrieval import Embedder, Library
from web.settings import Settings


def library_of(documents: Path, home: Path, embedder: Embedder) -> Library:
    """Return the library of a folder; its documents are read unless that was done before."""
    library = Library(home, embedder)
    if not library.generation:
        with Sandbox() as sandbox:
            job = Job(library, embedder, [sandbox], chunk_tokens=Settings().chunk_tokens)
            job.run([documents], _show, Options())
    return library


def _show(progress: Any) -> None:
    print(f"\rembedded {progress.passages} passages", end="", file=sys.stderr)
