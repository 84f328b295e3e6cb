"""What can go wrong while reading documents.

IngestError
├── NothingToIngest   a path that was named does not exist, or holds no file
└── Unreadable        one file cannot be read; the others go on
"""


class IngestError(Exception):
    """The base of everything ingestion raises on purpose."""


class NothingToIngest(IngestError):
    """A path that was named does not exist, or holds no file."""


class Unreadable(IngestError):
    """A file cannot be read: what is wrong with it, and what to do."""
