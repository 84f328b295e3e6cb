"""The library: what is stored, and finding it."""

from retrieval.embedder import Embedder, SentenceTransformerEmbedder
from retrieval.errors import RetrievalError
from retrieval.labels import Labels, Relabel
from retrieval.library import Library
from retrieval.types import Document, Filters, Hit, Passage, Reading, Revision, Span, Standing

__all__ = [
    "Document",
    "Embedder",
    "Filters",
    "Hit",
    "Labels",
    "Library",
    "Passage",
    "Reading",
    "Relabel",
    "RetrievalError",
    "Revision",
    "SentenceTransformerEmbedder",
    "Span",
    "Standing",
]
