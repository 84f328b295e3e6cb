"""Follow-ups: a question that leans on those before is put in words that stand alone."""

import re
import threading
from collections import OrderedDict
from collections.abc import Sequence

from answer.subjects import (
    POINTS_BACK,
    agent_of,
    bare_phrase,
    has_agent,
    noun_phrase_like,
    spoken_of,
    with_subject,
)
from retrieval.words import STOP_WORDS, stem, words

REMEMBERED = 1000
TURNS = 6
"""Questions of a conversation that are looked back on."""
CONTINUES = re.compile(
    r"^\s*(?:(?:and|or|but|so|then|also|ok|okay|well)\b[\s,]*)*"
    r"(?:and|or|but|so|then|also|what about|how about|what if)\b[\s,]*",
    re.IGNORECASE,
)
ADDS = re.compile(r"\b(?:and|or|about|if)\b", re.IGNORECASE)
"""Of how a question continues: what makes it more of the question before."""
DEFINITE = re.compile(
    r"\b(?:the|there|any|an?)\s+(?:[\w-]+\s+)?(?:address|allowance|amount|benefits?|charge|conditions?"
    r"|contact|cost|date|deadline|difference|discount|duration|exceptions?|exemptions?|fee|fine|form"
    r"|hours|length|limit|maximum|minimum|name|number|numbers|owner|payment|penalty|percentage"
    r"|period|price|procedure|process|purpose|rate|reason|refund|requirements?|risks?|rules?|steps?"
    r"|time|total|value|waiting list|website|words)\b",
    re.IGNORECASE,
)
"""It speaks of something that is always of something: "What is the deadline?"."""
ASKS = re.compile(
    r"^(?:who|whom|whose|what|which|when|where|why|how|is|are|was|were|do|does|did|can|could"
    r"|will|would|should|must|may|has|have|had|am)\b",
    re.IGNORECASE,
)
CONSTRAINT = re.compile(
    r"^(for|in|on|at|by|with|without|over|under|above|below|of|from|during|after|before)\b", re.I
)
PAIRS = ("over under", "above below", "with without", "before after")
OPPOSITES = {one: other for a, b in map(str.split, PAIRS) for one, other in ((a, b), (b, a))}
"""One takes the place of the other."""
COURTESY = re.compile(
    r"\s*(?:many )?(?:thanks?|cheers|great|hello|hi|bye)\b[\w\s,]{0,15}[!.]*", re.I
)
ASIDES = frozenset("tell explain say know else mean detail details".split())
"""Words that ask for more of what was asked before."""
LONGEST_QUESTION = 2000
"""Characters that a question may have, whatever those before add to it."""
STANDS_ALONE = 4
"""With so many telling words a question says itself what its pronouns mean."""


def rewritten(question: str, earlier: Sequence[str]) -> str:
    """Return what to look for: the question, made to stand alone if it leans on earlier ones.

    It leans if it opens like a continuation, has at most one word that carries meaning and is no
    whole question ("What is retrieval?"), or has a pronoun and few such words. "And for
    part-timers?" takes the place of whom or what the question before was for; a pronoun becomes
    the subject of the last question that has one, which is added to "What is the deadline?";
    what cannot be put in a sentence is led by the question before.
    """
    before = next((q for q in _standing_alone(earlier)), None)
    if before is None or before == question or not leans(question) or COURTESY.fullmatch(question):
        return question
    rest = CONTINUES.sub("", question).strip()
    opening = question[: question.rindex(rest)]
    if ASKS.match(rest) and not leans(rest) and not ADDS.search(opening):
        return rest[0].upper() + rest[1:]  # "So how do I apply for a permit?"
    constraint = CONSTRAINT.match(rest)
    if constraint and not ASKS.match(rest):
        return _constrained(before, question, rest, constraint[0])
    bare = bare_phrase(rest)
    if twin := _twin(bare, before) or noun_phrase_like(bare, before):
        return before.replace(twin, bare, 1)
    subject = spoken_of(rest, _standing_alone(earlier)) if ASKS.match(rest) else None
    if subject and (POINTS_BACK.search(rest) or _is_definite(rest)):
        return with_subject(rest, subject)
    return f"{before} {question}"


