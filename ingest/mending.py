"""Making a damaged document again from the kept copy of its file."""

import re
import time
from dataclasses import replace
from pathlib import PurePosixPath

from ingest.chunking import cut
from ingest.errors import Unreadable
from ingest.ledger import reading_of
from ingest.sandbox import Sandbox
from retrieval import Embedder, Library, Revision
from retrieval.embedder import embed_passages
from retrieval.labels import tidy

CUT_TO = re.compile(r";passages=\d+\.(\d+)")
"""How long a document's passages may be, in what is remembered of how it was read."""


def mend(
    library: Library, embedder: Embedder, sandbox: Sandbox, document_id: str, *, chunk_tokens: int
) -> None:
    """Read a document's kept file again and store it under the same id, cut as it was before, or
    to `chunk_tokens` if that is not known.

    Citations of it open what they opened before, if the reader is still the same. Raises
    Unreadable. The caller holds `writing`.
    """
    document = library.document(document_id)
    if not library.originals.is_whole(document.sha256):
        raise Unreadable("Its kept file is damaged too. Ingest it again from where it was.")
    began = time.monotonic()
    name = PurePosixPath(document.path).name
    with (
        library.originals.path(document.sha256).open("rb") as kept,
        sandbox.read(name, kept) as read,
    ):
        extract = read.extract
    document = replace(document, keywords=tidy(extract.tags))
    as_before = CUT_TO.search(document.reader)
    most = int(as_before[1]) if as_before else chunk_tokens
    passages = cut(document, extract, embedder.tokens, min(most, embedder.max_tokens))
    reading = reading_of(extract, passages, time.monotonic() - began)
    revision = Revision(document, extract.text, passages, reading)
    pairs = [(document.title, passage) for passage in passages]
    library.replace(revision, *embed_passages(embedder, pairs))
