"""A question and the library become an answer that can be checked."""

from answer.answerer import Answerer, Ask, Event, Found
from answer.draft import Said
from answer.errors import AnswerError
from answer.types import Answer, Citation, Sentence, Status, Withheld

__all__ = [
    "Answer",
    "AnswerError",
    "Answerer",
    "Ask",
    "Citation",
    "Event",
    "Found",
    "Said",
    "Sentence",
    "Status",
    "Withheld",
]
