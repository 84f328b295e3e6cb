"""What can go wrong in the library.

RetrievalError
├── EmbedderUnavailable   the embedding model cannot be found or loaded
├── EmbedderMismatch      the library was built with another embedder
├── LibraryUnreadable     the database or a segment is damaged, or from a newer Footnote
├── LibraryBusy           another process is writing to the library
└── DocumentNotFound      no document has that id
"""


class RetrievalError(Exception):
    """The base of everything the library raises on purpose."""


class EmbedderUnavailable(RetrievalError):
    """The embedding model cannot be found or loaded."""


class EmbedderMismatch(RetrievalError):
    """The library was built with another embedder."""


class LibraryUnreadable(RetrievalError):
    """The database or a segment is damaged, or was written by a newer Footnote."""


class LibraryBusy(RetrievalError):
    """Another process is writing to the library."""


class DocumentNotFound(RetrievalError):
    """No document has that id."""
