"""What a model writes, sentence by sentence, each as soon as it is whole."""

import re
from collections.abc import Generator

from answer.draft import Draft
from answer.gate import MARKER
from answer.model import LanguageModel, Message
from answer.types import Usage, Waiting, Withheld
from retrieval.sentences import sentence_spans
from retrieval.words import words

MAX_TOKENS = 96
CUT_OFF = "the model was cut off inside it, at the length that answers may have"
LEADING_MARKERS = re.compile(r"\s*(?:\[\d[\d,\s]*\]\s*)+")
PERHAPS_A_MARKER = re.compile(r"\s*(?:\[[\d,\s]*)?")


def written_sentences(
    model: LanguageModel, draft: Draft, prompt: list[Message], shown: Usage
) -> Generator[str | Waiting, None, None]:
    """Yield what the model writes, sentence by sentence, each when it is complete; `shown` counts
    what is in the prompt, which is used once the model has read it."""
    text = ""
    used = Usage()
    for piece in model.write(prompt, max_tokens=MAX_TOKENS):
        if isinstance(piece, Waiting):
            yield piece
            continue
        draft.usage, shown = draft.usage + shown, Usage()
        if isinstance(piece, Usage):
            used = piece
            draft.usage += used
            continue
        draft.first_token()
        text += piece
        *whole, text = _split(text)
        yield from (one for one in whole if words(MARKER.sub("", one)))
    if text.strip() and used.cut_short:
        draft.withheld.append(Withheld(text.strip(), CUT_OFF))
    elif text.strip():
        yield text.strip()


def _split(text: str) -> list[str]:
    """Return the sentences of a text that is still being written, and last what is not yet one.

    The number of a source may come after the full stop; it is of the sentence before it.
    """
    *whole, (last, _) = sentence_spans(text) or [(0, 0)]
    found = [text[start:stop] for start, stop in whole] + [text[last:]]
    for at in range(1, len(found)):
        if leading := LEADING_MARKERS.match(found[at]):
            found[at - 1] += f" {leading[0].strip()}"
            found[at] = found[at][leading.end() :]
    if len(found) > 1 and PERHAPS_A_MARKER.fullmatch(found[-1]):
        found[-2:] = [" ".join(filter(None, found[-2:]))]
    return found
