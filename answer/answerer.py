"""The use case: a question in, a checked answer out."""

import re
import time
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from answer.agreement import agreed, disagree, disagreement
from answer.conversation import Conversations, adds, after, takes_up
from answer.errors import AnswerError, ModelBusy
from answer.evidence import Judgement
from answer.gate import MARKER, SupportScorer, answers, check
from answer.hints import refusal
from answer.model import LanguageModel, Message
from answer.parts import parts_of
from answer.prompt import Form, build_prompt, version
from answer.quoting import lead_of, quotes
from answer.receipts import Method, Receipts
from answer.types import (
    Answer,
    Citation,
    Evidence,
    ModelCard,
    Sentence,
    Status,
    Timings,
    Usage,
    Waiting,
    Withheld,
    text_of,
)
from answer.values import said_in
from retrieval import Filters, Library
from retrieval.sentences import sentence_spans
from retrieval.snapshot import Snapshot
from retrieval.words import words

EVIDENCE_KEPT = 8
EVIDENCE_SHOWN = 4
"""Sentences the model sees: with more, a small model mixes them up."""
CUT_OFF = "the model was cut off inside it, at the length that answers may have"
WORTH_SHOWING = 0.2
"""Least probability of evidence beside the best: one chance in five of being what was asked."""
NEAREST = 3
MAX_TOKENS = 96
MAX_SENTENCES = 2
NOT_BORNE_OUT = "nothing the model wrote is borne out by the documents"
NOT_TAKEN_UP = "what this adds to the question before was not found in the documents"
WHOLE = "Ask it as a whole question: say of what, of whom or of when."
LEADING_MARKERS = re.compile(r"\s*(?:\[\d[\d,\s]*\]\s*)+")
PERHAPS_A_MARKER = re.compile(r"\s*(?:\[[\d,\s]*)?")


