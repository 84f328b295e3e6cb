"""An answer while it is being made, of the parts of a question."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from answer.types import (
    Answer,
    Citation,
    Evidence,
    ModelCard,
    Sentence,
    Status,
    Timings,
    Usage,
    Withheld,
    text_of,
)
from answer.values import said_in

NEAREST = 3
NOT_BORNE_OUT = "nothing the model wrote is borne out by the documents"


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence that passed the gate, with the citations that are new with it."""

    sentence: Sentence
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One of the questions in a question, as it was put and as it was searched for."""

    put: str
    searched: str
    corrected: bool
    evidence: list[Evidence]

    @property
    def asked(self) -> str:
        """What the model is asked: as it was put, unless that had slips."""
        return self.searched if self.corrected else self.put

    @property
    def probability(self) -> float:
        """That the best of its evidence answers it."""
        return self.evidence[0].probability if self.evidence else 0.0


@dataclass(slots=True)
class Draft:
    """An answer while it is being made."""

    question: str
    began: float
    asked: str = ""
    generation: int = 0
    probability: float = 0.0
    written: bool = False
    searched_for: str | None = None
    unanswered: tuple[str, ...] = ()
    reason: str | None = None
    disagreement: str | None = None
    sentences: list[Sentence] = field(default_factory=list)
    said: set[str] = field(default_factory=set)
    citations: list[Citation] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    model: ModelCard | None = None
    usage: Usage = field(default_factory=Usage)
    retrieval_ms: int = 0
    first_token_ms: int | None = None
    judging_s: float = 0.0
    checking_s: float = 0.0

    def __post_init__(self) -> None:
        """Take the question as it was put, until something else is made of it."""
        self.asked = self.question

    def found(self, parts: Sequence[Part], threshold: float) -> None:
        """Note what was found for each part of the question."""
        searched = " ".join(part.asked for part in parts)
        self.searched_for = None if searched == self.question else searched
        self.probability = max(part.probability for part in parts)
        if len(parts) > 1:
            self.unanswered = tuple(p.put for p in parts if p.probability < threshold)
        self.retrieval_ms = self._elapsed()

    def first_token(self) -> None:
        """Note that the model began to write."""
        if self.first_token_ms is None:
            self.first_token_ms = self._elapsed()

    def say(self, text: str, evidence: Evidence, support: float, lead: str = "") -> Said:
        """Add a sentence that rests on a piece of evidence, after what leads to it."""
        self.said.add(said_in(text))
        known = {(c.document_id, c.start, c.stop): c.number for c in self.citations}
        number = known.get((evidence.hit.document.id, evidence.start, evidence.stop))
        new: tuple[Citation, ...] = ()
        if number is None:
            number = len(self.citations) + 1
            new = (Citation.of(evidence, number),)
            self.citations += new
        sentence = Sentence(lead + text, (number,), support)
        self.sentences.append(sentence)
        return Said(sentence, new)

    def has_said(self, text: str) -> bool:
        """Whether a sentence was published before: small models say things twice."""
        return said_in(text) in self.said

    def finish(self) -> Answer:
        """Return the answer as it stands."""
        if self.written:
            return self._answer(Status.ANSWERED, self.disagreement)
        reason = self.disagreement or self.reason or NOT_BORNE_OUT
        return self._answer(Status.QUOTED, reason)

    def not_found(self, nearest: tuple[Citation, ...], reason: str, hint: str | None) -> Answer:
        """Return the refusal, with what is nearest and how to ask instead."""
        return replace(self._answer(Status.NOT_FOUND, reason, nearest), hint=hint)

    def _answer(
        self, status: Status, reason: str | None, nearest: tuple[Citation, ...] = ()
    ) -> Answer:
        total = self._elapsed()
        first = total if self.first_token_ms is None else self.first_token_ms
        return Answer(
            id=str(uuid.uuid4()),
            question=self.question,
            status=status,
            text=text_of(self.sentences),
            sentences=tuple(self.sentences),
            citations=tuple(self.citations),
            generation=self.generation,
            timings=Timings(
                self.retrieval_ms,
                first,
                total,
                evidence=round(self.judging_s * 1000),
                gate=round(self.checking_s * 1000),
            ),
            probability=round(self.probability, 3),
            reason=reason,
            withheld=tuple(self.withheld),
            nearest=nearest,
            model=self.model,
            usage=self.usage,
            searched_for=self.searched_for,
            unanswered=self.unanswered,
            read=tuple(sorted(self.read)),
        )

    def _elapsed(self) -> int:
        return round((time.perf_counter() - self.began) * 1000)


def nearest_to(parts: Sequence[Part]) -> tuple[Citation, ...]:
    """Return what is nearest to the parts of a question, the best of each part first."""
    turns = zip_longest(*(part.evidence[:NEAREST] for part in parts))
    nearest = [evidence for turn in turns for evidence in turn if evidence is not None]
    shown = nearest[: max(NEAREST, len(parts))]
    return tuple(Citation.of(e, n) for n, e in enumerate(shown, start=1))
