"""Telling sentences that give orders to an AI assistant from those that inform a reader.

A sentence is flagged if it matches one STRONG pattern, or HINTS of two kinds that are not both
COMMON, or if it hides characters. A single hint suffices right beside a flagged sentence, where
instructions go on. The patterns are few and can be read; docs/security.md says what they miss and
how often they are wrong. None may repeat a repetition: an attacker writes what they are tried on.
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from retrieval.sentences import sentence_spans
from retrieval.types import Passage

_ASSISTANT = (
    r"(?:(?:ai|virtual|language|digital)[ -](?:assistants?|models?|agents?|systems?|bots?)"
    r"|ai|ais|llms?|chat ?bots?|chat ?gpt|gpt-?\d?|copilot)"
)
_ORDERS = (
    r"(?:instructions?|prompts?|directions?|directives?|guidelines?|commands?|orders?|programming"
    r"|rules|restrictions|messages?|context|text|documents|sources)"
)
_EARLIER = r"(?:all|any|every|your|these|those|other|previous|prior|above|earlier|preceding)"
_ANSWER = r"(?:answers?|responses?|repl(?:y|ies)|outputs?|completions?)"
_FORGET = r"(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?)"

_GOES_ON = (
    r"(?=\W{0,5}$|[,:;!)]| (?:reading|processing|answering|that|which|who|and|please|say|ignore))"
)

STRONG = {
    "override": (
        rf"(?<!not )(?<!n't )(?<!never )(?:(?<!to )|(?<=you to ))\b{_FORGET} (?:"
        rf"(?:\w+ ){{0,2}}{_EARLIER} (?:\w+ ){{0,2}}?"
        r"(?:instructions?|prompts?|directives?|commands?|guidelines?|orders?|programming)\b"
        r"(?! (?:about|on|regarding|concerning) (?!(?:you|how|what|your|this|safety|answer)\b))|"
        rf"(?:\w+ ){{0,2}}{_ORDERS} (?:above|before this)\b"
        r"|(?:the )?(?:user|reader)['’]s (?:question|query|request)|the system prompt)"
    ),
    "markup": (
        r"<\|[a-z_]{2,20}\|>|\[/?inst\]|<</?sys>>|</?(?:start|end)_of_turn>"
        r"|(?<!#)#{2,} ?(?:instructions?|system|response|human|assistant|user)\b ?:?"
        r"|</?(?:system|assistant|user_query|prompt|instructions?)>"
    ),
    "role": r"\b(?:system|developer|hidden|secret|admin(?:istrator)?) (?:prompt|override) ?:",
    "address": (
        r"\b(?:(?:notes?|notice|attention|message|instructions?) (?:to|for)|dear|hey|hello|hi)\b,?"
        rf"(?: (?:the|any|all|every))? {_ASSISTANT}\b(?=[,:;!]| (?:reading|processing|that|who))"
    ),
    "session": (
        r"\b(?:begin|start|end) (?:admin|system|developer|debug) (?:session|mode|prompt|message)\b"
        r"|\b(?:human|user) ?: .{0,300}\bassistant ?:"
    ),
    "call": (
        rf"^\W*(?:assistant|model|{_ASSISTANT}), (?:please|kindly|you)\b"
        r"|\byou, (?:the|an) (?:model|assistant|ai)\b|\bwhen summari[sz]ing this\b"
    ),
    "you_are": rf"\byou(?: are|['’]re)(?: now)?(?: an?| the)? (?:\w+ )?{_ASSISTANT}\b{_GOES_ON}",
    "steer": (
        r"\b(?:hereafter|from (?:here|now) on(?: out)?),? (?:reply|respond|answer|talk|speak)\b"
        rf"|\bforget (?:everything|all)\b.{{0,20}} (?:told|said|before|above)\b"
        r"|\bdo not answer the question\s*[;,:.]"
        r"|\b(?:reply|respond|answer) (?:only|solely|exclusively|just) with\b"
        rf"|\b(?:modify|augment|enhance|adjust|alter|misspell|scramble|jumble|anagram|rearrange"
        rf"|encode) (?:\w+ ){{0,6}}(?:of |in |with )?your {_ANSWER}\b"
        rf"|\b(?:begin|start|end|finish|prefix) (?:each of )?your {_ANSWER} (?:with|by)\b"
        r"|\banswer(?:ing)? the question [“\"'‘«].{1,200}?\b(?:say|claim|write|reply|respond)\b"
        rf"|\b(?:say|claim|state|answer|reply|respond) that the (?:\w+ )?answer is\b"
    ),
    "leak": (
        r"\b(?:reveal|show|print|repeat|output|leak|display|tell me) (?:me )?(?:your|the)"
        r" (?:(?:system|hidden|initial|secret) (?:prompt|instructions?))\b"
    ),
    "other_language": (
        r"\b(?:ignora|olvida|omite)\w* (?:\w+ ){0,3}instrucciones\b"
        r"|\b(?:ignore[zr]|oublie[zr]?) (?:\w+ ){0,3}(?:instructions|consignes)\b"
        r"|\b(?:ignorier|vergiss|missacht)\w* (?:\w+ ){0,4}(?:anweisung|instruktion)\w*"
        r"|\bignor\w* (?:\w+ ){0,3}(?:istruzioni|instruções|instrucoes)\b"
        r"|(?:忽略|无视|忘记).{0,8}(?:指令|指示|提示|说明)|игнорируй\w* .{0,20}инструкци"
    ),
}
HINTS = {
    "order": (  # a form or a letter may well say both of these: one kind
        rf"\byour (?:\w+ )?{_ANSWER}\b|^\S+$|"
        r"^\W*(?:(?:please|now|then|also|instead|important|urgent|and)\b\W+)*"
        r"(?:say|repeat|write|print|output|reply|respond|answer|include|add|append|insert|integrate"
        r"|begin|start|end|finish|replace|remove|translate|explain|describe|provide|compose|draft"
        r"|develop|use|combine|group|substitute|render|convert|introduce|suggest|decode|follow"
        r"|execute|forget|ignore|disregard|pretend|act|state|claim|mention|tell|modify)\b"
    ),
    "role": r"^\W*(?:system|assistant|developer)(?: message)? ?:",
    "assistant": rf"\b(?:{_ASSISTANT}|(?:the|an) assistant|assistants)\b",
    "persona": r"\byou are now\b|\bfrom now on,? you (?:are|will)\b|\bpretend to be\b",
    "only": (
        r"\b(?:say|write|print|output|reply|respond|answer)\b.{0,80}"
        r"\b(?:and nothing else|nothing but|word for word)\b"
    ),
    "hush": (
        r"\b(?:do not|don['’]t|never|without) (?:mention|reveal|tell|say|disclos|explain)\w*"
        r"(?: \w+){0,2} (?:this|these|the) (?:note|message|instruction|prompt|text|user)"
    ),
    "must": (
        r"\b(?:must|should|shall) first (?:write|say|print|output)\b.{1,80}"
        r"\bthen (?:answer|reply|respond)\b"
    ),
    "verdict": (
        r"\b(?:correct|right|proper|only) (?:answer|reply|response)\b.{0,40}\bis\b"
        rf"|\b{_ANSWER} to (?:every|each|any|all) questions? (?:is|must be)\b"
    ),
}
COMMON = frozenset({"order", "assistant", "role"})
"""Hints that policies, forms and minutes give too: they count only with one of the others."""
LIKE_THEM = re.compile(
    rf"\bprompt[ -]?injections?\b|\binject(?:ed|ion)\b|\bjailbreak|\bprompts?\b|\bchat ?bots?\b"
    rf"|\b(?:hidden|malicious|embedded|ignore\w*)\b.{{0,40}}\b{_ORDERS}|\b{_ASSISTANT}\b",
    re.IGNORECASE,
)
"""A question that asks about orders to an assistant may be shown them."""

LONGEST = 500
"""Characters of a sentence whose hints count together: a table or a page without a full stop has
some of every kind."""

_STRONG = re.compile("|".join(f"(?:{pattern})" for pattern in STRONG.values()), re.IGNORECASE)
_HINTS = {kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in HINTS.items()}
_INVISIBLE = "\u00ad\u200b-\u200f\u2060-\u2064\u2066-\u2069\ufeff\ufe00-\ufe0f"
_HIDDEN = re.compile(
    f"[\u202d\u202e\U000e0000-\U000e007f]|[{_INVISIBLE}]{{8,}}|[a-zA-Z][\u200b\u2060\ufeff]+[a-z]"
)
_HIDDEN_MOST = 2
"""Web pages let long words break at an invisible space: a few of those hide nothing."""
_BLOB = re.compile(r"[A-Za-z0-9+/_-]{40,}={0,2}")


@lru_cache(maxsize=2_000)
def orders_of(passage: Passage) -> tuple[bool, ...]:
    """Tell of each quotable sentence of a passage whether it gives orders to an assistant."""
    return tuple(flagged(passage.quotable))


def flagged(sentences: Sequence[str]) -> list[bool]:
    """Tell of sentences that follow each other which give orders to an assistant."""
    hints = [_hints(sentence) for sentence in sentences]
    found = [
        bool(len(h) > 1 and h - COMMON) or _strong(s) for h, s in zip(hints, sentences, strict=True)
    ]
    # A text about assistants speaks of them in every sentence: that alone continues no order.
    likely = [bool(h - {"assistant"}) for h in hints]
    for at in range(1, len(found)):  # orders go on
        found[at] = found[at] or (found[at - 1] and likely[at])
    for at in range(len(found) - 1, 0, -1):  # or began before
        found[at - 1] = found[at - 1] or (found[at] and likely[at - 1])
    return found


def orders_in(text: str) -> list[str]:
    """Return the sentences of a text that give orders to an assistant."""
    sentences = [text[start:stop] for start, stop in sentence_spans(text)]
    return [s for s, found in zip(sentences, flagged(sentences), strict=True) if found]


def asks_about_orders(question: str) -> bool:
    """Whether a question asks about orders to an assistant, so that they may be its answer.

    One that gives such an order beside what it asks does not ask about it.
    """
    sentences = [question[start:stop] for start, stop in sentence_spans(question)]
    told = zip(sentences, flagged(sentences), strict=True)
    asked = (sentence for sentence, order in told if sentence.endswith("?") or not order)
    return any(LIKE_THEM.search(sentence) for sentence in asked)


@lru_cache(maxsize=20_000)
def _strong(sentence: str) -> bool:
    return bool(_STRONG.search(_plain(sentence))) or _hides(sentence)


@lru_cache(maxsize=20_000)
def _hints(sentence: str) -> frozenset[str]:
    if len(sentence) > LONGEST:
        return frozenset()
    plain = _plain(sentence)
    return frozenset(kind for kind, hint in _HINTS.items() if hint.search(plain))


def _plain(text: str) -> str:
    """Return a text as a model reads it: one form of each letter, nothing invisible."""
    if text.isascii():
        return " ".join(text.split())
    visible = re.sub(f"[{_INVISIBLE}]", "", text)
    return " ".join(unicodedata.normalize("NFKC", visible).split())


def _hides(sentence: str) -> bool:
    found = _HIDDEN.findall(sentence)
    if len(found) > _HIDDEN_MOST or any(not one[0].isalpha() for one in found):
        return True
    return any(_encoded(blob) for blob in _BLOB.findall(sentence))


def _encoded(blob: str) -> bool:
    """Whether something is words in base64; a key or a hash is none."""
    try:
        text = base64.b64decode(blob + "=" * (-len(blob) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return False
    readable = sum(chr(byte).isalnum() or chr(byte) in " .,:;'\"!?-\n" for byte in text)
    return text.isascii() and text.count(b" ") > 3 and readable > 0.9 * len(text)