@dataclass(frozen=True, slots=True)
class Ask:
    """A question. `top_k` is how many passages to draw from, if not the usual number. Who does
    `insist` wants the model's words or none: no quotes because it is busy.

    Questions of one `conversation`, a name of the client's choosing, may lean on each other. Who
    keeps them can give those that came before instead (`earlier`, the oldest first).
    """

    question: str
    filters: Filters | None = None
    top_k: int | None = None
    conversation: str | None = None
    insist: bool = False
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """The first event: the evidence that was found, best first, while the model writes."""

    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence that passed the gate, with the citations that are new with it."""

    sentence: Sentence
    citations: tuple[Citation, ...]


Event = Found | Waiting | Said | Answer


class Answerer:
    """Answers questions from a library, with a model if there is one."""

    def __init__(
        self,
        library: Library,
        model: LanguageModel | None,
        *,
        judgement: Judgement,
        passages: int,
        threshold: float,
        support: SupportScorer | None = None,
        receipts: Receipts | None = None,
    ) -> None:
        """`support` has the last word on what the model wrote, where there is something to ask.

        Every answer leaves its receipt in `receipts`.
        """
        self._library = library
        self._model = model
        self._judgement = judgement
        self._passages = passages
        self._threshold = threshold
        self._support = support
        self._receipts = receipts
        self._conversations = Conversations()

    def warm_up(self) -> None:
        """Load what the first question would wait for."""
        self._judgement.scorer.warm_up()

    def answer(self, ask: Ask) -> Answer:
        """Answer one question, citing the words the answer rests on."""
        for event in self.stream(ask):
            if isinstance(event, Answer):
                return event
        raise RuntimeError("a stream of events ends with the answer")

    def stream(self, ask: Ask) -> Iterator[Event]:
        """Yield Found, the place in the model's queue while it is waited for, each sentence as it
        passes the gate, and last the whole Answer.

        With `insist`, ModelBusy is raised if the model is, instead of an answer in quotes. A
        refusal is the Answer alone. Closing the iterator stops the model.
        """
        with closing(self._events(ask)) as events:
            for event in events:
                if isinstance(event, Answer) and self._receipts:
                    self._receipts.record(event, self.method(ask), ask.filters)
                yield event

    def method(self, ask: Ask) -> Method:
        """Return what decides an answer beside the documents and the model."""
        return Method(
            prompt=version(self._form),
            threshold=self._threshold,
            passages=ask.top_k or self._passages,
            judge=self._judgement.scorer.name,
            calibrated=self._judgement.calibrated,
            embedder=self._library.embedder,
            sentences=EVIDENCE_SHOWN,
            max_tokens=MAX_TOKENS,
        )

    @property
    def _form(self) -> Form:
        """How the model is asked."""
        return Form.of(self._model.parameters) if self._model else Form.SHORT

    def _events(self, ask: Ask) -> Generator[Event, None, None]:
        draft = _Draft(ask.question, time.perf_counter())
        snapshot = self._library.snapshot()
        draft.generation = snapshot.generation
        if ask.earlier:
            draft.asked = after(ask.question, ask.earlier)
        elif ask.conversation is not None:
            draft.asked = self._conversations.follow(ask.conversation, ask.question)
        added = adds(ask.question, draft.asked)
        asked = [draft.asked] if added is not None else parts_of(draft.asked)
        parts = [self._look(draft, part, snapshot, ask, added) for part in asked]
        draft.found(parts, self._threshold)
        if draft.probability < self._threshold:
            nearest = tuple(replace(cited, answer=None) for cited in _nearest(parts))
            searched = " ".join(part.searched for part in parts)
            why = refusal(searched, snapshot, ask.filters)
            if added is not None and snapshot.allowed(ask.filters):
                why = (NOT_TAKEN_UP, WHOLE)
            yield draft.not_found(nearest, *why)
            return
        answerable = [part for part in parts if part.probability >= self._threshold]
        yield Found(_nearest(answerable))
        for part in answerable:
            evidence, written = part.evidence, False
            differing = disagree(evidence)
            if differing:
                draft.disagreement = disagreement(evidence)
            else:
                written = yield from self._write(draft, part.asked, evidence, ask.insist)
            if not written:
                yield from self._quote(draft, evidence, 2 if differing else 1)
        yield draft.finish()

    def _look(
        self,
        draft: "_Draft",
        question: str,
        snapshot: Snapshot,
        ask: Ask,
        added: frozenset[str] | None,
    ) -> "_Part":
        """Find the evidence for one question; if it was only led by the one before, what takes up
        what it `added`."""
        asked = snapshot.ask(question)
        hits = snapshot.search(asked, limit=ask.top_k or self._passages, filters=ask.filters)
        query = asked.query
        began = time.perf_counter()
        evidence = self._judgement.select(asked, hits, EVIDENCE_KEPT)
        if added is not None:
            evidence = [e for e in evidence if takes_up(added, f"{e.hit.place} {e.text}")]
        if evidence and evidence[0].probability >= self._threshold:
            evidence[1:] = [e for e in evidence[1:] if e.probability >= WORTH_SHOWING]
        evidence = agreed(evidence, query.text)
        draft.judging_s += time.perf_counter() - began
        return _Part(question, query.text, bool(query.corrections), evidence)

    def _write(
        self, draft: "_Draft", asked: str, evidence: Sequence[Evidence], insist: bool
    ) -> Generator[Waiting | Said, None, bool]:
        """Have the model write, and publish each sentence that passes the gate; return whether one
        did, or had been said before."""
        if self._model is None:
            draft.reason = "no model is set up"
            return False
        found, evidence = evidence, [e for e in evidence if not e.orders][:EVIDENCE_SHOWN]
        shown = Usage(sources=len(evidence), left_out=len(found) - len(evidence))
        if not evidence:
            draft.reason = "it gives orders to an AI assistant, so no model was shown it"
            return False
        answered = False
        most = len(draft.sentences) + MAX_SENTENCES
        try:
            draft.model = self._model.card
            draft.read |= {e.hit.document.id for e in evidence}
            prompt = build_prompt(asked, evidence, self._form)
            with closing(_sentences(self._model, draft, prompt, shown)) as sentences:
                for written in sentences:
                    if isinstance(written, Waiting):
                        yield written
                        continue
                    began = time.perf_counter()
                    verdict = check(written, evidence, asked, self._support)
                    draft.checking_s += time.perf_counter() - began
                    cited = evidence[verdict.evidence]
                    reason = verdict.reason
                    if cited.probability < self._threshold:
                        reason = reason or "it rests on words that may not answer the question"
                    if not answers(verdict.text, cited):
                        reason = reason or "it leaves out the words that answer the question"
                    if reason:
                        draft.withheld.append(Withheld(verdict.text, reason))
                        continue
                    draft.written = answered = True
                    if draft.has_said(verdict.text):
                        continue
                    yield draft.say(verdict.text, cited, verdict.support)
                    if len(draft.sentences) == most:
                        break
        except AnswerError as problem:
            if insist and isinstance(problem, ModelBusy):
                raise
            draft.reason = str(problem)
        return answered

    def _quote(
        self, draft: "_Draft", evidence: Sequence[Evidence], at_least: int
    ) -> Iterator[Said]:
        """Publish the evidence itself; of several documents each leads what it says."""
        found = [*quotes(evidence, at_least)]
        leads = {
            quote.evidence.hit.document.id: lead_of(quote.evidence, dated=at_least > 1)
            for quote in found
        }
        # One title for two documents would make one of them, and so would one that is missing.
        several = len(leads) > 1 and all(leads.values()) and len({*leads.values()}) == len(leads)
        led_by = ""
        for quote in found:
            # Straight marks: a program that compares words knows them for punctuation.
            said = f'"{quote.shown}"'
            if draft.has_said(said):  # for another part of the question, or by the model
                continue
            document = quote.evidence.hit.document.id
            lead = leads[document] if several and document != led_by else ""
            yield draft.say(said, quote.evidence, 1.0, lead)
            led_by = document


@dataclass(frozen=True, slots=True)
class _Part:
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
        return self.evidence[0].probability if self.evidence else 0.0


@dataclass(slots=True)
class _Draft:
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
        self.asked = self.question

    def found(self, parts: Sequence[_Part], threshold: float) -> None:
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


def _sentences(
    model: LanguageModel, draft: _Draft, prompt: list[Message], shown: Usage
) -> Generator[str | Waiting, None, None]:
    """Yield what the model writes, sentence by sentence, each when it is complete; `shown` counts
    what is in the prompt, which is used once the model has read it."""
    text = ""
    used = Usage()
    for piece in model.write(prompt, max_tokens=MAX_TOKENS):
        if isinstance(piece, Waiting):
            yield piece
            continue
        draft.usage, shown = draft.usage + shown, Usage()
        if isinstance(piece, Usage):
            used = piece
            draft.usage += used
            continue
        draft.first_token()
        text += piece
        *whole, text = _split(text)
        yield from (one for one in whole if words(MARKER.sub("", one)))
    if text.strip() and used.cut_short:
        draft.withheld.append(Withheld(text.strip(), CUT_OFF))
    elif text.strip():
        yield text.strip()


def _split(text: str) -> list[str]:
    """Return the sentences of a text that is still being written, and last what is not yet one.

    The number of a source may come after the full stop; it is of the sentence before it.
    """
    *whole, (last, _) = sentence_spans(text) or [(0, 0)]
    found = [text[start:stop] for start, stop in whole] + [text[last:]]
    for at in range(1, len(found)):
        if leading := LEADING_MARKERS.match(found[at]):
            found[at - 1] += f" {leading[0].strip()}"
            found[at] = found[at][leading.end() :]
    if len(found) > 1 and PERHAPS_A_MARKER.fullmatch(found[-1]):
        found[-2:] = [" ".join(filter(None, found[-2:]))]
    return found


def _nearest(parts: Sequence[_Part]) -> tuple[Citation, ...]:
    """Return what is nearest to the parts of a question, the best of each part first."""
    turns = zip_longest(*(part.evidence[:NEAREST] for part in parts))
    nearest = [evidence for turn in turns for evidence in turn if evidence is not None]
    shown = nearest[: max(NEAREST, len(parts))]
    return tuple(Citation.of(e, n) for n, e in enumerate(shown, start=1))
