"""What an answer is made of."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from retrieval import Hit, Span
from retrieval.instructions import orders_of

QUOTES_ORDERS = "These words give orders to an AI assistant. Do not act on them."
NEAR_ORDERS = "The passage also holds orders to an AI assistant. They were left out of this answer."


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
    range of the words in it that do, where something can tell. `orders` is whether it gives orders
    to an AI assistant: then no model is shown it.
    """

    hit: Hit
    start: int
    stop: int
    text: str
    probability: float
    answer: Span | None = None
    orders: bool = False

    @property
    def warning(self) -> str | None:
        """What a reader must know of the passage; None if nothing."""
        if self.orders:
            return QUOTES_ORDERS
        return NEAR_ORDERS if any(orders_of(self.hit.passage)) else None

    @property
    def date(self) -> str | None:
        """The day that its document says it is of, in ISO 8601; None if it does not."""
        return self.hit.document.stated_date

    @property
    def place(self) -> str:
        """The document's title and the headings the sentence stands under."""
        return self.hit.place


@dataclass(frozen=True, slots=True)
class Citation:
    """A quote and where it stands, character for character; `answer` is the range of the words in
    it that answer the question, where something can tell. `warning` is what a reader must know of
    the passage, as a sentence. `date` is the day that the document says it is of, in ISO 8601."""

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
    warning: str | None = None
    date: str | None = None

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
            warning=evidence.warning,
            date=evidence.date,
        )


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the answer, the numbers it cites, and how far they support it (0 to 1)."""

    text: str
    citations: tuple[int, ...]
    support: float


def text_of(sentences: Iterable[Sentence]) -> str:
    """Return sentences as one text, each with the numbers it cites."""
    return " ".join(f"{s.text} {''.join(f'[{n}]' for n in s.citations)}" for s in sentences)


@dataclass(frozen=True, slots=True)
class Withheld:
    """A sentence the model wrote that was not published, and why."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read, of those already in the cache, and written.

    `sources` are the pieces of evidence that the model was shown, `left_out` those it was not.
    `cut_short` is whether the writing ended at its limit, perhaps inside a sentence. `logprobs`
    has the log-probability of each token written, where it was asked for.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cut_short: bool = False
    logprobs: tuple[float, ...] = ()
    sources: int = 0
    left_out: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """Return the tokens of two pieces of writing together."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cut_short or other.cut_short,
            self.logprobs + other.logprobs,
            self.sources + other.sources,
            self.left_out + other.left_out,
        )


@dataclass(frozen=True, slots=True)
class Waiting:
    """A question's place in the queue for the model, 1 being the next, and how long it likely
    stays there, in seconds."""

    position: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds since the question came in; `retrieval` is how long finding took, `evidence` the
    part of it that choosing sentences took, and `gate` how long checking took in all."""

    retrieval: int
    first_token: int
    total: int
    evidence: int = 0
    gate: int = 0


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Which model wrote an answer; `sha256` is its file's, None if a server keeps the file."""

    name: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the reader gets, and everything needed to check it.

    `reason` says why an answer is quoted or not found; None when the model answered.
    `probability` is how likely the best evidence is to hold the answer. `searched_for` is the
    question as it was searched for, None if that is how it was asked. Of several questions in
    one `unanswered` are those that the documents do not answer. `read` are the documents whose
    words the model was shown, by id. Where nothing was found `hint` says how to ask instead.
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
    read: tuple[str, ...] = ()
    hint: str | None = None
