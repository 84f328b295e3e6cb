"""What to believe where documents answer a question differently.

Each answer gets a voice from every document that gives it. Documents that hold the very question
have half a voice, and all together no more: whoever plants a false answer writes it for the
question, so that it is found first, and can write it many times (PoisonedRAG, Zou et al., 2024).
A list of questions and answers does the same in good faith, and alone it is believed.

A newer answer comes before an older one, if both say what day they are of and documents give both
that do not hold the question.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import TypeAlias

from answer.types import Evidence
from answer.values import VALUE, comparable, denies
from retrieval.words import stem, words

WORTH_LEADING = 0.5
"""Least probability of evidence that is put first by its day, as a share of that of the best."""
WRITTEN_FOR_IT = 0.5
"""The voice of all documents together that hold the question: less than that of one other."""
LONG_QUESTION = 5
"""Words of a question that no text holds by chance."""
IDLE = frozenset("a an the my our your his her its their per s".split())
"""Words that make no other answer: "the line manager" is "your line manager"."""
Value: TypeAlias = tuple[frozenset[str], bool]


def agreed(evidence: Sequence[Evidence], question: str) -> list[Evidence]:
    """Put first what answers as most documents do, and next what answers otherwise.

    All stays as it is where nothing tells which words answer, or other documents do not differ.
    The first one's `probability` stays that of the best: how sure it is that there is an answer.
    """
    groups = _groups(evidence)
    if not _differ(groups):
        return list(evidence)
    voices = [_voices(group, question) for group in groups]
    # The better found is believed where nothing else tells.
    most = groups[voices.index(max(voices))]
    if _day(most):
        likely = WORTH_LEADING * evidence[0].probability
        rivals = [
            group
            for group, its in zip(groups, voices, strict=True)
            if its >= 1 and group[0].probability >= likely
        ]
        most = max([most, *rivals], key=_day)
    others = [group[0] for group in groups if group is not most]
    mine = {piece.hit.document.id for piece in most}
    # Who differs, before what else the same document says.
    others.sort(key=lambda piece: piece.hit.document.id in mine)
    first = replace(most[0], probability=evidence[0].probability)
    rest = [piece for piece in evidence if piece not in (most[0], others[0])]
    return [first, others[0], *rest]


def disagree(evidence: Sequence[Evidence]) -> bool:
    """Whether another document than the best answers otherwise."""
    return _differ(_groups(evidence))


def disagreement(evidence: Sequence[Evidence]) -> str:
    """Say that the first two differ, and of which days they are if both say so."""
    said = "the documents seem to disagree"
    first, other = (piece.date for piece in evidence[:2])
    return (
        f"{said}; the first is of {first}, the other of {other}"
        if first and other and first != other
        else said
    )


def _differ(groups: Sequence[Sequence[Evidence]]) -> bool:
    best, *others = groups or [[]]
    known = {piece.hit.document.id for piece in best}
    return any(piece.hit.document.id not in known for group in others for piece in group)


def _groups(evidence: Sequence[Evidence]) -> list[list[Evidence]]:
    """Return evidence by what it answers, the best first; nothing if the best one's words that
    answer are not known."""
    found: list[tuple[Value, list[Evidence]]] = []
    for piece in evidence:
        value = _value(piece)
        if value is None:
            if not found:
                return []
            continue
        same = next((group for known, group in found if _same(known, value)), None)
        if same is None:
            found.append((value, [piece]))
        else:
            same.append(piece)
    return [group for _, group in found]


def _day(group: Sequence[Evidence]) -> str:
    """Return the last day up to now that a document of a group says it is of; nothing if none does.

    What is of a day to come, such as next year's prices, is not what holds now.
    """
    today = date.today().isoformat()
    return max((day for piece in group if (day := piece.date) and day <= today), default="")


def _value(piece: Evidence) -> Value | None:
    """Return the words that answer, numbers with their units but the currency, and whether they
    deny."""
    if piece.answer is None:
        return None
    start, stop = piece.answer
    text = comparable(piece.text[start - piece.start : stop - piece.start])
    numbers = {match[0].strip("£$€¥") for match in VALUE.finditer(text)}
    rest = words(VALUE.sub(" ", text))
    telling = {stem(word) for word in rest if word not in IDLE}
    said = frozenset(numbers | telling or rest)
    return (said, denies(text)) if said else None


def _same(one: Value, other: Value) -> bool:
    """Whether two say the same, one of them perhaps with more words."""
    (some, denied), (others, also) = one, other
    return denied == also and (some <= others or others <= some)


def _voices(group: Sequence[Evidence], question: str) -> float:
    """Return how many documents say it; those that hold the question are half a one together."""
    holding = {e.hit.document.id: _holds(e.hit.passage.text, question) for e in group}
    others = sum(not holds for holds in holding.values())
    return others + WRITTEN_FOR_IT * any(holding.values())


def _holds(text: str, question: str) -> bool:
    asked = words(question)
    return len(asked) >= LONG_QUESTION and f" {' '.join(asked)} " in f" {' '.join(words(text))} "
