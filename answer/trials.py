"""Asking a library questions whose answer is known.

Each is asked twice: as it is, and with the document, or the passage, that answers it held out,
when nothing can answer it. The questions are the operator's own, or written by the model about
sentences of the library.
"""

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from answer.evidence import Judgement
from answer.features import Candidate
from answer.model import LanguageModel, Message
from answer.regression import Matrix
from answer.values import said_in
from retrieval import Document, Filters, Hit, Span
from retrieval.instructions import orders_of
from retrieval.ranking import asked_stems, stems_of
from retrieval.snapshot import Snapshot

TRIED = 10
"""Sentences that are tried, at most, for each question that is wanted."""
WORDS_OF_A_SENTENCE = (8, 40)
MOST_HELD_OUT = 3
"""Passages that may hold one answer, overlaps and copies counted."""
LEAST_SHARED = 0.5
"""Share of a written question's words that its sentence or place must have."""
LEAST_ASKED = 2
INSTRUCTION = "You write one short question that the given sentence answers."
EXAMPLES = (
    (
        "The swimming pool opens at 7 am on weekdays and at 9 am on Sundays.",
        "When does the swimming pool open on weekdays?",
    ),
    (
        "Invoices above 5,000 euros must be approved by two managers.",
        "Who must approve invoices above 5,000 euros?",
    ),
    ("Visitors may borrow up to six books at a time.", "How many books may a visitor borrow?"),
)


@dataclass(frozen=True, slots=True)
class Known:
    """A question, the document that answers it, and the characters that do, if they are known."""

    question: str
    document_id: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """What was found for the `number`th question: the `decision_features` of the best sentence,
    whether it is right, and whether the question could be answered."""

    number: int
    row: Matrix
    right: bool
    answerable: bool


def written_questions(
    snapshot: Snapshot, model: LanguageModel, count: int, follow: Callable[[int], None]
) -> Iterator[Known]:
    """Have the model write questions that sentences of the library answer.

    Only those are kept that ask about what their sentence says, one a sentence. Stops after
    `count` of them, or when TRIED times as many sentences were tried.
    """
    rng = random.Random(7)  # noqa: S311 - the same sentences each time
    kept = 0
    tried: set[tuple[str, Span]] = set()
    for _ in range(TRIED * count):
        found = snapshot.any_passage(rng)
        if kept == count or found is None:
            return
        document, passage = found
        if not passage.sentences:
            continue
        span, sentence = rng.choice([*zip(passage.sentences, passage.quotable, strict=True)])
        at = passage.sentences.index(span)
        if (
            (document.id, span) in tried
            or not _worth_asking(sentence)
            or orders_of(passage)[at]  # which no model is shown
        ):
            continue
        tried.add((document.id, span))
        question = _question(model, sentence)
        place = " ".join((document.title, *passage.heading))
        if _asks_about(question, f"{place} {sentence}"):
            kept += 1
            follow(kept)
            yield Known(question, document.id, span)


def trials(
    known: Sequence[Known],
    snapshot: Snapshot,
    judgement: Judgement,
    passages: int,
    follow: Callable[[int], None],
) -> list[Trial]:
    """Ask each question as it is, and once more so that nothing answers it.

    Every other one is asked again with its document held out, the rest with the passages alone
    that hold the answer: what is left then looks as if it might.
    """
    found = []
    for number, one in enumerate(known, start=1):
        asked = snapshot.ask(one.question)
        more = snapshot.search(asked, limit=passages + MOST_HELD_OUT)
        hits = more[:passages]
        copies = {d.id for hit in more for d in _copies(hit, one.document_id)}
        answer = one.span
        said = None
        if judged := judgement.judge(asked, hits):
            best = judged.candidates[judged.order[0]]
            right = _is_right(best, one)
            said = said_in(best.text) if right else None
            if right and best.hit.document.id == one.document_id:
                answer = answer or best.span
            found.append(Trial(number, judged.decision, right, answerable=True))
        left = [hit for hit in more if not _holds(hit, answer, one.document_id, copies)]
        if number % 2 or answer is None or len(left) == len(more):
            without = Filters(except_ids=(one.document_id, *copies))
            left = [*snapshot.search(asked, limit=passages, filters=without)]
        if judged := judgement.judge(asked, left[:passages]):
            best = judged.candidates[judged.order[0]]
            if said is None or said_in(best.text) != said:  # else it is there after all
                found.append(Trial(number, judged.decision, right=False, answerable=False))
        follow(number)
    return found


def _holds(hit: Hit, answer: Span | None, document_id: str, copies: Collection[str]) -> bool:
    """Whether a hit has some of the characters that answer, or is of a copy of their document."""
    if hit.document.id != document_id:
        return hit.document.id in copies
    passage = hit.passage
    return answer is not None and passage.start < answer[1] and answer[0] < passage.stop


def _worth_asking(text: str) -> bool:
    least, most = WORDS_OF_A_SENTENCE
    return least <= len(text.split()) <= most and text.rstrip()[-1:] in ".!"


def _question(model: LanguageModel, sentence: str) -> str:
    messages = [Message("system", INSTRUCTION)]
    for example, question in EXAMPLES:
        messages += [Message("user", example), Message("assistant", question)]
    messages.append(Message("user", " ".join(sentence.split())))
    pieces = (p for p in model.write(messages, max_tokens=40) if isinstance(p, str))
    return "".join(pieces).strip().partition("\n")[0]


def _asks_about(question: str, text: str) -> bool:
    asked = asked_stems(question)
    said = set(stems_of(text))
    shared = [word for word in asked if word in said]
    return (
        question.endswith("?")
        and len(shared) >= LEAST_ASKED
        and len(shared) >= LEAST_SHARED * len(asked)
    )


def _copies(hit: Hit, document_id: str) -> Sequence[Document]:
    """Return the documents that say nearly the same as one, where a hit shows it."""
    together = (hit.document, *hit.also_in)
    return together if document_id in {d.id for d in together} else ()


def _is_right(best: Candidate, known: Known) -> bool:
    if best.hit.document.id != known.document_id:
        return known.document_id in {document.id for document in best.hit.also_in}
    if known.span is None:
        return True
    return best.span[0] < known.span[1] and known.span[0] < best.span[1]
