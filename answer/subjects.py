"""What a question is about, and saying it in the place of a pronoun. By rule, for English."""

import re
from collections.abc import Iterator

from retrieval.words import STOP_WORDS

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


def with_subject(question: str, subject: str) -> str:
    """Say the subject in the place of the first pronoun, at the end if there is none."""

    def said(match: re.Match[str]) -> str:
        return f"{subject}'s" if match["own"] else subject

    replaced, count = PRONOUN.subn(said, question, count=1)
    if count:
        return replaced
    return f"{question.rstrip(' ?.!')} ({subject})?"


def agent_of(question: str) -> str | None:
    """Return the noun phrase right after "does", "can" and the like; None if it is a pronoun."""
    match = AGENT.search(question)
    runs = list(_runs(match[0])) if match else []
    return " ".join(runs[0]) if runs else None


def _runs(question: str) -> Iterator[list[str]]:
    """Yield the runs of words that carry meaning, without a verb at their end."""
    run: list[str] = []
    after_auxiliary = acts = False
    for word in [*TOKEN.findall(question), "?"]:
        if word.lower() not in FUNCTION and word not in ",;:?":
            if not acts:
                run.append(word)
            acts = False
            continue
        # What follows "do I" or "who" is a verb.
        acts = word.lower() == "who" or (after_auxiliary and word.lower() in PERSONS)
        if run:
            yield _without_verb(run, after_auxiliary and word.lower() not in VERBS)
        run = []
        if word.lower() not in DETERMINERS:
            after_auxiliary = word.lower() in AUXILIARIES


def _without_verb(run: list[str], after_auxiliary: bool) -> list[str]:
    """Take away what follows a name, or the last word after "does" and the like."""
    capitals = [word[0].isupper() for word in run]
    if capitals[0] and not all(capitals):
        return run[: capitals.index(False)]
    return run[:-1] if after_auxiliary and len(run) > 1 else run
