"""Word documents (.docx): headings, paragraphs and table rows in reading order."""

import io
import re
import zipfile

import docx
from docx.document import Document
from docx.table import Table
from docx.text.paragraph import Paragraph

from ingest.errors import Unreadable
from ingest.types import Draft, Extract, File

HEADING = re.compile(r"(?:Heading|heading) ([1-6])$")


def read(file: File) -> Extract:
    """Read a .docx; Unreadable if it is damaged or something else."""
    try:
        document = docx.Document(io.BytesIO(file.data))
    except (zipfile.BadZipFile, KeyError, ValueError) as problem:
        raise Unreadable(f"It is not a whole Word document ({problem}).") from problem
    draft = Draft()
    for item in document.iter_inner_content():
        if isinstance(item, Paragraph):
            draft.add(item.text, _level(item))
        else:
            _add_rows(item, draft)
    return draft.finish(_title(document))


def _title(document: Document) -> str:
    return document.core_properties.title or ""


def _level(paragraph: Paragraph) -> int:
    name = (paragraph.style.name if paragraph.style else "") or ""
    if name == "Title":
        return 1
    found = HEADING.match(name)
    return int(found[1]) if found else 0


def _add_rows(table: Table, draft: Draft) -> None:
    for row in table.rows:
        cells = [" ".join(cell.text.split()) for cell in row.cells]
        draft.add(" | ".join(cells) if any(cells) else "")
