"""Documents, the files they were read from, and their labels."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self

from pydantic import (
    BaseModel,
    Field,
)

from retrieval import Document, Reading, Relabel, Standing
from retrieval.labels import folded
from retrieval.types import Dated, FileRecord, FileState
from web.kinds import name_of
from web.schema.base import Request, Short


class DocumentReply(BaseModel):
    """A revision of a document; answers come from it as long as it is `current`."""

    id: str
    title: str
    path: str
    sha256: str
    media_type: str
    size_bytes: int
    characters: int
    pages: int | None
    added_at: str
    date: str | None = Field(description="The day the document is of.")
    dated: Dated = Field(description="What says so: the document, its file, or its being added.")
    tags: list[str]
    group: str | None
    state: Standing
    current: bool

    @classmethod
    def of(cls, document: Document, standing: Standing, **more: Any) -> Self:
        """Return a document in its public shape."""
        return cls(
            id=document.id,
            title=document.title,
            path=document.path,
            sha256=document.sha256,
            media_type=document.media_type,
            size_bytes=document.size_bytes,
            characters=document.characters,
            pages=len(document.page_starts) or None,
            added_at=document.added_at,
            date=document.date or None,
            dated=document.dated,
            tags=list(document.tags),
            group=document.group or None,
            state=standing,
            current=standing is Standing.CURRENT,
            **more,
        )


class PageReply(BaseModel):
    """What became of one page: its state, its printed number, and how much text it has."""

    page: int
    label: str | None
    state: str
    tables: int
    characters: int


class DocumentDetailReply(DocumentReply):
    """A revision of a document, and what reading its file came to.

    `unread` says what the file holds that is not in the text. `uncovered` counts characters of
    the text that no search can find; it is 0.
    """

    unread: list[str]
    warnings: list[str]
    tables: int
    uncovered: int
    pages_read: list[PageReply]

    @classmethod
    def whole(cls, document: Document, standing: Standing, reading: Reading) -> Self:
        """Return a document and its reading in their public shape."""
        return cls.of(
            document,
            standing,
            unread=list(reading.unread),
            warnings=list(reading.warnings),
            tables=reading.tables,
            uncovered=reading.uncovered,
            pages_read=[
                PageReply(
                    page=number,
                    label=page.label or None,
                    state=page.state,
                    tables=page.tables,
                    characters=page.characters,
                )
                for number, page in enumerate(reading.pages, start=1)
            ],
        )


class FileReply(BaseModel):
    """A file of the ledger, and what became of it the last time it was met.

    `unread` says what it holds that is not in the text of its document.
    """

    path: str
    state: FileState
    reason: str | None
    document_id: str | None
    met_at: str
    unread: list[str] = []

    @classmethod
    def of(cls, record: FileRecord, reading: Reading | None = None) -> Self:
        """Return a file in its public shape."""
        return cls(
            path=record.path,
            state=record.state,
            reason=record.reason or None,
            document_id=record.document_id,
            met_at=record.met_at,
            unread=list(reading.unread) if reading else [],
        )


class DocumentsReply(BaseModel):
    """The documents answers come from.

    With `state=all`, also those they came from before, and `files`: all that no document
    answers for, which failed, wait, were withdrawn, are gone, or only hold other files.
    """

    documents: list[DocumentReply]
    files: list[FileReply] | None = None


class ChangeReply(BaseModel):
    """What a change came to: the generation that shows it, and how the document stands."""

    generation: int
    state: Standing


class LabelsRequest(Request):
    """What a document is to be labelled with; what is left out stays as it is."""

    tags: list[Short] = Field([], description="All the tags it is to have.")
    group: Short | None = Field(None, description="The group it is to belong to; null for none.")

    def change(self, document: Document) -> Relabel:
        """Return what makes the document's labels these."""
        known, wanted = document.tags, {folded(tag.strip()) for tag in self.tags}
        given = self.model_fields_set
        return Relabel(
            add=tuple(self.tags),
            remove=tuple(t for t in known if "tags" in given and folded(t) not in wanted),
            group=(self.group or "").strip() if "group" in given else None,
        )


class CountReply(BaseModel):
    """A value to filter by, what people call it, and how many documents have it."""

    value: str
    name: str
    documents: int


class LabelsReply(BaseModel):
    """What there is to filter by; a folder counts what is in the folders below it, too."""

    folders: list[CountReply]
    groups: list[CountReply]
    tags: list[CountReply]
    media_types: list[CountReply]

    @classmethod
    def of(cls, documents: Sequence[Document]) -> Self:
        """Return what documents can be told apart by."""
        return cls(
            folders=_counted(folder for d in documents for folder in _folders(d.path)),
            groups=_counted(d.group for d in documents if d.group),
            tags=_counted(tag for d in documents for tag in d.tags),
            media_types=_counted((d.media_type for d in documents), name_of),
        )


def _folders(path: str) -> Iterator[str]:
    """Return the folders a document is in, outermost first."""
    parts = path.split("/")[:-1]
    return ("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))


def _counted(values: Iterable[str], name: Callable[[str], str] = str) -> list[CountReply]:
    """Return each value once, whatever its capital letters, by name."""
    counts: dict[str, CountReply] = {}
    for value in values:
        first = CountReply(value=value, name=name(value), documents=0)
        counts.setdefault(folded(value), first).documents += 1
    return sorted(counts.values(), key=lambda count: folded(count.name))
