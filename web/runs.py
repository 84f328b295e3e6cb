"""Runs of the ingest job over HTTP: begin, follow, cancel."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import BoundedSemaphore

from flask import Blueprint, Response, current_app, jsonify, request
from flask.typing import ResponseReturnValue

from retrieval import Library
from retrieval.types import FileState, Run
from web.api import body, event, services
from web.documents import accepted
from web.guard import writes
from web.ingestions import GOING
from web.problems import InvalidRequest, TooManyFollowers
from web.schema.documents import FileReply
from web.schema.runs import IngestionReply, IngestionRequest, IngestionsReply

bp = Blueprint("runs", __name__)


@bp.post("/v1/ingestions")
@writes
def begin() -> ResponseReturnValue:
    """Read the operator's folders again."""
    asked = IngestionRequest.parse(body() if request.content_length else {})
    paths = _chosen(services().settings.folders, asked.folders)
    run = services().ingestions.start(paths, prune=asked.prune)
    return accepted(run.id, IngestionReply.of(run).model_dump())


@bp.get("/v1/ingestions")
def ingestions() -> ResponseReturnValue:
    """List the newest runs."""
    listed = [IngestionReply.of(run) for run in services().ingestions.list()]
    without_files = {"ingestions": {"__all__": {"files"}}}
    return jsonify(IngestionsReply(ingestions=listed).model_dump(exclude=without_files))


@bp.get("/v1/ingestions/<run_id>")
def ingestion(run_id: str) -> ResponseReturnValue:
    """Say how a run goes; as server-sent events up to its end, if asked for."""
    run = services().ingestions.get(run_id)
    return _stream(run) if _wants_events() else jsonify(_whole(services().library, run))


@bp.delete("/v1/ingestions/<run_id>")
@writes
def cancel(run_id: str) -> ResponseReturnValue:
    """Have a run stop. What was published stays; what was embedded is not embedded again."""
    return jsonify(_whole(services().library, services().ingestions.cancel(run_id)))


def follower_slots(request_threads: int) -> BoundedSemaphore:
    """Return as many as may follow at once: each holds a thread that questions need too."""
    return BoundedSemaphore(max(1, request_threads // 4))


def _chosen(folders: Sequence[Path], names: Sequence[str] | None) -> list[Path]:
    """Return the folders that are named, of those the operator has set."""
    if not folders:
        raise InvalidRequest(
            "No folders are set that may be read again. Name them in FOOTNOTE_FOLDERS, with"
            ' commas between them, or as `folders = ["…"]` in footnote.toml.'
        )
    paths = [folder.expanduser().absolute() for folder in folders]
    return paths if names is None else [_named(name, paths) for name in dict.fromkeys(names)]


def _named(name: str, paths: Sequence[Path]) -> Path:
    found = [path for path in paths if name == str(path)]
    found = found or [path for path in paths if name == path.name]
    if len(found) != 1:
        known = ", ".join(map(str, paths))
        said = "is the name of several" if found else "is none of them"
        raise InvalidRequest(f"The folders are {known}: “{name}” {said}.")
    return found[0]


def _whole(library: Library, run: Run) -> dict[str, object]:
    """Return a run with the files it failed with or did not wholly read."""
    readings = library.readings()
    files = [
        FileReply.of(record, readings.get(record.document_id or ""))
        for record in library.ledger.files()
        if record.run == run.id
    ]
    notable = [file for file in files if file.state is FileState.FAILED or file.unread]
    return IngestionReply.of(run, notable).model_dump()


def _wants_events() -> bool:
    accepted_types = request.accept_mimetypes
    asked = request.args.get("stream", "false").lower() == "true"
    return asked or accepted_types.best == "text/event-stream"


def _stream(run: Run) -> Response:
    slots: BoundedSemaphore = current_app.extensions["footnote.followers"]
    if not slots.acquire(blocking=False):
        raise TooManyFollowers("Ask for the ingestion's state now and then instead.")
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    has_left = request.environ.get("waitress.client_disconnected", lambda: False)
    runs = services().ingestions.follow(run.id, has_left)
    events = _events(runs, services().library)
    answer = Response(events, mimetype="text/event-stream", headers=headers)
    answer.call_on_close(slots.release)
    return answer


def _events(runs: Iterator[Run | None], library: Library) -> Iterator[str]:
    """Yield an event whenever a run has changed, comments as signs of life, and its end."""
    for run in runs:
        if run is None:
            yield ": still here\n\n"
        elif run.state in GOING:
            yield event("progress", IngestionReply.of(run).model_dump())
        else:
            yield event("ended", _whole(library, run))
