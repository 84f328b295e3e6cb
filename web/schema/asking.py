"""Questions and searches, and what comes back."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    field_validator,
    model_validator,
)
from werkzeug.datastructures import MultiDict

from answer import Answer, Ask, Citation, Sentence
from answer.conversation import LONGEST_QUESTION
from answer.types import ModelCard
from retrieval import Filters, Hit
from retrieval.query import Query
from web.kinds import media_type_of
from web.schema.base import Day, Named, Request


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


def _telling(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()
    if not any(c.isalnum() for c in text):
        raise ValueError("it must hold at least one word")
    return text.strip()
