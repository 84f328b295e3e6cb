"""Why a question was not answered, and what its reader can do about it."""

from retrieval import Filters
from retrieval.snapshot import Snapshot
from retrieval.words import content_words

NAMED = 3
"""Words that are named at most."""


def refusal(question: str, snapshot: Snapshot, filters: Filters | None) -> tuple[str, str | None]:
    """Return why nothing was found, and how a question, as it was searched for, could be asked with
    more success; None if there are no documents."""
    if not len(snapshot):
        return "there are no documents yet", None
    allowed = len(snapshot.allowed(filters))
    if not allowed:
        return "no document matches the filter", "Choose a wider filter, or none."
    return "the documents do not say", _hint(question, snapshot, len(snapshot) - allowed)


def _hint(question: str, snapshot: Snapshot, left_out: int) -> str:
    unknown = snapshot.unknown(question)[:NAMED]
    if unknown:
        named = " or ".join(f"“{word}”" for word in unknown)
        return f"No document has {named}. Try another word for it."
    if left_out:
        documents = "1 document is" if left_out == 1 else f"{left_out} documents are"
        return f"{documents} left out by the filter: try without it."
    told = list(dict.fromkeys(content_words(question)))
    if len(told) == 1 and told[0] in question.lower():
        return f"Ask a whole question: what would you like to know about “{told[0]}”?"
    return "Try the words that the documents use, as the closest passages do."
