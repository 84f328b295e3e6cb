"""How well the words of a question are met by the words of a sentence.

Each telling word of the question is compared, in its context, with each word of the sentence, and
keeps its best match (the late interaction of ColBERT, Khattab and Zaharia, SIGIR 2020, with the
embedder that is there). A question that only looks answerable often has one word that nothing in
the sentence meets.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval import Embedder
from retrieval.words import STOP_WORDS

MATCHES = ("weakest_word", "words_met")
"""The least of the question's best matches, and their mean: cosines."""


def matches(question: str, texts: Sequence[str], embedder: Embedder) -> NDArray[np.float64]:
    """Return one row of MATCHES a text: shape (texts, 2)."""
    (spans, asked), *read = embedder.in_context([question, *texts])
    telling = [
        at
        for at, (start, stop) in enumerate(spans)
        if question[start:stop].lower() not in STOP_WORDS and question[start:stop].isalnum()
    ]
    asked = asked[telling or slice(None)]
    if not len(asked):
        return np.zeros((len(texts), len(MATCHES)))
    best = [(asked @ said.T).max(axis=1) if len(said) else np.zeros(len(asked)) for _, said in read]
    return np.array([[one.min(), one.mean()] for one in best], np.float64)
