"""What can go wrong in the library.

RetrievalError
├── EmbedderUnavailable   the embedding model cannot be found or loaded
├── EmbedderMismatch      the library was built with another embedder
├── LibraryMissing        there is no library in that folder yet
├── LibraryUnreadable     the database or a segment is damaged, or from a newer Footnote
├── LibraryUnwritable     the folder cannot be written to, or the disk is full
├── LibraryBusy           another process is writing to the library
├── DocumentNotFound      no document has that id
├── LabelRefused          a label is empty, too long, or one too many
└── GenerationNotFound    there is no such generation to go back to
"""


class RetrievalError(Exception):
    """The base of everything the library raises on purpose."""


class EmbedderUnavailable(RetrievalError):
    """The embedding model cannot be found or loaded."""


class EmbedderMismatch(RetrievalError):
    """The library was built with another embedder."""


class LibraryUnreadable(RetrievalError):
    """The database or a segment is damaged, or was written by a newer Footnote."""


class LibraryMissing(RetrievalError):
    """There is no library in that folder yet."""


class LibraryUnwritable(RetrievalError):
    """The folder cannot be written to, or the disk is full. What was there still is."""


class LibraryBusy(RetrievalError):
    """Another process is writing to the library."""


class DocumentNotFound(RetrievalError):
    """No document has that id."""


class LabelRefused(RetrievalError):
    """A label is empty, too long, or one too many."""


class GenerationNotFound(RetrievalError):
    """There is no such generation to go back to."""
