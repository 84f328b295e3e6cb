"""The use case: a question in, a checked answer out."""

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from answer.agreement import agreed, disagree, disagreement
from answer.conversation import Conversations, adds, after, takes_up
from answer.draft import Draft, Part, Said, nearest_to
from answer.errors import AnswerError, ModelBusy
from answer.evidence import Judgement
from answer.gate import SupportScorer, answers, check
from answer.hints import refusal
from answer.model import LanguageModel
from answer.parts import parts_of
from answer.prompt import Form, build_prompt, version
from answer.quoting import lead_of, quotes
from answer.receipts import Method, Receipts
from answer.types import (
    Answer,
    Citation,
    Evidence,
    Usage,
    Waiting,
    Withheld,
)
from answer.writing import MAX_TOKENS, written_sentences
from retrieval import Filters, Library
from retrieval.snapshot import Snapshot

EVIDENCE_KEPT = 8
EVIDENCE_SHOWN = 4
"""Sentences the model sees: with more, a small model mixes them up."""
WORTH_SHOWING = 0.2
"""Least probability of evidence beside the best: one chance in five of being what was asked."""
MAX_SENTENCES = 2
NOT_TAKEN_UP = "what this adds to the question before was not found in the documents"
WHOLE = "Ask it as a whole question: say of what, of whom or of when."


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
        draft = Draft(ask.question, time.perf_counter())
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
            nearest = tuple(replace(cited, answer=None) for cited in nearest_to(parts))
            searched = " ".join(part.searched for part in parts)
            why = refusal(searched, snapshot, ask.filters)
            if added is not None and snapshot.allowed(ask.filters):
                why = (NOT_TAKEN_UP, WHOLE)
            yield draft.not_found(nearest, *why)
            return
        answerable = [part for part in parts if part.probability >= self._threshold]
        yield Found(nearest_to(answerable))
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
        draft: Draft,
        question: str,
        snapshot: Snapshot,
        ask: Ask,
        added: frozenset[str] | None,
    ) -> Part:
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
        return Part(question, query.text, bool(query.corrections), evidence)

    def _write(
        self, draft: Draft, asked: str, evidence: Sequence[Evidence], insist: bool
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
            with closing(written_sentences(self._model, draft, prompt, shown)) as sentences:
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

    def _quote(self, draft: Draft, evidence: Sequence[Evidence], at_least: int) -> Iterator[Said]:
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
