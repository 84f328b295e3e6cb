"""Documents as an organisation has them, with questions, which we wrote to train the judge on.

    python -m scripts.workplace [FILE ...]

Encyclopedias are what most public data is made of; people at work ask policies, manuals, minutes
and price lists, in their own words. Each file of `scripts/workplace_documents/` has documents like

    # Laptop handbook
    ## Theft and loss
    Report a lost laptop to the service desk within four hours. …

    ? how soon do i have to say that my laptop is gone
    = within four hours
    ! How soon must a lost phone be reported?

A section is followed by what it answers (`?`, with the words that do, which stand in one sentence
of it) and by what the whole document leaves open though it looks as if it did not (`!`). Lists and
tables are written a line an item. Checks the files and prints one JSON line with what is in them.
"""

import argparse
import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrieval.sentences import sentence_spans

FOLDER = Path(__file__).with_name("workplace_documents")
SOURCE = "workplace"
PARTS = {"fit": 0.25, "dev": 0.1}
"""What share of the documents is kept from training, and for what."""

Row = dict[str, Any]


class BadDocument(ValueError):
    """A file that is not written as it should be; says where and why."""


@dataclass
class Section:
    """A heading, its sentences, its questions with their answers, and those it leaves open."""

    heading: str
    sentences: list[str] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)


@dataclass
class Document:
    """A title and its sections."""

    title: str
    subject: str
    """The name of its file."""
    sections: list[Section] = field(default_factory=list)

    @property
    def part(self) -> str:
        """Whether it is to "train" on, to "fit" weights, or for looking at ("dev")."""
        at = int.from_bytes(hashlib.sha256(self.title.encode()).digest()[:4], "big") / 2**32
        if at < PARTS["dev"]:
            return "dev"
        return "fit" if at < PARTS["dev"] + PARTS["fit"] else "train"

    def markdown(self) -> str:
        """Return it as a file of Markdown, without its questions."""
        parts = [f"# {self.title}"]
        for section in self.sections:
            parts += [f"## {section.heading}", "\n".join(section.sentences)]
        return "\n\n".join(parts) + "\n"


def documents(folder: Path = FOLDER) -> list[Document]:
    """Return all documents, by file name."""
    return [document for file in sorted(folder.glob("*.txt")) for document in read(file)]


def read(file: Path) -> list[Document]:
    """Return the documents of a file. Raises BadDocument."""
    found: list[Document] = []
    for number, raw in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        line = raw.strip()
        try:
            _take(found, line, file.stem)
        except (BadDocument, IndexError) as error:
            raise BadDocument(f"{file.name}, line {number}: {error} in {line!r}") from error
    return found


def _take(found: list[Document], line: str, subject: str) -> None:
    """Add a line to the last document."""
    sign, text = line[:2].strip(), line[2:].strip()
    if line.startswith("# "):
        found.append(Document(text, subject))
    elif line.startswith("## "):
        found[-1].sections.append(Section(line[3:].strip()))
    elif sign == "?":
        found[-1].sections[-1].asked.append((text, ""))
    elif sign == "!":
        found[-1].sections[-1].open.append(text)
    elif sign == "=":
        section = found[-1].sections[-1]
        question, before = section.asked[-1]
        count = sum(text in sentence for sentence in section.sentences)
        if before:
            raise BadDocument("a second answer to one question")
        if count != 1:
            raise BadDocument(f"“{text}” stands in {count} sentences of its section, not in one")
        section.asked[-1] = (question, text)
    elif line:
        section = found[-1].sections[-1]
        if section.asked or section.open:
            raise BadDocument("a text after the questions of its section: a heading is missing")
        section.sentences += [line[a:b] for a, b in sentence_spans(line)]


def rows(part: str, found: Sequence[Document] | None = None) -> list[Row]:
    """Return rows of a question and a section, as the training kit has them.

    Each question that a section answers is also asked of another section of its document.
    """
    rng = random.Random(5)
    made: list[Row] = []
    for document in documents() if found is None else found:
        if document.part == part:
            made += _rows_of(document, rng)
    return made


def _rows_of(document: Document, rng: random.Random) -> Iterator[Row]:
    for section in document.sections:
        others = [s for s in document.sections if s is not section and s.sentences]
        for question, answer in section.asked:
            yield _row(document, section, question, [answer], "gold")
            if others:
                yield _row(document, rng.choice(others), question, [], "derived_negative")
        for question in section.open:
            yield _row(document, section, question, [], "adversarial_unanswerable")


def _row(
    document: Document, section: Section, question: str, answers: Sequence[str], kind: str
) -> Row:
    name = f"{document.title}/{section.heading}/{question}"
    labels = [int(any(a in s for a in answers)) for s in section.sentences]
    return {
        "id": hashlib.sha256(name.encode()).hexdigest()[:16],
        "source": SOURCE,
        "kind": kind,
        "group": f"{SOURCE}:{document.title}",
        "title": f"{document.title} › {section.heading}",
        "question": question,
        "sentences": section.sentences,
        "labels": labels,
        "answers": list(answers),
        "answerable": any(labels),
    }


def main() -> None:
    """Check the files and say what is in them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("files", type=Path, nargs="*")
    files = parser.parse_args().files or sorted(FOLDER.glob("*.txt"))
    counts: dict[str, int] = defaultdict(int)
    for file in files:
        for document in read(file):
            counts["documents"] += 1
            for section in document.sections:
                counts["sections"] += 1
                counts["words"] += sum(len(s.split()) for s in section.sentences)
                counts["answered"] += len(section.asked)
                counts["open"] += len(section.open)
                unanswered = [q for q, a in section.asked if not a]
                if unanswered or not section.sentences:
                    where = f"{file.name}, {document.title}, {section.heading}"
                    raise SystemExit(f"{where}: no text, or no answer to {unanswered}")
    print(json.dumps({"workplace": dict(counts)}))


if __name__ == "__main__":
    main()
