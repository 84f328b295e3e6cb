"""The shapes of requests and replies, version 1. `/openapi.json` is made from them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from werkzeug.datastructures import MultiDict

from answer import Answer, Ask, Citation, Sentence
from answer.conversation import LONGEST_QUESTION
from answer.receipts import Check, Receipt, State
from answer.types import ModelCard
from retrieval import Document, Filters, Hit, Reading, Relabel, Standing
from retrieval.labels import folded
from retrieval.query import Query
from retrieval.types import Dated, FileRecord, FileState, Run, RunState
from web.kinds import media_type_of, name_of
from web.problems import InvalidRequest


def _day(text: str) -> str:
    """Return a day in ISO 8601; ValueError if it is none."""
    try:
        if date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise ValueError(f"“{text}” is no day; write it as in 2026-03-31")


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


Short = Annotated[str, StringConstraints(max_length=1000)]
"""A text that is looked at by the library; the limit also refuses half a character."""
Named = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
Day = Annotated[Short, AfterValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]


class FilterFields(Request):
    """Which documents to look in: all that is given must hold, of several values any one."""

    document_ids: list[Named] = Field([], max_length=1000)
    folder: Named | None = Field(None, description="A leading part of the path, whole names only.")
    media_types: list[Annotated[Named, AfterValidator(media_type_of)]] = Field(
        [], max_length=20, description="Media types, or ends of file names such as “pdf”."
    )
    date_from: Day | None = Field(None, description="The first day, as in 2026-03-31.")
    date_to: Day | None = Field(None, description="The last day, included.")
    tags: list[Named] = Field([], max_length=100, description="Capital letters do not matter.")
    groups: list[Named] = Field([], max_length=100, description="Capital letters do not matter.")

    @model_validator(mode="after")
    def in_order(self) -> Self:
        """Refuse a period that ends before it begins."""
        if self.date_from and self.date_to and self.date_from > self.date_to:
            raise ValueError(f"“date_from” {self.date_from} is after “date_to” {self.date_to}")
        return self

    @classmethod
    def of_query(cls, query: MultiDict[str, str]) -> Self:
        """Return the filters among the parameters of an address; lists are given value by value."""
        single = ("folder", "date_from", "date_to")
        given = {name: values for name, values in query.lists() if name in cls.model_fields}
        return cls.parse({n: v[-1] if n in single else v for n, v in given.items()})

    def filters(self) -> Filters:
        """Return them as the library takes them."""
        return Filters(
            document_ids=tuple(self.document_ids),
            folder=self.folder,
            media_types=tuple(self.media_types),
            date_from=self.date_from,
            date_to=self.date_to,
            tags=tuple(self.tags),
            groups=tuple(self.groups),
        )


MOST_EARLIER = 20
"""Questions before one that may be given with it."""


class AskRequest(Request):
    """A question."""

    question: str = Field(max_length=LONGEST_QUESTION)
    stream: bool = Field(False, description="Reply with server-sent events.")
    filters: FilterFields = FilterFields()
    top_k: int | None = Field(None, ge=1, le=50, description="Passages to draw from.")
    conversation: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="A name of the client's choosing; questions under it may lean on each other.",
    )
    earlier: list[Annotated[str, Field(max_length=LONGEST_QUESTION)]] = Field(
        [],
        max_length=MOST_EARLIER,
        description="The questions before, the oldest first; counts instead of `conversation`.",
    )
    when_busy: Literal["quote", "refuse"] = Field(
        "quote", description="If the model is too busy: an answer in quotes, or status 429."
    )

    @field_validator("question")
    @classmethod
    def says_something(cls, question: str) -> str:
        """Refuse a question without a letter or digit."""
        return _telling(question)

    def ask(self) -> Ask:
        """Return it as the answerer takes it."""
        filters, insist = self.filters.filters(), self.when_busy == "refuse"
        before = tuple(self.earlier)
        return Ask(self.question, filters, self.top_k, self.conversation, insist, before)


class SearchRequest(Request):
    """A search for passages."""

    query: str = Field(max_length=LONGEST_QUESTION)
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


class AnswerWords(BaseModel):
    """The words of a quote that answer: characters of the document's text, half-open."""

    start: int
    stop: int


class CitationReply(BaseModel):
    """A quote, character for character `text[start:stop]` of the document's text.

    `answer` is where in it the words stand that answer, if something could tell. `warning` is set
    if the words, or others in their passage, give orders to an AI assistant. `date` is the day that
    the document says it is of, in ISO 8601; null if it says none.
    """

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
    answer: AnswerWords | None
    warning: str | None
    date: str | None
    url: str

    @classmethod
    def of(cls, citation: Citation) -> Self:
        """Return a citation in its public shape, with where a reader can open it."""
        page = f"?page={citation.page}" if citation.page else ""
        url = f"/documents/{citation.document_id}{page}#cite-{citation.start}-{citation.stop}"
        made = ("answer", "url")
        fields = {name: getattr(citation, name) for name in cls.model_fields if name not in made}
        span = citation.answer
        answer = AnswerWords(start=span[0], stop=span[1]) if span else None
        return cls(**fields, answer=answer, url=url)


