"""Ingestions, and the files that are uploaded for one."""

from collections.abc import Sequence
from typing import Any, Self

from pydantic import (
    BaseModel,
    Field,
)

from retrieval.types import Run, RunState
from web.schema.base import Named, Request
from web.schema.documents import FileReply


class IngestionRequest(Request):
    """Which of the operator's folders to read again: by name or path, or all of them."""

    folders: list[Named] | None = Field(None, min_length=1, max_length=1000)
    prune: bool = Field(
        False, description="Withdraw documents whose files are gone from the folders."
    )


class IngestionReply(BaseModel):
    """A run of the ingest job. `files` are those that it failed with, or did not wholly read."""

    id: str
    state: RunState
    started_at: str
    ended_at: str | None
    paths: list[str]
    progress: dict[str, Any]
    generation: int | None
    problem: str | None
    files: list[FileReply] = []

    @classmethod
    def of(cls, run: Run, files: Sequence[FileReply] = ()) -> Self:
        """Return a run in its public shape."""
        return cls(
            id=run.id,
            state=run.state,
            started_at=run.started_at,
            ended_at=run.ended_at,
            paths=list(run.paths),
            progress=dict(run.progress),
            generation=run.generation,
            problem=run.problem or None,
            files=list(files),
        )


class IngestionsReply(BaseModel):
    """The newest runs of the ingest job, newest first."""

    ingestions: list[IngestionReply]


class UploadReply(BaseModel):
    """The files that were received, and the run that reads them."""

    ingestion: IngestionReply
    files: list[FileReply]
