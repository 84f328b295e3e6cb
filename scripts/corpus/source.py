"""Reading a source file: a front-matter block of ``key: value`` lines, then a Markdown body."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

FENCE = "---\n"
KEYS = {"output", "title", "author", "date"}


class SourceError(ValueError):
    """A source file breaks the contract; the message names the file and the fault."""


@dataclass(frozen=True)
class Source:
    """One document to build: where it goes, what it says of itself, and its Markdown body."""

    output: str
    title: str
    author: str
    dated: date
    body: str

    @property
    def suffix(self) -> str:
        """Return the output's suffix, which decides its format."""
        return Path(self.output).suffix

    @property
    def byline(self) -> str:
        """Return the author and the date in words, as printed under a title."""
        return f"{self.author} · {self.dated.day} {self.dated:%B %Y}"


def read_source(path: Path) -> Source:
    """Return the source in the file, or raise SourceError naming the file."""
    text = path.read_text(encoding="utf-8")
    opening, _, rest = text.partition(FENCE)
    matter, closing, body = rest.partition("\n" + FENCE)
    if opening or not closing:
        raise SourceError(f"{path.name}: no front matter between two lines of ---")
    try:
        return _from_fields(_fields(matter), body.lstrip("\n"))
    except ValueError as fault:
        raise SourceError(f"{path.name}: {fault}") from fault


def _fields(matter: str) -> dict[str, str]:
    """Return the front matter's keys and values, which must be exactly those of KEYS."""
    pairs = (line.partition(":") for line in matter.splitlines() if line.strip())
    fields = {key.strip(): value.strip() for key, _, value in pairs}
    if fields.keys() != KEYS:
        raise SourceError(f"front matter must have exactly {', '.join(sorted(KEYS))}")
    return fields


def _from_fields(fields: dict[str, str], body: str) -> Source:
    """Return the source the fields describe; the output must be a bare file name."""
    if Path(fields["output"]).name != fields["output"]:
        raise SourceError(f"output is not a bare file name: {fields['output']}")
    return Source(
        output=fields["output"],
        title=fields["title"],
        author=fields["author"],
        dated=date.fromisoformat(fields["date"]),
        body=body,
    )
