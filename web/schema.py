"""The shapes of requests and replies, version 1. `/openapi.json` is made from them."""

from collections.abc import Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from answer import Answer, Ask, Citation, Sentence
from answer.types import ModelCard
from retrieval import Document, Filters, Hit, Reading, Standing
from retrieval.types import FileRecord, FileState, Run, RunState
from web.problems import InvalidRequest


class Request(BaseModel):
    """A JSON body; names that are not known are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @classmethod
    def parse(cls, body: Any) -> Self:
        """Return the request, or raise InvalidRequest naming each field that is wrong."""
        if not isinstance(body, dict):
            raise InvalidRequest("The body must be a JSON object.")
        try:
            return cls(**body)
        except ValidationError as problem:
            raise InvalidRequest(" ".join(_explain(e) for e in problem.errors())) from problem
        except TypeError as problem:
            raise InvalidRequest(f"The body has a name that cannot be: {problem}.") from problem


class FilterFields(BaseModel):
    """Which documents to look in; all that are given must hold."""

    model_config = ConfigDict(extra="forbid", strict=True)

    document_ids: list[str] = Field([], max_length=1000)
    folder: str | None = Field(None, description="A leading part of the path, whole names only.")
    media_types: list[str] = Field([], max_length=20)

    def filters(self) -> Filters:
        """Return them as the library takes them."""
        return Filters(tuple(self.document_ids), self.folder, tuple(self.media_types))


class AskRequest(Request):
    """A question."""

    question: str = Field(max_length=2000)
    stream: bool = Field(False, description="Reply with server-sent events.")
    filters: FilterFields = FilterFields()
    top_k: int | None = Field(None, ge=1, le=50, description="Passages to draw from.")
    conversation: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="A name of the client's choosing; questions under it may lean on each other.",
    )

    @field_validator("question")
    @classmethod
    def says_something(cls, question: str) -> str:
        """Refuse a question without a letter or digit."""
        return _telling(question)

    def ask(self) -> Ask:
        """Return it as the answerer takes it."""
        return Ask(self.question, self.filters.filters(), self.top_k, self.conversation)


class SearchRequest(Request):
    """A search for passages."""

    query: str = Field(max_length=2000)
    limit: int = Field(8, ge=1, le=50)
    filters: FilterFields = FilterFields()

    @field_validator("query")
    @classmethod
    def says_something(cls, query: str) -> str:
        """Refuse a query without a letter or digit."""
        return _telling(query)


class SentenceReply(BaseModel):
    """A sentence of an answer: what it cites, and how far that supports it, 0 to 1."""

    text: str
    citations: list[int]
    support: float

    @classmethod
    def of(cls, sentence: Sentence) -> Self:
        """Return a sentence in its public shape."""
        return cls(text=sentence.text, citations=list(sentence.citations), support=sentence.support)


class CitationReply(BaseModel):
    """A quote, character for character `text[start:stop]` of the document's text."""

    number: int
    document_id: str
    title: str
    path: str
    sha256: str
    page: int | None
    heading: str | None
    start: int
    stop: int
    quote: str
    url: str

    @classmethod
    def of(cls, citation: Citation) -> Self:
        """Return a citation in its public shape, with where a reader can open it."""
        page = f"?page={citation.page}" if citation.page else ""
        url = f"/documents/{citation.document_id}{page}#cite-{citation.start}-{citation.stop}"
        fields = {name: getattr(citation, name) for name in cls.model_fields if name != "url"}
        return cls(**fields, url=url)


class WithheldReply(BaseModel):
    """A sentence that the model wrote and the documents do not bear out."""

    text: str
    reason: str


class ModelReply(BaseModel):
    """Which model wrote."""

    name: str
    sha256: str

    @classmethod
    def of(cls, card: ModelCard) -> Self:
        """Return a model in its public shape."""
        return cls(name=card.name, sha256=card.sha256)


class UsageReply(BaseModel):
    """Tokens the model read, of those already in its cache, and wrote."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


class TimingsReply(BaseModel):
    """Milliseconds since the question came in."""

    retrieval: int
    first_token: int
    total: int


class AnswerReply(BaseModel):
    """An answer: `answered`, `quoted` or `not_found`.

    `searched_for` is the question as it was searched for, its slips mended and what it leans on
    said; null if that is how it was asked. Of several questions in one `unanswered` are those
    that the documents do not answer.
    """

    id: str
    question: str
    status: str
    reason: str | None
    searched_for: str | None
    unanswered: list[str]
    text: str
    probability: float
    sentences: list[SentenceReply]
    citations: list[CitationReply]
    withheld: list[WithheldReply]
    nearest: list[CitationReply]
    generation: int
    model: ModelReply | None
    usage: UsageReply
    timings_ms: TimingsReply

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """Return an answer in its public shape."""
        return cls(
            id=answer.id,
            question=answer.question,
            status=answer.status,
            reason=answer.reason,
            searched_for=answer.searched_for,
            unanswered=list(answer.unanswered),
            text=answer.text,
            probability=answer.probability,
            sentences=[SentenceReply.of(s) for s in answer.sentences],
            citations=[CitationReply.of(c) for c in answer.citations],
            withheld=[WithheldReply(text=w.text, reason=w.reason) for w in answer.withheld],
            nearest=[CitationReply.of(c) for c in answer.nearest],
            generation=answer.generation,
            model=ModelReply.of(answer.model) if answer.model else None,
            usage=UsageReply(
                prompt_tokens=answer.usage.prompt_tokens,
                cached_tokens=answer.usage.cached_tokens,
                completion_tokens=answer.usage.completion_tokens,
            ),
            timings_ms=TimingsReply(
                retrieval=answer.timings.retrieval,
                first_token=answer.timings.first_token,
                total=answer.timings.total,
            ),
        )


class HitReply(BaseModel):
    """A passage that a search found; scores compare within one search only."""

    document_id: str
    title: str
    path: str
    page: int | None
    heading: str | None
    start: int
    stop: int
    text: str
    score: float
    url: str

    @classmethod
    def of(cls, hit: Hit) -> Self:
        """Return a hit in its public shape."""
        passage, document = hit.passage, hit.document
        page = f"?page={passage.page}" if passage.page else ""
        return cls(
            document_id=document.id,
            title=document.title,
            path=document.path,
            page=passage.page,
            heading=passage.heading[-1] if passage.heading else None,
            start=passage.start,
            stop=passage.stop,
            text=passage.text,
            score=round(hit.score, 6),
            url=f"/documents/{document.id}{page}#cite-{passage.start}-{passage.stop}",
        )


class SearchReply(BaseModel):
    """The passages that bear most on a query, best first."""

    hits: list[HitReply]


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


class IngestionRequest(Request):
    """Which of the operator's folders to read again: by name or path, or all of them."""

    folders: list[str] | None = Field(None, min_length=1, max_length=1000)
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


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


def _telling(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()
    if not any(c.isalnum() for c in text):
        raise ValueError("it must hold at least one word")
    return text.strip()


def _explain(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"“{name}” is not known here."
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"“{name}”: {message[:1].lower()}{message[1:]}."
