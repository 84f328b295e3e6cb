"""The command line: data on standard output, talk on standard error."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, ParamSpec

import click

from answer import Answer, AnswerError, Ask
from ingest import IngestError, Job, Outcome, Report, Sandbox
from retrieval import Hit, RetrievalError
from web import settings as configuration
from web import wiring
from web.schema import AnswerReply, DocumentReply, HitReply, SearchReply
from web.settings import Settings, SettingsError

P = ParamSpec("P")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="footnote", prog_name="footnote")
def main() -> None:
    """Answer questions from your own documents, each sentence footnoted to the words it rests on.

    Every option can also be set as FOOTNOTE_<NAME>, or in footnote.toml.
    """


def shared(command: Callable[P, None]) -> Callable[P, None]:
    """Give a command the options all have, and one line for whatever stops it."""

    @click.option("--home", type=click.Path(path_type=Path), help="The library's folder.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (AnswerError, IngestError, RetrievalError, SettingsError) as problem:
            _fail(str(problem))

    return run


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@shared
def ingest(paths: Sequence[Path], home: Path | None, as_json: bool) -> None:
    """Read files and folders into the library. Unchanged files are skipped."""
    chosen = _settings(home=home)
    library, embedder = wiring.open_library(chosen, create=True)
    with Sandbox() as sandbox, _Bars() as bars:
        job = Job(library, embedder, sandbox, chunk_tokens=chosen.chunk_tokens)
        report = job.run(paths, bars.show)
    library.close()
    if as_json:
        _print_json(_report_json(report))
    else:
        _print_report(report, chosen.home)
    if not report.complete:
        sys.exit(1)


@main.command()
@click.argument("question")
@shared
def ask(question: str, home: Path | None, as_json: bool) -> None:
    """Ask a question and print the answer with its footnotes."""
    services = wiring.build(_settings(home=home))
    try:
        answer = services.answerer.answer(Ask(_telling(question)))
    finally:
        services.close()
    if as_json:
        _print_json(AnswerReply.of(answer).model_dump())
    else:
        _print_answer(answer)


@main.command()
@click.argument("query")
@click.option("--limit", default=8, show_default=True, type=click.IntRange(1, 50))
@shared
def search(query: str, limit: int, home: Path | None, as_json: bool) -> None:
    """Find the passages that bear most on a query."""
    library, _ = wiring.open_library(_settings(home=home))
    hits = library.search(_telling(query), limit=limit)
    if as_json:
        _print_json(SearchReply(hits=[HitReply.of(hit) for hit in hits]).model_dump())
    else:
        _print_hits(hits)
    library.close()


@main.group()
def documents() -> None:
    """Look at what is in the library."""


@documents.command("list")
@shared
def list_documents(home: Path | None, as_json: bool) -> None:
    """List the documents answers come from."""
    library, _ = wiring.open_library(_settings(home=home))
    found = library.documents()
    library.close()
    if as_json:
        listed = [DocumentReply.of(document, current=True).model_dump() for document in found]
        _print_json({"documents": listed})
        return
    for document in found:
        click.echo(f"{document.id}  {document.path}  {document.title}")


@main.command()
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="The port.  [default: 8000]")
@shared
def serve(host: str | None, port: int | None, home: Path | None, as_json: bool) -> None:
    """Serve the page and the JSON interface until interrupted."""
    from web.server import run

    run(_settings(home=home, host=host, port=port), as_json=as_json)


def _settings(**given: Any) -> Settings:
    return configuration.load(os.environ, **given)


def _telling(text: str) -> str:
    text = text.encode("utf-8", "replace").decode().strip()
    if not any(c.isalnum() for c in text):
        raise click.UsageError("Ask with at least one word.")
    return text


def _fail(message: str) -> NoReturn:
    click.echo(f"footnote: {message}", err=True)
    sys.exit(1)


def _print_json(data: dict[str, Any]) -> None:
    click.echo(json.dumps(data, ensure_ascii=False, indent=2))


def _report_json(report: Report) -> dict[str, Any]:
    return {
        "generation": report.generation,
        "counts": {outcome: report.count(outcome) for outcome in Outcome},
        "files": [
            {
                "path": file.path,
                "outcome": file.outcome,
                "reason": file.reason or None,
                "warnings": list(file.warnings),
                "passages": file.passages,
            }
            for file in report.files
        ],
    }


def _print_report(report: Report, home: Path) -> None:
    for file in report.files:
        for note in (*((file.reason,) if file.reason else ()), *file.warnings):
            label = "not read" if file.outcome is Outcome.FAILED else "note"
            click.echo(f"{label}: {file.path}: {note}", err=True)
    counts = ", ".join(
        f"{report.count(outcome)} {name}"
        for outcome, name in (
            (Outcome.ADDED, "added"),
            (Outcome.CHANGED, "changed"),
            (Outcome.UNCHANGED, "unchanged"),
            (Outcome.FAILED, "not read"),
        )
    )
    click.echo(f"{counts}; generation {report.generation} in {home}")


def _print_answer(answer: Answer) -> None:
    if not answer.sentences:
        click.echo(f"Not found: {answer.reason}.")
    else:
        click.echo(answer.text)
    citations = answer.citations or answer.nearest
    if citations and not answer.citations:
        click.echo("\nNearest, but not an answer:")
    for citation in citations:
        page = f", page {citation.page}" if citation.page else ""
        heading = f", “{citation.heading}”" if citation.heading else ""
        quote = " ".join(citation.quote.split())
        click.echo(f"\n[{citation.number}] {citation.path}{page}{heading}\n    “{quote}”")
    if answer.reason and answer.sentences:
        click.echo(f"(quoted: {answer.reason})", err=True)


def _print_hits(hits: Sequence[Hit]) -> None:
    for number, hit in enumerate(hits, start=1):
        place = " › ".join((hit.document.title, *hit.passage.heading))
        page = f", page {hit.passage.page}" if hit.passage.page else ""
        text = " ".join(hit.passage.text.split())
        click.echo(f"{number}. {hit.document.path}{page} · {place}\n   {text}\n")
    if not hits:
        click.echo("Nothing found.", err=True)


class _Bars:
    """A progress bar for each thing an ingest does, on a terminal only."""

    def __init__(self) -> None:
        self._what = ""
        self._bar: Any = None

    def __enter__(self) -> "_Bars":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def show(self, what: str, done: int, total: int) -> None:
        """Move the bar of what is being done; begin another when that changes."""
        if not sys.stderr.isatty():
            return
        if what != self._what:
            self._end()
            self._what = what
            self._bar = click.progressbar(
                length=total, label=what.capitalize(), show_pos=True, file=sys.stderr
            )
            self._bar.__enter__()
        self._bar.update(done - self._bar.pos)

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
