"""The library: what is stored, and finding it."""

from retrieval.embedder import Embedder, SentenceTransformerEmbedder
from retrieval.errors import RetrievalError
from retrieval.library import Library
from retrieval.types import Document, Filters, Hit, Passage, Reading, Revision, Span, Standing

__all__ = [
    "Document",
    "Embedder",
    "Filters",
    "Hit",
    "Library",
    "Passage",
    "Reading",
    "RetrievalError",
    "Revision",
    "SentenceTransformerEmbedder",
    "Span",
    "Standing",
]
