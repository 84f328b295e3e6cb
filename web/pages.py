"""The pages people see."""

import re
from dataclasses import dataclass
from itertools import pairwise

from flask import Blueprint, Response, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue

from ingest.intake import LARGEST_BYTES, MIB
from ingest.readers import BY_SUFFIX
from retrieval import Document, Standing
from web.api import services
from web.documents import notes_of, shown, unanswered
from web.guard import guard
from web.ingestions import GOING
from web.kinds import name_of
from web.problems import InvalidRequest
from web.schema.documents import LabelsReply

bp = Blueprint("pages", __name__)

# Only what a browser shows without running it; everything else is handed over as a file.
SHOWN_INLINE = frozenset({"application/pdf", "text/plain"})


@dataclass(frozen=True, slots=True)
class Section:
    """A page of a document, or all of one without pages; `start` is its first character."""

    number: int | None
    start: int
    text: str


@bp.get("/")
def ask() -> ResponseReturnValue:
    """Show the page to ask a question on."""
    documents = services().library.documents()
    named = request.args.getlist("document_ids")
    return render_template(
        "ask.html",
        documents=documents,
        labels=LabelsReply.of(documents),
        chosen=[{"value": d.id, "name": d.title} for d in documents if d.id in named],
        question=request.args.get("q", ""),
        receipts=services().settings.receipts_days > 0,
    )


@bp.get("/documents")
def documents() -> ResponseReturnValue:
    """List the documents answers come from, the files that they do not, and what changes that."""
    library = services().library
    return render_template(
        "documents.html",
        documents=library.documents(),
        notes={name: notes_of(reading) for name, reading in library.readings().items()},
        files=unanswered(library),
        kind=name_of,
        groups=sorted({d.group for d in library.documents()} - {""}),
        guard=guard(),
        folders=services().settings.folders,
        suffixes=",".join(BY_SUFFIX),
        largest_mib=LARGEST_BYTES // MIB,
        running=next((run for run in services().ingestions.list() if run.state in GOING), None),
    )


@bp.get("/documents/<document_id>")
def document(document_id: str) -> ResponseReturnValue:
    """Show a document's text; the page's script marks the words after #cite-."""
    library = services().library
    found, standing = shown(document_id)
    newer = library.current(found.source) if standing is Standing.SUPERSEDED else None
    return render_template(
        "document.html",
        document=found,
        newer=newer,
        sections=_sections(found, library.text(document_id)),
        page=_page(found),
    )


@bp.get("/documents/<document_id>/original")
def original(document_id: str) -> ResponseReturnValue:
    """Return the file as it was ingested."""
    found, _ = shown(document_id)
    inline = found.media_type in SHOWN_INLINE
    answer: Response = send_file(
        services().library.original(document_id).resolve(),
        mimetype=found.media_type if inline else "application/octet-stream",
        as_attachment=not inline,
        download_name=re.sub(r"[\x00-\x1f\x7f]", "_", found.path.rsplit("/", 1)[-1]),
    )
    return answer


@bp.get("/favicon.ico")
def favicon() -> ResponseReturnValue:
    """Answer browsers that show a file of ours, which names no icon, and look for one here."""
    return redirect(url_for("static", filename="favicon.svg"))


def _page(document: Document) -> int | None:
    asked = request.args.get("page")
    if asked is None:
        return None
    if not asked.isdecimal() or len(asked) > 9 or not 1 <= int(asked) <= len(document.page_starts):
        raise InvalidRequest(f"There is no page {asked} in this document.")
    return int(asked)


def _sections(document: Document, text: str) -> list[Section]:
    if not document.page_starts:
        return [Section(None, 0, text)]
    edges = [*document.page_starts, len(text)]
    return [
        Section(number, start, text[start:stop])
        for number, (start, stop) in enumerate(pairwise(edges), start=1)
    ]
