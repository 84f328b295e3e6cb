"""What a question is about, and saying it in the place of a pronoun. By rule, for English."""

import re
from collections.abc import Iterator, Sequence

from retrieval.words import STOP_WORDS, stem

POINTS_BACK = re.compile(
    r"\b(?!(?-i:IT\b))(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|that|those|these"
    r"|this one)\b"
    r"|(?<=[a-z] )(?:this|one)\s*[?.!]*$",
    re.IGNORECASE,
)
PRONOUN = re.compile(
    r"\b(?P<own>its|their|his|her(?=\s+\w+\s*\w))\b"
    r"|\b(?!(?-i:IT\b))(?P<it>it|they|them|he|him|she|her|this one|that one|those|these)\b"
    r"|(?<=[a-z] )(?P<last>one)(?=\s*[?.!]*$)",
    re.IGNORECASE,
)
PLURAL = frozenset("they them their those these".split())
PERSONS = frozenset("i we you one".split())
TOKEN = re.compile(r"[\w'’-]+|[,;:?]")
DETERMINERS = frozenset("a an the our your my this that these those".split())
AUXILIARIES = frozenset("do does did can could will would should must may".split())
AGENT = re.compile(
    r"\b(?:do|does|did|can|could|will|would|should|must|may)\s+"
    r"(?!i\b|we\b|you\b|one\b|they\b|it\b|he\b|she\b)[^?,]+",
    re.IGNORECASE,
)
VERBS = frozenset("get gets need needs want cost costs mean means tell know happen happens".split())
ACTIONS = frozenset(
    """accept allow apply approve ask become begin bring buy carry choose close collect come contain
    count cover decide destroy die end enter expire explain find follow give have hold include
    inspect join keep last lend let live lose make meet open own pay prevent prove provide publish
    read receive recover refuse reject remain remove repair replace require retire sell send serve
    speak spend start submit take use wear win write""".split()
)
"""What is done, and is seldom a thing: "Can officers submit claims?"."""
LONGEST_PHRASE = 3
BOTH = re.compile(r"\b(?:between|of|compare|both)\s+(?:them|these|those|the two|both)\b", re.I)
OF_THE_ANSWER = re.compile(
    r"^who (?!is\b|are\b|was\b|were\b).*\b(?:he|him|his|she|hers?)\b|\bthis\s*[?.!]*$",
    re.IGNORECASE,
)
"""It speaks of who the question before asked for, or of all that it asked."""
FUNCTION = (
    STOP_WORDS
    | VERBS
    | frozenset("must may many much long often old far there per like us me and or".split())
)


def subject_of(question: str, *, plural: bool | None = None) -> str | None:
    """Return the name or noun phrase that a question is most likely about.

    The last run of words that carry meaning, without the verb at its end; of several the
    last that is as singular or plural as asked for. None if there is no such run.
    """
    runs = list(_runs(question))
    if plural is not None:
        fitting = [run for run in runs if run[-1].lower().endswith("s") is plural]
        runs = fitting or runs
    return " ".join(runs[-1]) if runs else None


def spoken_of(question: str, earlier: Sequence[str]) -> str | None:
    """Return what a question's pronoun stands for: the subject of the question before, or what
    that took from one before it; of "between them", the last two subjects. `earlier` has the
    questions that stood alone, the newest first."""
    before, *older = earlier
    if OF_THE_ANSWER.search(f"{before} {question}"):
        return None
    if BOTH.search(question):
        every = dict.fromkeys(s for q in earlier if (s := subject_of(q)))
        return " and ".join([*every][1::-1]) if len(every) > 1 else None
    pronoun = PRONOUN.search(question)
    plural = pronoun[0].lower() in PLURAL if pronoun else None
    subjects = [subject_of(q, plural=plural) for q in older]
    taken = [s for s in subjects if s and re.search(rf"\b{re.escape(s)}\b", before)]
    return taken[-1] if taken else subject_of(before, plural=plural)


def with_subject(question: str, subject: str) -> str:
    """Say the subject in the place of the first pronoun, at the end if there is none."""
    if both := BOTH.search(question):
        lead = both[0].split()[0]
        return f"{question[: both.start()]}{lead} {subject}{question[both.end() :]}"

    def said(match: re.Match[str]) -> str:
        return f"{subject}'s" if match["own"] else subject

    replaced, count = PRONOUN.subn(said, question, count=1)
    if count:
        return replaced
    return f"{question.rstrip(' ?.!')} ({subject})?"


def bare_phrase(phrase: str) -> str:
    """Return a phrase without the article or the like that it begins with."""
    first, _, rest = phrase.strip(" ?.!").partition(" ")
    return rest if first.lower() in DETERMINERS else phrase.strip(" ?.!")


def noun_phrase_like(phrase: str, question: str) -> str | None:
    """Return the phrase of a question that ends as another one: "annual leave" for "sick leave"."""
    said = TOKEN.findall(phrase)
    if not 1 < len(said) <= LONGEST_PHRASE or {word.lower() for word in said} & FUNCTION:
        return None
    for run in _runs(question):
        stems = [stem(word.lower()) for word in run]
        if stem(said[-1].lower()) in stems[1:]:
            alike = run[: 1 + stems.index(stem(said[-1].lower()), 1)]
            return " ".join(alike[-len(said) :])
    return None


def has_agent(question: str) -> bool:
    """Whether it asks what somebody or something, named after "does", "can" and the like, does."""
    return bool(AGENT.search(question))


def agent_of(question: str) -> str | None:
    """Return the noun phrase right after "does", "can" and the like; None if it is a pronoun, or
    nothing tells where the phrase ends."""
    match = AGENT.search(question)
    run = next(_runs(match[0]), None) if match else None
    return " ".join(run) if run else None


def _runs(question: str) -> Iterator[list[str]]:
    """Yield the runs of words that carry meaning, without the verb in them and what follows it."""
    run: list[str] = []
    after_auxiliary = acts = False
    for word in [*TOKEN.findall(question), "?"]:
        if word.lower() not in FUNCTION and word not in ",;:?":
            if not acts:
                run.append(word)
            acts = False
            continue
        # What follows "do I", "who" or "be" is a verb.
        acts = word.lower() in {"who", "be"} or (after_auxiliary and word.lower() in PERSONS)
        capitals = [word[0].isupper() for word in run]
        if run and capitals[0] and not all(capitals):
            run = run[: capitals.index(False)]
        elif after_auxiliary and word.lower() not in VERBS | {"be"}:
            run = _named(run)
        if run:
            yield run
        run = []
        if word.lower() not in DETERMINERS:
            after_auxiliary = word.lower() in AUXILIARIES


def _named(run: list[str]) -> list[str]:
    """Return what is named at the start of a run after "does" and the like, whose verb comes next:
    "full-time officer claim mileage". Nothing if there is no telling where it ends."""
    verbs = [at for at, word in enumerate(run) if at and word.lower() in ACTIONS]
    before = run[: verbs[0]] if verbs else run
    many = [at for at, word in enumerate(before) if word[-1:] == "s" and word[-2:-1] not in "sui"]
    if many:
        return before[: many[0] + 1]
    return before if verbs else run[:1] if len(run) < 3 else []
