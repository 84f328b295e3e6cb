"""What an answer is made of."""

from dataclasses import dataclass, field
from enum import StrEnum

from retrieval import Hit, Span


class Status(StrEnum):
    """How an answer came to be."""

    ANSWERED = "answered"
    QUOTED = "quoted"
    NOT_FOUND = "not_found"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence of a document that may bear on the question.

    `start` and `stop` count characters of the document's text. `probability` is how likely
    the sentence is to answer the question, calibrated; see `answer/evidence.py`. `answer` is the
    range of the words in it that do, where something can tell.
    """

    hit: Hit
    start: int
    stop: int
    text: str
    probability: float
    answer: Span | None = None

    @property
    def place(self) -> str:
        """The document's title and the headings the sentence stands under."""
        return self.hit.place


@dataclass(frozen=True, slots=True)
class Citation:
    """A quote and where it stands, character for character; `answer` is the range of the words in
    it that answer the question, where something can tell."""

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
    answer: Span | None = None

    @classmethod
    def of(cls, evidence: Evidence, number: int) -> "Citation":
        """Return the citation of a piece of evidence under a number."""
        document, heading = evidence.hit.document, evidence.hit.passage.heading
        return cls(
            number=number,
            document_id=document.id,
            title=document.title,
            path=document.path,
            sha256=document.sha256,
            page=document.page_at(evidence.start),
            heading=heading[-1] if heading else None,
            start=evidence.start,
            stop=evidence.stop,
            quote=evidence.text,
            answer=evidence.answer,
        )


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the answer, the numbers it cites, and how far they support it (0 to 1)."""

    text: str
    citations: tuple[int, ...]
    support: float


@dataclass(frozen=True, slots=True)
class Withheld:
    """A sentence the model wrote that was not published, and why."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read, of those already in the cache, and written.

    `cut_short` is whether the writing ended at its limit, perhaps inside a sentence. `logprobs`
    has the log-probability of each token written, where it was asked for.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cut_short: bool = False
    logprobs: tuple[float, ...] = ()

    def __add__(self, other: "Usage") -> "Usage":
        """Return the tokens of two pieces of writing together."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cut_short or other.cut_short,
            self.logprobs + other.logprobs,
        )


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds since the question came in; `retrieval` is how long finding took."""

    retrieval: int
    first_token: int
    total: int


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Which model wrote an answer."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the reader gets, and everything needed to check it.

    `reason` says why an answer is quoted or not found; None when the model answered.
    `probability` is how likely the best evidence is to hold the answer. `searched_for` is the
    question as it was searched for, None if that is how it was asked. Of several questions in
    one `unanswered` are those that the documents do not answer.
    """

    id: str
    question: str
    status: Status
    text: str
    sentences: tuple[Sentence, ...]
    citations: tuple[Citation, ...]
    generation: int
    timings: Timings
    probability: float
    reason: str | None = None
    withheld: tuple[Withheld, ...] = ()
    nearest: tuple[Citation, ...] = ()
    model: ModelCard | None = None
    usage: Usage = field(default_factory=Usage)
    searched_for: str | None = None
    unanswered: tuple[str, ...] = ()
