"""How a question and a passage are put before the judge: read together, sentence by sentence.

    [CLS] question [SEP] title › headings [SEP] [mark] sentence [mark] sentence … [SEP]

The state of the mark before a sentence, and those of its tokens, say what becomes of it; that of
[CLS] says it of the passage. A claim stands where a question does, behind a mark of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from retrieval.types import Span

Ids = NDArray[np.int64]

SENTENCE_MARK, CLAIM_MARK = 1, 2
"""Tokens of BERT's vocabulary that stand for nothing ("[unused0]", "[unused1]")."""
CLS, SEP, UNKNOWN = 101, 102, 100
LONGEST = 320
"""Tokens that are read at once."""
LONGEST_QUESTION = 64
"""Of a longer question the end is read: what was asked before leads a follow-up."""
LONGEST_CLAIM = 128
LONGEST_PLACE = 24


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read at once: a question and sentences of one passage.

    `kinds` is 0 for the question's tokens and 1 for the passage's. `first` is the number of the
    first sentence in the passage. Of each sentence, `marks` has the place of its mark, `tokens`
    the range of its tokens, and `offsets` the characters of the sentence that each token is.
    """

    ids: tuple[int, ...]
    kinds: tuple[int, ...]
    first: int
    marks: tuple[int, ...]
    tokens: tuple[Span, ...]
    offsets: tuple[tuple[Span, ...], ...]


LETTERS_READ = 1.5
"""Letters a token from which on a text counts as read, and not spelt letter by letter."""


class Reader:
    """Cuts texts into the tokens of the model in a folder."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True  # "[SEP]" in a text is a text

    def can_read(self, text: str) -> bool:
        """Whether a text is read in pieces of words, as those of another script are not."""
        if not any(c.isalpha() and not c.isascii() for c in text):
            return True  # "Is it £5?"
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        letters = sum(c.isalnum() for c in text)
        return 2 * ids.count(UNKNOWN) <= len(ids) and letters >= LETTERS_READ * len(ids)

    def read(
        self, question: str, place: str, sentences: Sequence[str], *, claim: bool = False
    ) -> Iterator[Reading]:
        """Yield readings that together hold all sentences of a passage, in order.

        A sentence that is too long alone is cut at the end.
        """
        texts = [question, place, *sentences]
        asked, where, *said = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        if claim:
            head = [CLS, CLAIM_MARK, *asked.ids[:LONGEST_CLAIM], SEP]
        else:
            head = [CLS, *asked.ids[-LONGEST_QUESTION:], SEP]
        middle = [*where.ids[-LONGEST_PLACE:], SEP]
        room = LONGEST - len(head) - len(middle) - 1
        at = 0
        while at < len(said):
            ids: list[int] = []
            marks, tokens, offsets = [], [], []
            first = at
            while at < len(said):
                left = room - len(ids) - 1
                if ids and len(said[at].ids) > left:
                    break
                begin = len(head) + len(middle) + len(ids)
                kept = said[at].ids[:left]
                marks.append(begin)
                tokens.append((begin + 1, begin + 1 + len(kept)))
                offsets.append(tuple(said[at].offsets[:left]))
                ids += [SENTENCE_MARK, *kept]
                at += 1
            whole = (*head, *middle, *ids, SEP)
            kinds = (0,) * len(head) + (1,) * (len(whole) - len(head))
            yield Reading(whole, kinds, first, tuple(marks), tuple(tokens), tuple(offsets))


def padded(readings: Sequence[Reading]) -> dict[str, Ids]:
    """Return readings as a transformer takes them: three arrays of shape (readings, tokens)."""
    size = max(len(reading.ids) for reading in readings)
    given = {
        name: np.zeros((len(readings), size), np.int64)
        for name in ("input_ids", "attention_mask", "token_type_ids")
    }
    for row, reading in enumerate(readings):
        length = len(reading.ids)
        given["input_ids"][row, :length] = reading.ids
        given["attention_mask"][row, :length] = 1
        given["token_type_ids"][row, :length] = reading.kinds
    return given
