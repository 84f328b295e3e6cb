"""What a file is called beside its title: its tags, and the group it belongs to."""

from collections.abc import Iterable
from dataclasses import dataclass

from retrieval.errors import LabelRefused

LONGEST_LABEL = 64  # characters
MOST_TAGS = 50


def tidy(texts: Iterable[str]) -> tuple[str, ...]:
    """Return what a file calls itself as labels that can be kept.

    Files are not to be trusted: what is empty, too long or one too many is left out.
    """
    labels = (_plain(text) for text in texts)
    return _distinct(label for label in labels if 0 < len(label) <= LONGEST_LABEL)[:MOST_TAGS]


def folded(label: str) -> str:
    """Return what two labels have in common that differ only in capital letters."""
    return label.casefold()


@dataclass(frozen=True, slots=True)
class Labels:
    """What an operator has put on a file, whichever revision of it.

    `untagged` are tags that do not count even if the file states them.
    """

    tags: tuple[str, ...] = ()
    untagged: tuple[str, ...] = ()
    group: str = ""

    def __bool__(self) -> bool:
        """Whether there is anything on the file at all."""
        return bool(self.tags or self.untagged or self.group)

    def tags_with(self, keywords: Iterable[str]) -> tuple[str, ...]:
        """Return the tags that count: the operator's, and those that the file states."""
        return _distinct((*self.tags, *_without(keywords, self.untagged)))


@dataclass(frozen=True, slots=True)
class Relabel:
    """A change to the labels of a file. `group` is None to leave it, empty to take it away.

    LabelRefused says which label cannot be.
    """

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    group: str | None = None

    def __post_init__(self) -> None:
        """Bring the labels into the form that is kept."""
        object.__setattr__(self, "add", _distinct(map(_checked_tag, self.add)))
        object.__setattr__(self, "remove", _distinct(map(_checked_tag, self.remove)))
        if self.group:
            object.__setattr__(self, "group", _checked(self.group))
        if both := {*map(folded, self.add)} & {*map(folded, self.remove)}:
            raise LabelRefused(f"The tag “{min(both)}” cannot be both added and removed.")

    def __bool__(self) -> bool:
        """Whether anything is to be changed."""
        return bool(self.add or self.remove) or self.group is not None

    def of(self, labels: Labels) -> Labels:
        """Return labels as they are after the change."""
        tags = _distinct((*_without(labels.tags, self.remove), *self.add))
        if len(tags) > MOST_TAGS:
            raise LabelRefused(f"A document may have {MOST_TAGS} tags. Remove some first.")
        return Labels(
            tags,
            _distinct((*_without(labels.untagged, self.add), *self.remove)),
            labels.group if self.group is None else self.group,
        )


def _plain(text: str) -> str:
    """Return a text on one line, without what does not show."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable()).strip()


def _checked(text: str) -> str:
    label = _plain(text)
    if not label:
        raise LabelRefused("A label must hold at least one character that shows.")
    if len(label) > LONGEST_LABEL:
        raise LabelRefused(f"“{label[:20]}…” is longer than {LONGEST_LABEL} characters.")
    return label


def _checked_tag(text: str) -> str:
    if "," in text:
        raise LabelRefused(f"“{text[:LONGEST_LABEL]}” holds a comma, which sets tags apart.")
    return _checked(text)


def _distinct(labels: Iterable[str]) -> tuple[str, ...]:
    """Return labels in order, none twice whatever its capital letters."""
    first: dict[str, str] = {}
    for label in labels:
        first.setdefault(folded(label), label)
    return tuple(first.values())


def _without(labels: Iterable[str], others: Iterable[str]) -> Iterable[str]:
    left_out = {*map(folded, others)}
    return (label for label in labels if folded(label) not in left_out)
