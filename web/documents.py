"""The documents over HTTP: list them, add to them, label them, withdraw them."""

from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from retrieval import Document, Library, Reading, RetrievalError, Standing
from retrieval.types import UPLOAD, FileRecord, FileState
from web.api import body, services
from web.guard import writes
from web.problems import Gone, InvalidRequest
from web.schema.asking import FilterFields
from web.schema.documents import (
    ChangeReply,
    DocumentDetailReply,
    DocumentReply,
    DocumentsReply,
    FileReply,
    LabelsReply,
    LabelsRequest,
)
from web.schema.runs import IngestionReply, UploadReply
from web.uploads import received

bp = Blueprint("documents", __name__)


@bp.get("/v1/documents")
def documents() -> ResponseReturnValue:
    """List the documents answers come from, or all that became of any file."""
    state, library = request.args.get("state", "current"), services().library
    filters = FilterFields.of_query(request.args).filters()
    if state == "current":
        allowed = (d for d in library.documents() if filters.allow(d))
        listed = [DocumentReply.of(d, Standing.CURRENT) for d in allowed]
        return jsonify(DocumentsReply(documents=listed).model_dump(exclude={"files"}))
    if state != "all":
        raise InvalidRequest("“state” may be “current” or “all”.")
    listed = [DocumentReply.of(d, s) for d, s in library.history() if filters.allow(d)]
    files = [FileReply.of(record) for record in unanswered(library) if not filters]
    return jsonify(DocumentsReply(documents=listed, files=files).model_dump())


@bp.post("/v1/documents")
@writes
def add_documents() -> ResponseReturnValue:
    """Receive files and have them read."""
    library = services().library
    records: list[FileRecord] = []
    try:
        with received(library.home) as (uploads, labels):
            for upload in uploads:
                records.append(library.receive(upload.name, upload.file, labels))
    except RetrievalError:
        if records:  # what came in before the disk was full is read all the same
            services().ingestions.read_uploads()
        raise
    run = services().ingestions.read_uploads()
    files = [FileReply.of(record) for record in records]
    return accepted(run.id, UploadReply(ingestion=IngestionReply.of(run), files=files).model_dump())


@bp.get("/v1/documents/<document_id>")
def document(document_id: str) -> ResponseReturnValue:
    """Describe one revision of a document, whatever became of it, and how it was read."""
    library = services().library
    found, standing = library.document(document_id), library.standing(document_id)
    reply = DocumentDetailReply.whole(found, standing, library.reading(document_id))
    return jsonify(reply.model_dump())


@bp.patch("/v1/documents/<document_id>")
@writes
def label(document_id: str) -> ResponseReturnValue:
    """Change the tags and the group of a document's file."""
    library = services().library
    asked = LabelsRequest.parse(body())
    library.relabel([document_id], asked.change(library.document(document_id)))
    return document(document_id)


@bp.get("/v1/labels")
def labels() -> ResponseReturnValue:
    """List what the documents can be filtered by."""
    return jsonify(LabelsReply.of(services().library.documents()).model_dump())


@bp.delete("/v1/documents/<document_id>")
@writes
def withdraw(document_id: str) -> ResponseReturnValue:
    """Let no answer come from a document's file any more; with `erase`, delete it for good."""
    erase, library = _flag("erase"), services().library
    generation = library.withdraw([document_id], erase=erase)
    if erase:
        services().receipts.forget_erased()
    return _changed(library, generation, document_id)


@bp.post("/v1/documents/<document_id>/restore")
@writes
def restore(document_id: str) -> ResponseReturnValue:
    """Answer again from a document that was withdrawn; one that was erased waits for an ingest."""
    library = services().library
    match library.standing(document_id):
        case Standing.SUPERSEDED:
            newer = library.current(library.document(document_id).source)
            raise InvalidRequest(
                f"A newer revision is answered from ({newer.id if newer else 'of the same file'})."
                " Withdraw that one first."
            )
        case Standing.ERASED if library.document(document_id).source.startswith(UPLOAD):
            raise Gone("It was erased, so only its file can bring it back: upload it again.")
        case Standing.ERASED | Standing.WITHDRAWN:
            library.restore([document_id])
    return _changed(library, library.generation, document_id)


@bp.get("/v1/documents/<document_id>/text")
def document_text(document_id: str) -> ResponseReturnValue:
    """Return the text that citations count characters of."""
    shown(document_id)
    return Response(services().library.text(document_id), mimetype="text/plain")


def shown(document_id: str) -> tuple[Document, Standing]:
    """Return a document that readers may see, old revisions among them; Gone if withdrawn."""
    library = services().library
    found, standing = library.document(document_id), library.standing(document_id)
    if standing is Standing.ERASED:
        raise Gone(f"{found.path} was withdrawn and erased: its text is no longer stored.")
    if standing is Standing.WITHDRAWN:
        raise Gone(f"{found.path} was withdrawn: answers no longer come from it.")
    return found, standing


def unanswered(library: Library) -> list[FileRecord]:
    """Return the ledger's entries of files that no document stands for, by path."""
    return [
        record
        for record in library.ledger.files()
        if record.state is not FileState.READ or record.document_id is None
    ]


def notes_of(reading: Reading) -> list[str]:
    """Return in words what reading a file did not succeed with."""
    return [*reading.unread, *reading.warnings]


def accepted(run_id: str, reply: dict[str, Any]) -> ResponseReturnValue:
    """Return the reply to what goes on after it, with where to see how."""
    headers = {"Location": url_for("runs.ingestion", run_id=run_id)}
    return jsonify(reply), 202, headers


def _changed(library: Library, generation: int, document_id: str) -> ResponseReturnValue:
    standing = library.standing(document_id)
    return jsonify(ChangeReply(generation=generation, state=standing).model_dump())


def _flag(name: str) -> bool:
    value = request.args.get(name, "false").lower()
    if value not in ("true", "false"):
        raise InvalidRequest(f"“{name}” may be “true” or “false”.")
    return value == "true"