class WithheldReply(BaseModel):
    """A sentence that the model wrote and the documents do not bear out."""

    text: str
    reason: str


class ModelReply(BaseModel):
    """Which model wrote. `sha256` is of its file; null if a server wrote, whose file nobody saw."""

    name: str
    sha256: str | None

    @classmethod
    def of(cls, card: ModelCard) -> Self:
        """Return a model in its public shape."""
        return cls(name=card.name, sha256=card.sha256)


class UsageReply(BaseModel):
    """Tokens the model read, of those already in its cache, and wrote, which are not counted where
    it was stopped because enough was said; how many pieces of evidence it was shown, and how many
    more were found and left out."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    sources: int
    left_out: int


class TimingsReply(BaseModel):
    """Milliseconds since the question came in; of those, `evidence` is how long choosing sentences
    took, which is part of `retrieval`, and `gate` how long it took to check what was written."""

    retrieval: int
    first_token: int
    total: int
    evidence: int
    gate: int


class AnswerReply(BaseModel):
    """An answer: `answered`, `quoted` or `not_found`.

    `searched_for` is the question as it was searched for, its slips mended and what it leans on
    said; null if that is how it was asked. Of several questions in one `unanswered` are those
    that the documents do not answer. `hint` says how to ask what was not found.
    """

    id: str
    question: str
    status: str
    reason: str | None
    hint: str | None
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
            hint=answer.hint,
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
                sources=answer.usage.sources,
                left_out=answer.usage.left_out,
            ),
            timings_ms=TimingsReply(**asdict(answer.timings)),
        )


class CheckReply(BaseModel):
    """What became of a receipt.

    `as_it_was`: its quotes stand word for word in documents that answers come from. `changed`:
    they did; the source has a newer revision, was withdrawn or erased since. `broken`: the receipt
    is not what was written, or a quote not what the document says. `notes` say which and why.
    """

    id: str
    answered_at: str
    state: State
    notes: list[str]

    @classmethod
    def of(cls, check: Check) -> Self:
        """Return what became of a receipt in its public shape."""
        return cls(
            id=check.id, answered_at=check.answered_at, state=check.state, notes=list(check.notes)
        )


class MethodReply(BaseModel):
    """What decided an answer beside the documents and the model.

    `prompt` is a hash of what is the same in every prompt, `calibrated` whether the decision to
    answer was fitted to the library. The model saw `sentences` pieces of evidence at most.
    """

    prompt: str
    threshold: float
    passages: int
    judge: str
    calibrated: bool
    embedder: str
    sentences: int
    max_tokens: int
    footnote: str = Field(description="The version of Footnote.")


class ReceiptReply(CheckReply):
    """What is known of an answer beside what the reader got, and what became of it.

    `sha256` is that of the stored receipt. `erased` are the documents whose words were taken out.
    """

    sha256: str
    method: MethodReply
    filters: dict[str, Any]
    erased: list[str]


class StoredAnswerReply(AnswerReply):
    """An answer as it was given; `question` is empty where questions are not kept."""

    receipt: ReceiptReply

    @classmethod
    def whole(cls, receipt: Receipt, sha256: str, check: Check) -> Self:
        """Return a receipt in its public shape."""
        filters = {n: v for n, v in asdict(receipt.filters).items() if v}
        more = ReceiptReply(
            **CheckReply.of(check).model_dump(),
            sha256=sha256,
            method=MethodReply(**asdict(receipt.method)),
            filters=filters,
            erased=list(receipt.erased),
        )
        return cls(**AnswerReply.of(receipt.answer).model_dump(), receipt=more)


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
    also_in: list[str] = Field(
        description="Paths of other documents that say nearly the same, which are not shown again."
    )

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
            also_in=[other.path for other in hit.also_in],
        )


class SearchReply(BaseModel):
    """The passages that bear most on a query, best first."""

    hits: list[HitReply]
    searched_for: str | None = Field(description="What was searched for, if a slip was mended.")
    reason: str | None = Field(description="Why there are no hits.")

    @classmethod
    def of(cls, query: Query, hits: Sequence[Hit], *, documents: int) -> Self:
        """Return what a search among so many documents found in its public shape."""
        why = "nothing was found" if documents else "no document matches the filter"
        return cls(
            hits=[HitReply.of(hit) for hit in hits],
            searched_for=query.text if query.corrections else None,
            reason=None if hits else why,
        )


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


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


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
    if not name:
        return f"{message}."
    return f"“{name}”: {message[:1].lower()}{message[1:]}."
