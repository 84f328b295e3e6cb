"""Parts that start at once, for tests that need a whole ingest a thousand times."""

import hashlib
import re
import tempfile
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from ingest import child, sandbox
from ingest.confinement import Limits
from ingest.readers import detect
from retrieval.embedder import InContext
from retrieval.types import Span, Vectors

WORD = re.compile(r"\w+")


class WordEmbedder:
    """Adds up a fixed direction a word: texts that share words are near, and nothing is loaded."""

    name = "words@1"
    backend = "none"
    dimensions = 16
    max_tokens = 64

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row per text, in order: float32, shape (len(texts), dimensions)."""
        rows = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in ("", *WORD.findall(text.lower())):
                row += _direction(word)
            row /= np.linalg.norm(row)
        return rows

    def tokens(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return, for each text, the range of characters of each of its words."""
        return [[match.span() for match in WORD.finditer(text)] for text in texts]

    def in_context(self, texts: Sequence[str]) -> list[InContext]:
        """Return, for each text, its words and the direction of each."""
        spans = self.tokens(texts)
        words = [[text[a:b] for a, b in some] for text, some in zip(texts, spans, strict=True)]
        return [(some, self.embed(said)) for some, said in zip(spans, words, strict=True)]


class InlineSandbox(sandbox.Sandbox):
    """Reads in this very process, with the code of the child and the checks of the parent.

    A child process would take longer to start than a whole ingest of small files takes, and
    it writes nothing below the library's folder.
    """

    def read(
        self, name: str, file: BinaryIO, *, progress: sandbox.Pages | None = None
    ) -> sandbox.Reading:
        """Return what a file holds; images stay unread."""
        del progress
        spool = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - the reading closes it
        request = {"name": name, "passwords": [], "files": [file.fileno(), spool.fileno()]}
        try:
            reply = child._read(request, Limits(), detect)
            return sandbox._reading(reply, spool, Limits())
        except BaseException:
            spool.close()
            raise


def _direction(word: str) -> Vectors:
    data = hashlib.blake2b(word.encode(), digest_size=WordEmbedder.dimensions).digest()
    return np.frombuffer(data, np.uint8).astype(np.float32) - 127.5