def adds(question: str, asked: str) -> frozenset[str] | None:
    """Return the stems that a question adds to the one before it, where that only leads it in what
    is looked for; None if `asked` is a question of its own. What has none of these answers the
    question before."""
    if asked == question or not asked.endswith(question):
        return None
    before = {stem(word) for word in words(asked[: -len(question)])}
    telling = {stem(word) for word in words(question) if word not in STOP_WORDS | ASIDES}
    return frozenset(telling - before)


def takes_up(added: frozenset[str], text: str) -> bool:
    """Whether a text has half of the stems that a question adds; of no stems none has half."""
    return bool(added) and 2 * len(added & {stem(word) for word in words(text)}) >= len(added)


def leans(question: str) -> bool:
    """Whether a question needs the ones before it to be understood."""
    telling = len([word for word in words(question) if word not in STOP_WORDS])
    points_back = POINTS_BACK.search(question) and telling < STANDS_ALONE
    asks = ASKS.match(question.strip()) and len(question.split()) > 2
    whole = telling == 1 and asks and not _is_definite(question)
    return bool(CONTINUES.match(question) or (telling <= 1 and not whole) or points_back)


def _standing_alone(earlier: Sequence[str]) -> list[str]:
    """Return the questions that stood alone, the newest first; the first had none before it."""
    first = [q for q in earlier[:1] if not leans(q) or ASKS.match(q.strip())]
    return [*(q for q in reversed(earlier[1:]) if not leans(q)), *first]


def _is_definite(question: str) -> bool:
    """Whether it speaks of what is always of something, and does not say of what."""
    return bool(DEFINITE.search(question)) and not re.search(r"\s[A-Z]", question)


def _twin(word: str, before: str) -> str | None:
    """Return the word of a question that ends like a hyphenated one: full-time of part-time."""
    _, hyphen, end = word.rpartition("-")
    found = re.search(rf"\b\w+-{re.escape(end)}\b", before) if hyphen and " " not in word else None
    return found[0] if found else None


def _constrained(before: str, question: str, constraint: str, preposition: str) -> str:
    """Put a constraint into a question, in the place of the one that begins alike."""
    whole = before.rstrip(" ?.!")
    if preposition.lower() == "for" and has_agent(whole) and not re.search(r"\bfor\b", whole, re.I):
        agent = agent_of(whole)
        if agent is None:
            return f"{before} {question}"
        named = rf"(?:\b(?:a|an|the|our|my)\s+)?{re.escape(agent)}"
        around = re.split(named, whole, maxsplit=1)
        return constraint[3:].strip(" ?.!").join(around) + "?"
    alike = OPPOSITES.get(preposition.lower(), preposition)
    old = re.search(
        rf"\s(?:{preposition}|{alike})\s+(?:(?!\b(?:and|or)\b)[^,?])+$", whole, re.IGNORECASE
    )
    kept = whole[: old.start()] if old else whole
    return f"{kept} {constraint.rstrip(' ?.!')}?"


def after(question: str, earlier: Sequence[str]) -> str:
    """Return what to look for with a question after others, which are given as they were put."""
    known: list[str] = []
    for before in earlier:
        _, known = _turn(before, known)
    return _turn(question, known)[0]


def _turn(question: str, earlier: Sequence[str]) -> tuple[str, list[str]]:
    """Return what to look for, and what to remember.

    That is what was made of it, so that "it" may mean what "it" meant before. One that was only led
    by the question before adds nothing, and would lead the next one in turn.
    """
    asked = rewritten(question, earlier)
    if len(asked) > LONGEST_QUESTION:
        asked = question
    led = asked != question and asked.endswith(question)
    return asked, [*earlier, *([] if led else [asked])][-TURNS:]


class Conversations:
    """The last questions of each conversation; the oldest conversations are forgotten."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._asked: OrderedDict[str, list[str]] = OrderedDict()
        self._lock = threading.Lock()

    def follow(self, conversation: str, question: str) -> str:
        """Return what to look for, and remember the question."""
        with self._lock:
            earlier = self._asked.pop(conversation, [])
            asked, self._asked[conversation] = _turn(question, earlier)
            while len(self._asked) > self._remembered:
                self._asked.popitem(last=False)
            return asked
