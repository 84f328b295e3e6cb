"""A placeholder until text recognition is merged: nothing is recognised."""

from ingest.types import File


def available() -> bool:
    """Return whether text on images can be recognised here."""
    return False


def recognise(file: File, page: int) -> str:
    """Return the text on a page, counting from 1, of a file."""
    raise NotImplementedError(f"page {page} of {file.name}")
